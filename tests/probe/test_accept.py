import socket
from pathlib import Path

import pytest

from .conftest import Tracer, syscall

pytestmark = pytest.mark.bpf


@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_a_connection_and_what_still_waits(trace: Tracer, family: int, host: str) -> None:
    with socket.socket(family) as server, socket.socket(family) as first, socket.socket(family) as second:
        server.bind((host, 0))
        server.listen(4)
        port = server.getsockname()[1]
        first.connect((host, port))
        second.connect((host, port))
        fd, params = trace.call("accept", server.fileno(), 0, 0)
        with socket.socket(fileno=fd) as accepted:
            assert params == {
                "fd": accepted.fileno(),
                "tuple": (int(family), host, first.getsockname()[1], host, port),
                "queuepct": 25,
                "queuelen": 1,
                "queuemax": 4,
            }


def test_a_unix_connection(trace: Tracer, tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind(path)
        server.listen(3)
        made = trace.one("connect", lambda: client.connect(path))
        fd, params = trace.call("accept", server.fileno(), 0, 0)
        syscall("close", fd)
        family, source, peer, name = params.pop("tuple")
        assert params == {"fd": fd, "queuepct": 0, "queuelen": 0, "queuemax": 3}
        assert (family, source, peer, name) == (1, made["tuple"][1], made["tuple"][2], path)
        assert source != peer


def test_a_socket_that_does_not_listen(trace: Tracer) -> None:
    with socket.socket() as idle:
        result, params = trace.call("accept", idle.fileno(), 0, 0)
        assert result == -22
        assert params == {"fd": -22, "tuple": None, "queuepct": 0, "queuelen": 0, "queuemax": 0}


def test_no_socket(trace: Tracer) -> None:
    result, params = trace.call("accept", 9977, 0, 0)
    assert result == -9
    assert params == {"fd": -9, "tuple": None, "queuepct": 0, "queuelen": 0, "queuemax": 0}
