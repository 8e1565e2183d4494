import os

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("userfaultfd", 8)
    assert result < 0
    assert params == {"res": result, "flags": 1}


def test_a_descriptor(trace: Tracer) -> None:
    fd, params = trace.call("userfaultfd", os.O_CLOEXEC | os.O_NONBLOCK)
    os.close(fd)
    assert params == {"res": fd, "flags": 1 | 64 | 4096}
