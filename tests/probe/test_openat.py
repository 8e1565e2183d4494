import os
from pathlib import Path

import pytest

from .conftest import Tracer, syscall

pytestmark = pytest.mark.bpf


def test_a_new_file(trace: Tracer, tmp_path: Path) -> None:
    path = tmp_path / "new"
    fd, params = trace.call("openat", -100, bytes(path), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o640)
    stat = os.fstat(fd)
    os.close(fd)
    assert params == {
        "fd": fd,
        "dirfd": -100,
        "name": str(path),
        "flags": 3 | 4 | 4096 | 16384,  # O_RDWR|O_CREAT|O_CLOEXEC|O_F_CREATED
        "mode": 0o640,
        "dev": stat.st_dev,
        "ino": stat.st_ino,
    }


def test_a_missing_file(trace: Tracer, tmp_path: Path) -> None:
    fd, params = trace.call("openat", 9977, b"missing", os.O_WRONLY | os.O_APPEND, 0o777)
    assert fd == -9
    assert params == {"fd": -9, "dirfd": 9977, "name": "missing", "flags": 2 | 8, "mode": 0, "dev": 0, "ino": 0}


def test_a_name_that_cannot_be_read_has_no_value(trace: Tracer) -> None:
    before = trace.probe.counters()["page_fault"]
    params = trace.one("openat", lambda: syscall("openat", -100, 8, 0))
    assert (params["fd"], params["name"]) == (-14, None)
    assert trace.probe.counters()["page_fault"] == before + 1
