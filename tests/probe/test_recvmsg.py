import os
import socket
import struct

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_a_descriptor_comes_along(trace: Tracer) -> None:
    a, b = socket.socketpair()
    with a, b:
        socket.send_fds(a, [b"abc"], [1])
        got = []
        params = trace.one("recvmsg", lambda: got.append(socket.recv_fds(b, 50, 1)))
        (fd,) = got[0][1]
        os.close(fd)
        family, source, peer, path = params.pop("tuple")
        assert (family, path) == (1, "")
        assert source != peer
        control = struct.pack("Qiii", 20, socket.SOL_SOCKET, socket.SCM_RIGHTS, fd)
        assert params.pop("msgcontrol")[:20] == control
        assert params == {"res": 3, "size": 50, "data": b"abc", "fd": b.fileno()}


def test_nothing_there(trace: Tracer) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)

        def action() -> None:
            with pytest.raises(BlockingIOError):
                sock.recvmsg(50, 99)

        params = trace.one("recvmsg", action)
        assert params == {
            "res": -11,
            "size": 50,
            "data": None,
            "tuple": None,
            "msgcontrol": None,
            "fd": sock.fileno(),
        }
