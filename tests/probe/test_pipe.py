import ctypes
import os

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("pipe", 8)
    assert result < 0
    assert params == {"res": result, "fd1": -1, "fd2": -1, "ino": 0}


def test_both_ends(trace: Tracer) -> None:
    ends = (ctypes.c_int32 * 2)()
    result, params = trace.call("pipe", ends)
    assert result == 0
    assert params == {"res": 0, "fd1": ends[0], "fd2": ends[1], "ino": os.fstat(ends[0]).st_ino}
    for fd in ends:
        os.close(fd)
