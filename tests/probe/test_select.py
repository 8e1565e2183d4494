import ctypes

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_a_wait(trace: Tracer) -> None:
    result, params = trace.call("select", 0, 0, 0, 0, (ctypes.c_int64 * 2)(0, 10))
    assert result == 0
    assert params == {"res": 0}


def test_a_negative_number(trace: Tracer) -> None:
    result, params = trace.call("select", -1, 0, 0, 0, 0)
    assert result == -22
    assert params == {"res": -22}
