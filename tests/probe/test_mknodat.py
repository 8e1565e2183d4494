import stat
from pathlib import Path

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("mknodat", 9977, b"a", 0o10640, 0)
    assert result < 0
    assert params == {"res": result, "dirfd": 9977, "path": "a", "mode": 0o10640, "dev": 0}


def test_a_node(trace: Tracer, tmp_path: Path) -> None:
    result, params = trace.call("mknodat", -100, bytes(tmp_path / "n"), stat.S_IFCHR | 0o600, 0x103)
    assert result == 0
    assert params == {
        "res": 0,
        "dirfd": -100,
        "path": str(tmp_path / "n"),
        "mode": stat.S_IFCHR | 0o600,
        "dev": (tmp_path / "n").stat().st_rdev,
    }
    (tmp_path / "n").unlink()
