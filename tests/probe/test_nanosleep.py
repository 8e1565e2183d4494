import ctypes

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_a_short_sleep(trace: Tracer) -> None:
    result, params = trace.call("nanosleep", (ctypes.c_int64 * 2)(0, 5000), 0)
    assert result == 0
    assert params == {"res": 0, "interval": 5000}


def test_more_nanoseconds_than_a_second_has(trace: Tracer) -> None:
    result, params = trace.call("nanosleep", (ctypes.c_int64 * 2)(3, 1_000_000_000), 0)
    assert result == -22
    assert params == {"res": -22, "interval": 4_000_000_000}
