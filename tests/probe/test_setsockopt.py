import socket
import struct

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
