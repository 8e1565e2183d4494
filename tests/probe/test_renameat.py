import os
from pathlib import Path

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("renameat", 9977, b"a", 9978, b"b")
    assert result < 0
    assert params == {"res": result, "olddirfd": 9977, "oldpath": "a", "newdirfd": 9978, "newpath": "b"}


def test_another_name(trace: Tracer, tmp_path: Path) -> None:
    (tmp_path / "old").touch()
    fd = os.open(tmp_path, os.O_RDONLY)
    result, params = trace.call("renameat", fd, b"old", -100, bytes(tmp_path / "new"))
    os.close(fd)
    new = str(tmp_path / "new")
    assert result == 0
    assert params == {"res": 0, "olddirfd": fd, "oldpath": "old", "newdirfd": -100, "newpath": new}
