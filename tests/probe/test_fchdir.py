import os
from pathlib import Path

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("fchdir", 9977)
    assert result < 0
    assert params == {"res": result, "fd": 9977}


def test_another_directory(trace: Tracer, tmp_path: Path) -> None:
    fd = os.open(tmp_path, os.O_RDONLY)
    result, params, _ = trace.in_child("fchdir", fd)
    os.close(fd)
    assert result == 0
    assert params == {"res": 0, "fd": fd}
