import socket
from pathlib import Path
from typing import Any

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


@pytest.mark.parametrize(("family", "address", "told"), [
    (socket.AF_UNIX, b"\0tiercel-test", (1, "tiercel-test")),
    (socket.AF_NETLINK, (0, 0), (16,)),
])  # fmt: skip
def test_an_address(trace: Tracer, family: int, address: Any, told: tuple[Any, ...]) -> None:
    with socket.socket(family, socket.SOCK_RAW if family == socket.AF_NETLINK else socket.SOCK_STREAM) as sock:
        params = trace.one("bind", lambda: sock.bind(address))
        assert params == {"res": 0, "addr": told, "fd": sock.fileno()}


@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_a_port_that_the_kernel_chooses(trace: Tracer, family: int, host: str) -> None:
    with socket.socket(family) as sock:
        params = trace.one("bind", lambda: sock.bind((host, 0)))
        assert params == {"res": 0, "addr": (int(family), host, sock.getsockname()[1]), "fd": sock.fileno()}


def test_a_port_of_another(trace: Tracer) -> None:
    with socket.socket() as first, socket.socket() as second:
        first.bind(("127.0.0.1", 0))
        port = first.getsockname()[1]

        def action() -> None:
            with pytest.raises(OSError, match="in use"):
                second.bind(("127.0.0.1", port))

        params = trace.one("bind", action)
        assert params == {"res": -98, "addr": (2, "127.0.0.1", port), "fd": second.fileno()}


def test_a_path(trace: Tracer, tmp_path: Path) -> None:
    path = str(tmp_path / ("s" * (107 - len(str(tmp_path)) - 1)))  # as long as there is room, without a NUL
    with socket.socket(socket.AF_UNIX) as sock:
        params = trace.one("bind", lambda: sock.bind(path))
        assert params == {"res": 0, "addr": (1, path), "fd": sock.fileno()}


def test_no_address(trace: Tracer) -> None:
    result, params = trace.call("bind", 9977, 0, 0)
    assert result == -9
    assert params == {"res": -9, "addr": None, "fd": 9977}
