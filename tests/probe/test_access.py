from pathlib import Path

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("access", b"/nonexistent/a", 4)
    assert result < 0
    assert params == {"res": result, "name": "/nonexistent/a", "mode": 4}


def test_an_allowed_access(trace: Tracer, tmp_path: Path) -> None:
    result, params = trace.call("access", bytes(tmp_path), 7)
    assert result == 0
    assert params == {"res": 0, "name": str(tmp_path), "mode": 7}
