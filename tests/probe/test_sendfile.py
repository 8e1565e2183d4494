import ctypes
import os
from pathlib import Path

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("sendfile", 9977, 9978, 0, 9)
    assert result < 0
    assert params == {"res": result, "offset": 0, "out_fd": 9977, "in_fd": 9978, "size": 9}


def test_part_of_a_file(trace: Tracer, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(bytes(100))
    source = os.open(tmp_path / "f", os.O_RDONLY)
    out, into = os.pipe()
    offset = ctypes.byref(ctypes.c_int64(90))
    result, params = trace.call("sendfile", into, source, offset, 50)
    for fd in (source, out, into):
        os.close(fd)
    assert result == 10
    assert params == {"res": 10, "offset": 100, "out_fd": into, "in_fd": source, "size": 50}  # where it came to
