import ctypes
import os

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("signalfd4", 9977, 8, 4, 0o4000)
    assert result < 0
    assert params == {"res": result, "flags": 64, "fd": 9977, "mask": 0}


def test_two_signals(trace: Tracer) -> None:
    mask = ctypes.byref(ctypes.c_uint64(1 << 1 | 1 << 9))
    fd, params = trace.call("signalfd4", -1, mask, 8, 0o2004000)
    os.close(fd)
    assert params == {"res": fd, "flags": 64 | 4096, "fd": -1, "mask": 514}
