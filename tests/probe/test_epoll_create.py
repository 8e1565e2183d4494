import os

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("epoll_create", -3)
    assert result < 0
    assert params == {"res": result, "size": -3}


def test_an_instance(trace: Tracer) -> None:
    fd, params = trace.call("epoll_create", 9)
    os.close(fd)
    assert params == {"res": fd, "size": 9}
