import socket

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_datagrams_both_ways(trace: Tracer) -> None:
    payload = bytes(range(200))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as a, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as b:
        a.bind(("127.0.0.1", 0))
        b.bind(("127.0.0.1", 0))
        ports = a.getsockname()[1], b.getsockname()[1]
        events = trace.everything(lambda: (a.sendto(payload, b.getsockname()), b.recvfrom(500)))
        calls = {e["name"]: e["params"] for e in events if e["name"] in ("sendto", "recvfrom")}
        tuple_ = (2, "127.0.0.1", ports[0], "127.0.0.1", ports[1])
        assert calls["sendto"] == {"res": 200, "data": payload[:80], "fd": a.fileno(), "size": 200, "tuple": tuple_}
        assert calls["recvfrom"] == {"res": 200, "data": payload[:80], "tuple": tuple_, "fd": b.fileno(), "size": 500}


def test_a_datagram_asked_in_vain(trace: Tracer) -> None:
    result, params = trace.call("sendto", 9977, b"hello", 5, 0, 0, 0)
    assert result == -9
    assert params == {"res": -9, "data": b"hello", "fd": 9977, "size": 5, "tuple": None}
