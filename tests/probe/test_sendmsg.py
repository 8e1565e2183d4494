import socket

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_messages_both_ways(trace: Tracer) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as a, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as b:
        a.bind(("127.0.0.1", 0))
        b.bind(("127.0.0.1", 0))
        ports = a.getsockname()[1], b.getsockname()[1]
        events = trace.everything(lambda: (a.sendmsg([b"ab", b"cde"], [], 0, b.getsockname()), b.recvmsg(50)))
        calls = {e["name"]: e["params"] for e in events if e["name"] in ("sendmsg", "recvmsg")}
        tuple_ = (2, "127.0.0.1", ports[0], "127.0.0.1", ports[1])
        assert calls["sendmsg"] == {"res": 5, "data": b"abcde", "fd": a.fileno(), "size": 5, "tuple": tuple_}
        assert calls["recvmsg"]["msgcontrol"] is None
        assert {**calls["recvmsg"], "msgcontrol": None} == {
            "res": 5,
            "size": 50,
            "data": b"abcde",
            "tuple": tuple_,
            "msgcontrol": None,
            "fd": b.fileno(),
        }


def test_a_message_asked_in_vain(trace: Tracer) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]

        def action() -> None:
            with pytest.raises(OSError, match="Invalid argument"):
                sock.sendmsg([b"ab", b"c"], [], 0, ("127.0.0.1", 0))

        params = trace.one("sendmsg", action)
        tuple_ = (2, "127.0.0.1", port, "127.0.0.1", 0)
        assert params == {"res": -22, "data": b"abc", "fd": sock.fileno(), "size": 3, "tuple": tuple_}
