from pathlib import Path

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("link", b"/nonexistent/a", b"/nonexistent/b")
    assert result < 0
    assert params == {"res": result, "oldpath": "/nonexistent/a", "newpath": "/nonexistent/b"}


def test_a_link(trace: Tracer, tmp_path: Path) -> None:
    (tmp_path / "old").touch()
    result, params = trace.call("link", bytes(tmp_path / "old"), bytes(tmp_path / "new"))
    assert result == 0
    assert params == {"res": 0, "oldpath": str(tmp_path / "old"), "newpath": str(tmp_path / "new")}
