"""The networks of a simulated fleet: each kind of process reaches what it may, until its wire is cut."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tiercel.testing.fleet import network
from tiercel.testing.fleet.network import KAFKA, STORE, Network

pytestmark = pytest.mark.skipif(network.why_not() is not None, reason=str(network.why_not()))

CONNECT = """import socket, sys
socket.create_connection((sys.argv[1], int(sys.argv[2])), 1).close()"""
LISTEN = """import socket, sys
server = socket.create_server((sys.argv[1], 0)); print(server.getsockname()[1], flush=True)
while True: server.accept()[0].close()"""


def test_a_wire_that_is_cut_and_mended() -> None:
    with Network() as net:
        address = net.address(KAFKA, KAFKA)
        server = subprocess.Popen(
            [*net.inside(KAFKA), sys.executable, "-c", LISTEN, address], stdout=subprocess.PIPE, text=True
        )
        try:
            port = server.stdout.readline().strip()

            def reaches(kind: str) -> bool:
                command = [*net.inside(kind), sys.executable, "-c", CONNECT, address, port]
                return subprocess.run(command, capture_output=True, check=False).returncode == 0

            assert reaches("worker") and reaches("sink")
            assert not reaches(STORE), "it is on the other network"
            with net.cut("worker", KAFKA):
                assert not reaches("worker")
                assert reaches("sink")
            assert reaches("worker")
            with net.cut("sink", STORE):
                assert reaches("sink"), "its other wire is whole"
            socket.create_connection((address, int(port)), 5).close()
        finally:
            server.kill()
            server.communicate()
        spaces = [net.inside(kind)[1].partition("=")[2] for kind in (KAFKA, STORE, "worker")]
        assert all(Path(space).exists() for space in spaces)
    assert not any(Path(space).exists() for space in spaces)
