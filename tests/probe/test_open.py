import os
from pathlib import Path

import pytest

from tiercel.schemas import generated

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("open", b"/nonexistent/a", 0o2000001, 0)
    assert result < 0
    assert params == {"fd": result, "name": "/nonexistent/a", "flags": 4098, "mode": 0, "dev": 0, "ino": 0}


@pytest.mark.parametrize(("flags", "told"), [
    (os.O_RDONLY, ["O_RDONLY"]),
    (os.O_WRONLY | os.O_TRUNC | os.O_APPEND, ["O_WRONLY", "O_TRUNC", "O_APPEND"]),
    (os.O_RDWR | os.O_SYNC, ["O_RDWR", "O_DSYNC", "O_SYNC"]),
    (os.O_RDWR | os.O_DSYNC | os.O_NONBLOCK, ["O_RDWR", "O_DSYNC", "O_NONBLOCK"]),
    (os.O_RDONLY | 0o100000 | os.O_CLOEXEC, ["O_RDONLY", "O_LARGEFILE", "O_CLOEXEC"]),
    (os.O_WRONLY | os.O_CREAT, ["O_WRONLY", "O_CREAT"]),
])  # fmt: skip
def test_a_file(trace: Tracer, tmp_path: Path, flags: int, told: list[str]) -> None:
    path = tmp_path / "f"
    path.touch()
    fd, params = trace.call("open", bytes(path), flags, 0o640)
    stat = os.fstat(fd)
    os.close(fd)
    assert params == {
        "fd": fd,
        "name": str(path),
        "flags": sum(generated.FLAGS["file_flags"][name] for name in told),
        "mode": 0o640 if flags & os.O_CREAT else 0,
        "dev": stat.st_dev,
        "ino": stat.st_ino,
    }


def test_a_new_file_without_a_name(trace: Tracer, tmp_path: Path) -> None:
    fd, params = trace.call("open", bytes(tmp_path), os.O_TMPFILE | os.O_WRONLY | os.O_EXCL, 0o600)
    stat = os.fstat(fd)
    os.close(fd)
    names = ["O_WRONLY", "O_EXCL", "O_DIRECTORY", "O_TMPFILE"]
    assert params.pop("flags") & ~16384 == sum(generated.FLAGS["file_flags"][name] for name in names)  # O_F_CREATED
    assert params == {"fd": fd, "name": str(tmp_path), "mode": 0o600, "dev": stat.st_dev, "ino": stat.st_ino}
