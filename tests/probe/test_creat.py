import os
from pathlib import Path

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("creat", b"/nonexistent/a", 0o640)
    assert result < 0
    assert params == {"fd": result, "name": "/nonexistent/a", "mode": 0o640, "dev": 0, "ino": 0, "creat_flags": 0}


def test_a_new_file(trace: Tracer, tmp_path: Path) -> None:
    fd, params = trace.call("creat", bytes(tmp_path / "new"), 0o4640)
    stat = os.fstat(fd)
    os.close(fd)
    assert params == {
        "fd": fd,
        "name": str(tmp_path / "new"),
        "mode": 0o4640,
        "dev": stat.st_dev,
        "ino": stat.st_ino,
        "creat_flags": 0,
    }
