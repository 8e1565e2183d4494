import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("splice", 9977, 0, 9978, 0, 9, 1)
    assert result < 0
    assert params == {"res": result, "fd_in": 9977, "fd_out": 9978, "size": 9, "flags": 1}
