import ctypes
import os
from pathlib import Path

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def how(flags: int, mode: int, resolve: int) -> "ctypes.Array[ctypes.c_uint64]":
    """`struct open_how`."""
    return (ctypes.c_uint64 * 3)(flags, mode, resolve)


def test_a_new_file(trace: Tracer, tmp_path: Path) -> None:
    folder = os.open(tmp_path, os.O_RDONLY)
    fd, params = trace.call("openat2", folder, b"new", how(os.O_CREAT | os.O_RDWR, 0o640, 8 | 4), 24)
    stat = os.fstat(fd)
    os.close(fd)
    os.close(folder)
    assert params == {
        "fd": fd,
        "dirfd": folder,
        "name": "new",
        "flags": 3 | 4 | 16384,  # O_RDWR|O_CREAT|O_F_CREATED
        "mode": 0o640,
        "resolve": 1 | 8,  # RESOLVE_BENEATH|RESOLVE_NO_SYMLINKS
        "dev": stat.st_dev,
        "ino": stat.st_ino,
    }


def test_a_refusal(trace: Tracer) -> None:
    fd, params = trace.call("openat2", -100, b"/etc/hostname", how(os.O_WRONLY, 0o777, 0x3F), 24)
    assert fd == -22
    assert params == {
        "fd": -22,
        "dirfd": -100,
        "name": "/etc/hostname",
        "flags": 2,
        "mode": 0,
        "resolve": 0x3F,
        "dev": 0,
        "ino": 0,
    }
