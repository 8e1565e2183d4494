import socket
import struct
from typing import Any

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("setsockopt", 9977, 1, 2, 0, 0)
    assert result < 0
    assert params == {"res": result, "fd": 9977, "level": 1, "optname": 2, "val": (0, None), "optlen": 0}


def test_values_by_their_type(trace: Tracer) -> None:
    with socket.socket() as sock:
        number = trace.one("setsockopt", lambda: sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1))
        assert number == {"res": 0, "fd": sock.fileno(), "level": 1, "optname": 2, "val": (2, 1), "optlen": 4}
        time = trace.one("setsockopt", lambda: sock.setsockopt(1, socket.SO_RCVTIMEO, struct.pack("qq", 2, 5)))
        assert (time["optname"], time["val"], time["optlen"]) == (20, (4, 2_000_005_000), 16)


@pytest.mark.parametrize(("level", "name", "value", "told"), [
    (6, 1, b"\1\0\0\0", {"level": 2, "optname": 0, "val": (0, b"\1\0\0\0"), "optlen": 4}),
    (0, 2, b"\x20\0\0\0", {"level": 0, "optname": 0, "val": (0, b"\x20\0\0\0"), "optlen": 4}),
    (1, 13, bytes(8), {"level": 1, "optname": 13, "val": (0, bytes(8)), "optlen": 8}),
    (1, 47, b"\0\1\0\0", {"level": 1, "optname": 47, "val": (2, 256), "optlen": 4}),
])  # fmt: skip
def test_levels_and_layouts(trace: Tracer, level: int, name: int, value: bytes, told: dict[str, Any]) -> None:
    with socket.socket() as sock:
        params = trace.one("setsockopt", lambda: sock.setsockopt(level, name, value))
        assert params == {"res": 0, "fd": sock.fileno()} | told


@pytest.mark.parametrize(("number", "told"), [
    (45, 45), (49, 49), (50, 50), (51, 0), (52, 0), (53, 0), (54, 0), (55, 52), (56, 0), (57, 53), (58, 0), (59, 51),
    (60, 0), (1000, 0),
])  # fmt: skip
def test_the_newer_options_have_other_numbers_in_captures(trace: Tracer, number: int, told: int) -> None:
    result, params = trace.call("setsockopt", 9977, 1, number, b"", 0)
    assert params == {"res": result, "fd": 9977, "level": 1, "optname": told, "val": (0, None), "optlen": 0}
