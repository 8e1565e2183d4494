import ctypes
from pathlib import Path

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("stat", b"/nonexistent/a", 0)
    assert result < 0
    assert params == {"res": result, "path": "/nonexistent/a"}


def test_a_file(trace: Tracer, tmp_path: Path) -> None:
    result, params = trace.call("stat", bytes(tmp_path), ctypes.create_string_buffer(256))
    assert result == 0
    assert params == {"res": 0, "path": str(tmp_path)}
