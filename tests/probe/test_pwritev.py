import ctypes
import os
from pathlib import Path

import pytest

from .conftest import Tracer, iovec

pytestmark = pytest.mark.bpf


def test_buffers_of_a_file(trace: Tracer, tmp_path: Path) -> None:
    fd = os.open(tmp_path / "f", os.O_WRONLY | os.O_CREAT)
    buffers = iovec(ctypes.create_string_buffer(b"abc", 3), ctypes.create_string_buffer(b"x" * 100, 100))
    result, params = trace.call("pwritev", fd, buffers, 2, 5, 0)
    os.close(fd)
    assert result == 103
    assert params == {"res": 103, "data": b"abc" + b"x" * 77, "fd": fd, "size": 103, "pos": 5}


def test_no_file(trace: Tracer) -> None:
    result, params = trace.call("pwritev", 9977, iovec(ctypes.create_string_buffer(b"abc", 3)), 1, 7, 0)
    assert result == -9
    assert params == {"res": -9, "data": b"abc", "fd": 9977, "size": 3, "pos": 7}
