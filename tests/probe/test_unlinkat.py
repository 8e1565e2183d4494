import os
from pathlib import Path

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("unlinkat", 9977, b"a", 0x200)
    assert result < 0
    assert params == {"res": result, "dirfd": 9977, "name": "a", "flags": 0x200}


def test_a_file(trace: Tracer, tmp_path: Path) -> None:
    (tmp_path / "f").touch()
    fd = os.open(tmp_path, os.O_RDONLY)
    result, params = trace.call("unlinkat", fd, b"f", 0)
    os.close(fd)
    assert result == 0
    assert params == {"res": 0, "dirfd": fd, "name": "f", "flags": 0}
