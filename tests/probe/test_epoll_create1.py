import os

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("epoll_create1", 1)
    assert result < 0
    assert params == {"res": result, "flags": 0}


def test_an_instance(trace: Tracer) -> None:
    fd, params = trace.call("epoll_create1", os.O_CLOEXEC)
    os.close(fd)
    assert params == {"res": fd, "flags": 1}
