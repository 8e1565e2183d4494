import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("prlimit64", 2**22 + 5, 7, 0, 0, event="prlimit")
    assert result < 0
    assert params == {
        "res": result,
        "newcur": -1,
        "newmax": -1,
        "oldcur": -1,
        "oldmax": -1,
        "pid": 2**22 + 5,
        "resource": 7,
    }
