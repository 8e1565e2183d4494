import ctypes
import socket
import struct
from typing import Any

import pytest

from .conftest import Tracer, iovec, syscall

pytestmark = pytest.mark.bpf


def messages(*parts: tuple[bytes | None, list[bytes]]) -> tuple[Any, list[Any]]:
    """`struct mmsghdr[]` of (name, buffers), and what must live as long."""
    words: list[int] = []
    kept: list[Any] = []
    for name, buffers in parts:
        held = [ctypes.create_string_buffer(buffer, len(buffer)) for buffer in buffers]
        vector, address = iovec(*held), ctypes.create_string_buffer(name or b"")
        kept += [held, vector, address]
        words += [ctypes.addressof(address) if name else 0, len(name or b""), ctypes.addressof(vector), len(held)]
        words += [0, 0, 0, 0]
    return (ctypes.c_uint64 * len(words))(*words), kept


def inet(port: int) -> bytes:
    """`struct sockaddr_in` of the loopback."""
    return struct.pack("=H", 2) + struct.pack(">H", port) + bytes([127, 0, 0, 1]) + bytes(8)


def test_every_message_is_an_event(trace: Tracer) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as a, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as b:
        a.bind(("127.0.0.1", 0))
        b.bind(("127.0.0.1", 0))
        here, there = a.getsockname()[1], b.getsockname()[1]
        sent, kept = messages((inet(there), [b"ab", b"cde"]), (inet(here), [b"x" * 100]))
        results: list[int] = []
        events = trace("sendmmsg", lambda: results.append(syscall("sendmmsg", a.fileno(), sent, 2, 0)))
        assert results == [2]
        assert [e["params"] for e in events] == [
            {
                "res": 5,
                "fd": a.fileno(),
                "size": 5,
                "data": b"abcde",
                "tuple": (2, "127.0.0.1", here, "127.0.0.1", there),
            },
            {
                "res": 100,
                "fd": a.fileno(),
                "size": 100,
                "data": b"x" * 80,
                "tuple": (2, "127.0.0.1", here, "127.0.0.1", here),
            },
        ]
        del kept


def test_as_many_messages_as_a_call_takes(trace: Tracer) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.1", 9))
        sent, kept = messages(*[(None, [index.to_bytes(2, "big")]) for index in range(1024)])
        results: list[int] = []

        def action() -> None:
            done = 0
            while done < 1024:  # a refusal of the peer's may come in between
                at = ctypes.byref(sent, 64 * done)
                results.append(syscall("sendmmsg", sock.fileno(), at, 1024 - done, 0))
                done += max(0, results[-1])

        events = [e["params"] for e in trace("sendmmsg", action)]
        assert [int.from_bytes(e["data"], "big") for e in events if e["res"] > 0] == list(range(1024))
        assert len([e for e in events if e["res"] < 0]) == len([r for r in results if r < 0])
        del kept


def test_no_socket(trace: Tracer) -> None:
    sent, kept = messages((inet(9), [b"ab"]))
    result, params = trace.call("sendmmsg", 9977, sent, 1, 0)
    assert result == -9
    assert params == {"res": -9, "fd": 9977, "size": 2, "data": b"ab", "tuple": None}
    del kept
