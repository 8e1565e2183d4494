from pathlib import Path

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("chmod", b"/nonexistent/a", 0o4755)
    assert result < 0
    assert params == {"res": result, "filename": "/nonexistent/a", "mode": 0o4755}


def test_a_changed_mode(trace: Tracer, tmp_path: Path) -> None:
    result, params = trace.call("chmod", bytes(tmp_path), 0o2711)
    assert result == 0
    assert params == {"res": 0, "filename": str(tmp_path), "mode": 0o2711}
