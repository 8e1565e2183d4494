from pathlib import Path

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("rmdir", b"/nonexistent/a")
    assert result < 0
    assert params == {"res": result, "path": "/nonexistent/a"}


def test_a_directory(trace: Tracer, tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    result, params = trace.call("rmdir", bytes(tmp_path / "d"))
    assert result == 0
    assert params == {"res": 0, "path": str(tmp_path / "d")}
