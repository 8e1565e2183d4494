import ctypes
from pathlib import Path

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_the_directory(trace: Tracer) -> None:
    buffer = ctypes.create_string_buffer(4096)
    result, params = trace.call("getcwd", buffer, 4096)
    assert result == len(str(Path.cwd())) + 1
    assert params == {"res": result, "path": str(Path.cwd())}


def test_too_little_room(trace: Tracer) -> None:
    result, params = trace.call("getcwd", ctypes.create_string_buffer(4096), 1)
    assert result == -34
    assert params == {"res": -34, "path": None}
