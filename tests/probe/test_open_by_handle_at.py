import ctypes
import os
import struct
from pathlib import Path

import pytest

from .conftest import Tracer, syscall

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("open_by_handle_at", 9977, 8, 1)
    assert result < 0
    assert params == {"fd": result, "mountfd": 9977, "flags": 2, "path": None, "dev": 0, "ino": 0}


def test_a_file(trace: Tracer, tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.touch()
    handle = ctypes.create_string_buffer(struct.pack("Ii", 128, 0), 136)
    assert syscall("name_to_handle_at", -100, bytes(path), handle, ctypes.byref(ctypes.c_int()), 0) == 0
    mount = os.open(tmp_path, os.O_RDONLY)
    fd, params = trace.call("open_by_handle_at", mount, handle, os.O_RDWR)
    stat = os.fstat(fd)
    os.close(fd)
    os.close(mount)
    assert params == {
        "fd": fd,
        "mountfd": mount,
        "flags": 3,
        "path": str(path),
        "dev": stat.st_dev,
        "ino": stat.st_ino,
    }
