import socket

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("socketpair", 2, 1, 0, 0)
    assert result < 0
    assert params == {"res": result, "fd1": -1, "fd2": -1, "source": 0, "peer": 0, "domain": 2, "type": 1, "proto": 0}


def test_both_ends(trace: Tracer) -> None:
    ends: list[socket.socket] = []
    params = trace.one("socketpair", lambda: ends.extend(socket.socketpair()))
    assert (params["res"], params["fd1"], params["fd2"]) == (0, ends[0].fileno(), ends[1].fileno())
    assert params["source"] != params["peer"]
    assert min(params["source"], params["peer"]) > 2**63
    for end in ends:
        end.close()
