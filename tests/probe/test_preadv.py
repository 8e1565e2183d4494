import ctypes
import os
from pathlib import Path

import pytest

from .conftest import Tracer, iovec

pytestmark = pytest.mark.bpf


def test_buffers_of_a_file(trace: Tracer, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(bytes(range(200)))
    fd = os.open(tmp_path / "f", os.O_RDONLY)
    buffers = iovec(ctypes.create_string_buffer(3), ctypes.create_string_buffer(300))
    result, params = trace.call("preadv", fd, buffers, 2, 150, 0)
    os.close(fd)
    assert result == 50
    assert params == {"res": 50, "size": 303, "data": bytes(range(150, 200)), "fd": fd, "pos": 150}


def test_no_file(trace: Tracer) -> None:
    result, params = trace.call("preadv", 9977, iovec(ctypes.create_string_buffer(3)), 1, 7, 0)
    assert result == -9
    assert params == {"res": -9, "size": 3, "data": None, "fd": 9977, "pos": 7}
