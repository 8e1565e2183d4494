import ctypes
import os
from pathlib import Path

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("pread64", 9977, 8, 9, 3, event="pread")
    assert result < 0
    assert params == {"res": result, "data": None, "fd": 9977, "size": 9, "pos": 3}


def test_data_of_a_file(trace: Tracer, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(bytes(range(200)))
    fd = os.open(tmp_path / "f", os.O_RDONLY)
    result, params = trace.call("pread64", fd, ctypes.create_string_buffer(300), 300, 50, event="pread")
    os.close(fd)
    assert result == 150
    assert params == {"res": 150, "data": bytes(range(50, 130)), "fd": fd, "size": 300, "pos": 50}
