from pathlib import Path

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("chdir", b"/nonexistent/a")
    assert result < 0
    assert params == {"res": result, "path": "/nonexistent/a"}


def test_another_directory(trace: Tracer, tmp_path: Path) -> None:
    result, params, _ = trace.in_child("chdir", bytes(tmp_path))
    assert result == 0
    assert params == {"res": 0, "path": str(tmp_path)}
