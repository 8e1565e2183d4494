import ctypes
import socket

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_a_datagram_of_ipv6(trace: Tracer) -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as a, socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as b:
        a.bind(("::1", 0))
        b.bind(("::1", 0))
        a.sendto(b"hello", b.getsockname())
        name, length = ctypes.create_string_buffer(28), ctypes.byref(ctypes.c_uint32(28))
        result, params = trace.call("recvfrom", b.fileno(), ctypes.create_string_buffer(9), 9, 0, name, length)
        ports = a.getsockname()[1], b.getsockname()[1]
        assert result == 5
        assert params == {
            "res": 5,
            "data": b"hello",
            "tuple": (10, "::1", ports[0], "::1", ports[1]),
            "fd": b.fileno(),
            "size": 9,
        }


def test_data_of_a_connection(trace: Tracer) -> None:
    with socket.socket() as server, socket.socket() as client:
        server.bind(("127.0.0.1", 0))
        server.listen()
        client.connect(server.getsockname())
        accepted, _ = server.accept()
        with accepted:
            accepted.sendall(b"x" * 100)
            result, params = trace.call("recvfrom", client.fileno(), ctypes.create_string_buffer(200), 200, 0, 0, 0)
            assert result == 100
            assert params == {
                "res": 100,
                "data": b"x" * 80,
                "tuple": (2, *accepted.getsockname(), *client.getsockname()),
                "fd": client.fileno(),
                "size": 200,
            }


def test_nothing_there(trace: Tracer) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        result, params = trace.call("recvfrom", sock.fileno(), ctypes.create_string_buffer(9), 9, 0x40, 0, 0)
        assert result == -11
        assert params == {"res": -11, "data": None, "tuple": None, "fd": sock.fileno(), "size": 9}
