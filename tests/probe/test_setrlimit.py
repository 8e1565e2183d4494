import ctypes

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("setrlimit", 99, 8)
    assert result < 0
    assert params == {"res": result, "cur": 0, "max": 0, "resource": 255}


def test_limits(trace: Tracer) -> None:
    result, params, _ = trace.in_child("setrlimit", 4, (ctypes.c_uint64 * 2)(5, 2**64 - 1))
    assert result == 0
    assert params == {"res": 0, "cur": 5, "max": -1, "resource": 4}


def test_limits_asked_in_vain(trace: Tracer) -> None:
    result, params = trace.call("setrlimit", 4, (ctypes.c_uint64 * 2)(7, 6))
    assert result == -22
    assert params == {"res": -22, "cur": 7, "max": 6, "resource": 4}
