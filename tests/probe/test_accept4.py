import os
import socket

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_a_connection(trace: Tracer) -> None:
    with socket.socket() as server, socket.socket() as client:
        server.bind(("127.0.0.1", 0))
        server.listen(7)
        client.connect(server.getsockname())
        fd, params = trace.call("accept4", server.fileno(), 0, 0, socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        os.close(fd)
        assert params == {
            "fd": fd,
            "tuple": (2, *client.getsockname(), *server.getsockname()),
            "queuepct": 0,
            "queuelen": 0,
            "queuemax": 7,
            "flags": 0o2004000,
        }


def test_nobody_connects(trace: Tracer) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(7)
        server.setblocking(False)
        result, params = trace.call("accept4", server.fileno(), 0, 0, 0)
        assert result == -11
        assert params == {"fd": -11, "tuple": None, "queuepct": 0, "queuelen": 0, "queuemax": 7, "flags": 0}
