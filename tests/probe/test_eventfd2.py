import os

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("eventfd2", 7, 2)
    assert result < 0
    assert params == {"res": result, "flags": 0, "initval": 7}


def test_a_counter(trace: Tracer) -> None:
    fd, params = trace.call("eventfd2", 7, os.O_NONBLOCK | os.O_CLOEXEC)
    os.close(fd)
    assert params == {"res": fd, "flags": 64 | 4096, "initval": 7}
