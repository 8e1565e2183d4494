import ctypes
from pathlib import Path

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("newfstatat", 9977, b"a", 0, 0x100)
    assert result < 0
    assert params == {"res": result, "dirfd": 9977, "path": "a", "flags": 0x100}


def test_a_file(trace: Tracer, tmp_path: Path) -> None:
    buffer = ctypes.create_string_buffer(256)
    result, params = trace.call("newfstatat", -100, bytes(tmp_path), buffer, 0x800 | 0x100)
    assert result == 0
    assert params == {"res": 0, "dirfd": -100, "path": str(tmp_path), "flags": 0x800 | 0x100}
