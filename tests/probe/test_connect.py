import functools
import socket
from pathlib import Path
from typing import Any

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_connect_and_accept_see_one_connection(trace: Tracer, family: int, host: str) -> None:
    with socket.socket(family) as server, socket.socket(family) as client:
        server.bind((host, 0))
        server.listen(7)
        port = server.getsockname()[1]
        events = trace.everything(lambda: (client.connect((host, port)), accepted.append(server.accept()[0])))
        here = client.getsockname()[1]
        tuple_ = (int(family), host, here, host, port)
        calls = {e["name"]: e["params"] for e in events if e["name"] in ("connect", "accept4")}
        assert calls["connect"] == {
            "res": 0,
            "tuple": tuple_,
            "fd": client.fileno(),
            "addr": (int(family), host, port),
        }
        assert calls["accept4"] == {
            "fd": accepted[-1].fileno(),
            "tuple": tuple_,
            "queuepct": 0,
            "queuelen": 0,
            "queuemax": 7,
            "flags": 0o2000000,
        }
        accepted.pop().close()


accepted: list[Any] = []


def test_a_refused_connection_has_an_address_and_no_tuple(trace: Tracer) -> None:
    with socket.socket() as client:
        params = trace.one("connect", lambda: client.connect_ex(("127.0.0.1", 1)))
        assert params == {"res": -111, "tuple": None, "fd": client.fileno(), "addr": (2, "127.0.0.1", 1)}


def test_an_abstract_name_ends_where_its_length_says(trace: Tracer) -> None:
    names = [b"\0tiercel-" + b"x" * length for length in (90, 1, 40, 99)]  # memory that a longer name was in
    for name in names:
        with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
            server.bind(name)
            server.listen()
            params = trace.one("connect", functools.partial(client.connect, name))
            assert params["tuple"][3] == name[1:].decode()


def test_a_unix_socket(trace: Tracer, tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind(path)
        server.listen()
        params = trace.one("connect", lambda: client.connect(path))
        family, source, peer, name = params["tuple"]
        assert (family, name, params["addr"]) == (1, path, (1, path))
        assert source > 2**63 < peer
