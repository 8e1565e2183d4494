import ctypes
import os

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("ioctl", 9977, 0x5401, 3)
    assert result < 0
    assert params == {"res": result, "fd": 9977, "request": 0x5401, "argument": 3}


def test_a_question(trace: Tracer) -> None:
    out, into = os.pipe()
    os.write(into, b"12345")
    waiting = ctypes.c_int()
    result, params = trace.call("ioctl", out, 0x541B, ctypes.byref(waiting))  # FIONREAD
    os.close(out)
    os.close(into)
    assert (result, waiting.value) == (0, 5)
    assert params == {"res": 0, "fd": out, "request": 0x541B, "argument": ctypes.addressof(waiting)}
