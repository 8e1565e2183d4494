import socket

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("shutdown", 9977, 1)
    assert result < 0
    assert params == {"res": result, "fd": 9977, "how": 1}


def test_one_direction(trace: Tracer) -> None:
    a, b = socket.socketpair()
    with a, b:
        result, params = trace.call("shutdown", a.fileno(), 2)
        assert result == 0
        assert params == {"res": 0, "fd": a.fileno(), "how": 2}
