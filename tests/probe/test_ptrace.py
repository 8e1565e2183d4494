import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("ptrace", 16, 2**22 + 5, 7, 0)
    assert result < 0
    assert params == {"res": result, "addr": (0, 0), "data": (0, 0), "request": 11, "pid": 2**22 + 5}
