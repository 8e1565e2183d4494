from pathlib import Path

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("symlink", b"goal", b"/nonexistent/b")
    assert result < 0
    assert params == {"res": result, "target": "goal", "linkpath": "/nonexistent/b"}


def test_a_link(trace: Tracer, tmp_path: Path) -> None:
    result, params = trace.call("symlink", b"goal", bytes(tmp_path / "l"))
    assert result == 0
    assert params == {"res": 0, "target": "goal", "linkpath": str(tmp_path / "l")}
