import os
from pathlib import Path

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("linkat", 9977, b"a", 9978, b"b", 0x400)
    assert result < 0
    assert params == {"res": result, "olddir": 9977, "oldpath": "a", "newdir": 9978, "newpath": "b", "flags": 0x400}


def test_a_link(trace: Tracer, tmp_path: Path) -> None:
    (tmp_path / "old").touch()
    fd = os.open(tmp_path, os.O_RDONLY)
    result, params = trace.call("linkat", fd, b"old", fd, b"new", 0x400)
    os.close(fd)
    assert result == 0
    assert params == {"res": 0, "olddir": fd, "oldpath": "old", "newdir": fd, "newpath": "new", "flags": 0x400}


def test_only_flags_that_captures_know(trace: Tracer) -> None:
    result, params = trace.call("linkat", -100, b"a", -100, b"b", 0x1000 | 0x8000)
    assert result == -22
    assert params == {"res": -22, "olddir": -100, "oldpath": "a", "newdir": -100, "newpath": "b", "flags": 0x1000}
