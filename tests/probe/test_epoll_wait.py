import ctypes
import os
import select

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("epoll_wait", 9977, 8, 5, 0)
    assert result < 0
    assert params == {"res": result, "maxevents": 5}


def test_a_descriptor_is_ready(trace: Tracer) -> None:
    out, into = os.pipe()
    with select.epoll() as epoll:
        epoll.register(into, select.EPOLLOUT)
        result, params = trace.call("epoll_wait", epoll.fileno(), ctypes.create_string_buffer(48), 4, 0)
    os.close(out)
    os.close(into)
    assert result == 1
    assert params == {"res": 1, "maxevents": 4}
