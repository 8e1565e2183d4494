import os

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("memfd_create", b"name", 0x100)
    assert result < 0
    assert params == {"fd": result, "name": "name", "flags": 0x100}


def test_a_file(trace: Tracer) -> None:
    fd, params = trace.call("memfd_create", b"tiercel", 3)
    os.close(fd)
    assert params == {"fd": fd, "name": "tiercel", "flags": 3}
