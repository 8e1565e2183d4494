import os
from pathlib import Path

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("splice", 9977, 0, 9978, 0, 9, 1)
    assert result < 0
    assert params == {"res": result, "fd_in": 9977, "fd_out": 9978, "size": 9, "flags": 1}


def test_a_file_into_a_pipe(trace: Tracer, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(bytes(100))
    source = os.open(tmp_path / "f", os.O_RDONLY)
    out, into = os.pipe()
    result, params = trace.call("splice", source, 0, into, 0, 500, 1 | 4)
    for fd in (source, out, into):
        os.close(fd)
    assert result == 100
    assert params == {"res": 100, "fd_in": source, "fd_out": into, "size": 500, "flags": 1 | 4}
