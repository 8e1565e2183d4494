import ctypes
import socket

import pytest

from .conftest import Tracer, iovec, syscall

pytestmark = pytest.mark.bpf


def test_every_message_is_an_event(trace: Tracer) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as a, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as b:
        a.bind(("127.0.0.1", 0))
        b.bind(("127.0.0.1", 0))
        b.setsockopt(socket.SOL_SOCKET, 29, 1)  # SO_TIMESTAMP
        a.sendto(b"abcde", b.getsockname())
        a.sendto(b"x" * 100, b.getsockname())
        buffers = [ctypes.create_string_buffer(120) for _ in range(3)]
        vectors = [iovec(buffer) for buffer in buffers]
        names = [ctypes.create_string_buffer(16) for _ in range(3)]
        control = [ctypes.create_string_buffer(64) for _ in range(3)]
        words: list[int] = []
        for name, vector, extra in zip(names, vectors, control, strict=True):
            words += [ctypes.addressof(name), 16, ctypes.addressof(vector), 1, ctypes.addressof(extra), 64, 0, 0]
        room = (ctypes.c_uint64 * len(words))(*words)
        results: list[int] = []
        events = trace("recvmmsg", lambda: results.append(syscall("recvmmsg", b.fileno(), room, 3, 0x40, 0)))
        assert results == [2]
        tuple_ = (2, *a.getsockname(), *b.getsockname())
        assert [e["params"] for e in events] == [
            {
                "res": len(data),
                "fd": b.fileno(),
                "size": 120,
                "data": data[:80],
                "tuple": tuple_,
                "msgcontrol": extra.raw[:32],
            }
            for data, extra in zip((b"abcde", b"x" * 100), control, strict=False)
        ]
        assert control[0].raw[:8] == (32).to_bytes(8, "little")


def test_nothing_there(trace: Tracer) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        vector = iovec(ctypes.create_string_buffer(50))
        room = (ctypes.c_uint64 * 8)(0, 0, ctypes.addressof(vector), 1, 0, 0, 0, 0)
        result, params = trace.call("recvmmsg", sock.fileno(), room, 1, 0x40, 0)
        assert result == -11
        assert params == {
            "res": -11,
            "fd": sock.fileno(),
            "size": 50,
            "data": None,
            "tuple": None,
            "msgcontrol": None,
        }
