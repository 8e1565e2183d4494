from pathlib import Path

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("mkdirat", 9977, b"a", 0o750)
    assert result < 0
    assert params == {"res": result, "dirfd": 9977, "path": "a", "mode": 0o750}


def test_a_directory(trace: Tracer, tmp_path: Path) -> None:
    result, params = trace.call("mkdirat", -100, bytes(tmp_path / "d"), 0o1750)
    assert result == 0
    assert params == {"res": 0, "dirfd": -100, "path": str(tmp_path / "d"), "mode": 0o1750}
