import os
from pathlib import Path

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("pwrite64", 9977, b"hello", 5, 3, event="pwrite")
    assert result < 0
    assert params == {"res": result, "data": b"hello", "fd": 9977, "size": 5, "pos": 3}


def test_data_of_a_file(trace: Tracer, tmp_path: Path) -> None:
    fd = os.open(tmp_path / "f", os.O_WRONLY | os.O_CREAT)
    result, params = trace.call("pwrite64", fd, bytes(range(200)), 200, 2**33, event="pwrite")
    os.close(fd)
    assert result == 200
    assert params == {"res": 200, "data": bytes(range(80)), "fd": fd, "size": 200, "pos": 2**33}
