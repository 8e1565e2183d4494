import ctypes
import socket
import struct
from typing import Any

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("getsockopt", 9977, 1, 2, 0, 0)
    assert result < 0
    assert params == {"res": result, "fd": 9977, "level": 1, "optname": 2, "val": (0, None), "optlen": 0}


@pytest.mark.parametrize(("level", "name", "room", "told"), [
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 4, {"level": 1, "optname": 9, "val": (2, 1), "optlen": 4}),
    (socket.SOL_SOCKET, socket.SO_RCVTIMEO, 16, {"level": 1, "optname": 20, "val": (4, 2_000_000_000), "optlen": 16}),
    (socket.SOL_SOCKET, socket.SO_ERROR, 4, {"level": 1, "optname": 4, "val": (1, -111), "optlen": 4}),
    (socket.SOL_SOCKET, socket.SO_LINGER, 8, {"level": 1, "optname": 13, "val": (0, bytes(8)), "optlen": 8}),
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 4, {"level": 2, "optname": 0, "val": (0, bytes(4)), "optlen": 4}),
    (socket.IPPROTO_IP, socket.IP_TTL, 4, {"level": 0, "optname": 0, "val": (0, b"\x40\0\0\0"), "optlen": 4}),
])  # fmt: skip
def test_values_by_their_type(trace: Tracer, level: int, name: int, room: int, told: dict[str, Any]) -> None:
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("qq", 2, 0))
        sock.setblocking(False)
        sock.connect_ex(("127.0.0.1", 1))
        value, length = ctypes.create_string_buffer(room), ctypes.byref(ctypes.c_uint32(room))
        result, params = trace.call("getsockopt", sock.fileno(), level, name, value, length)
        assert result == 0
        assert params == {"res": 0, "fd": sock.fileno()} | told


def test_a_cookie(trace: Tracer) -> None:
    with socket.socket() as sock:
        value, length = ctypes.c_uint64(), ctypes.byref(ctypes.c_uint32(8))
        _, params = trace.call("getsockopt", sock.fileno(), 1, 57, ctypes.byref(value), length)
        assert value.value > 0
        assert params == {
            "res": 0,
            "fd": sock.fileno(),
            "level": 1,
            "optname": 53,
            "val": (3, value.value),
            "optlen": 8,
        }
