import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("timerfd_create", 99, 0)
    assert result < 0
    assert params == {"res": result, "clockid": 99, "flags": 0}
