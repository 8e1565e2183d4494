from pathlib import Path

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("mkdir", b"/nonexistent/a", 0o750)
    assert result < 0
    assert params == {"res": result, "path": "/nonexistent/a", "mode": 0o750}


def test_a_directory(trace: Tracer, tmp_path: Path) -> None:
    result, params = trace.call("mkdir", bytes(tmp_path / "d"), 0o1750)
    assert result == 0
    assert params == {"res": 0, "path": str(tmp_path / "d"), "mode": 0o1750}
