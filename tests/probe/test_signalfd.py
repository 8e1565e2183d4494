import ctypes
import os

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("signalfd", 9977, 8, 4)
    assert result < 0
    assert params == {"res": result, "fd": 9977, "mask": 0, "flags": 0}


def test_two_signals(trace: Tracer) -> None:
    mask = ctypes.byref(ctypes.c_uint64(1 << 1 | 1 << 9))
    fd, params = trace.call("signalfd", -1, mask, 8)
    os.close(fd)
    assert params == {"res": fd, "fd": -1, "mask": 514, "flags": 0}
