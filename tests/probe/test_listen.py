import socket

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("listen", 9977, 5)
    assert result < 0
    assert params == {"res": result, "fd": 9977, "backlog": 5}


def test_a_backlog(trace: Tracer) -> None:
    with socket.socket() as sock:
        result, params = trace.call("listen", sock.fileno(), -1)
        assert result == 0
        assert params == {"res": 0, "fd": sock.fileno(), "backlog": -1}
