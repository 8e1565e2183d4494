import ctypes
import os
from pathlib import Path

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("getdents", 9977, 0, 0)
    assert result < 0
    assert params == {"res": result, "fd": 9977}


def test_an_empty_directory(trace: Tracer, tmp_path: Path) -> None:
    fd = os.open(tmp_path, os.O_RDONLY)
    result, params = trace.call("getdents", fd, ctypes.create_string_buffer(4096), 4096)
    os.close(fd)
    assert result == 48
    assert params == {"res": 48, "fd": fd}
