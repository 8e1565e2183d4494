import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("shutdown", 9977, 1)
    assert result < 0
    assert params == {"res": result, "fd": 9977, "how": 1}
