import ctypes

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("getrlimit", 99, 8)
    assert result < 0
    assert params == {"res": result, "cur": -1, "max": -1, "resource": 255}


def test_limits(trace: Tracer) -> None:
    limits = (ctypes.c_int64 * 2)()
    _, params = trace.call("getrlimit", 7, limits)
    assert params == {"res": 0, "cur": limits[0], "max": limits[1], "resource": 7}
