import ctypes
import os
from pathlib import Path

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("copy_file_range", 9977, 0, 9978, 0, 9, 0)
    assert result < 0
    assert params == {"res": result, "fdout": 9978, "offout": 0, "fdin": 9977, "offin": 0, "len": 9}


def test_offsets_are_where_the_copy_began(trace: Tracer, tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"0123456789")
    source = os.open(tmp_path / "in", os.O_RDONLY)
    goal = os.open(tmp_path / "out", os.O_RDWR | os.O_CREAT)
    off_in, off_out = ctypes.c_int64(3), ctypes.c_int64(100)
    references = (ctypes.byref(off_in), ctypes.byref(off_out))
    result, params = trace.call("copy_file_range", source, references[0], goal, references[1], 50, 0)
    os.close(source)
    os.close(goal)
    assert (result, off_in.value, off_out.value) == (7, 10, 107)
    assert params == {"res": 7, "fdout": goal, "offout": 100, "fdin": source, "offin": 3, "len": 50}


def test_offsets_of_a_failed_copy(trace: Tracer) -> None:
    off_in, off_out = ctypes.c_int64(3), ctypes.c_int64(100)
    references = (ctypes.byref(off_in), ctypes.byref(off_out))
    result, params = trace.call("copy_file_range", 9977, references[0], 9978, references[1], 50, 0)
    assert result == -9
    assert params == {"res": -9, "fdout": 9978, "offout": 100, "fdin": 9977, "offin": 3, "len": 50}
