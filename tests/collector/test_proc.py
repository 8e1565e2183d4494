"""The snapshot of a host: this very process, its parent, its files and sockets, told as events."""

import os
import socket
import tempfile
from pathlib import Path
from typing import Any

from tiercel._engine import Batch
from tiercel.collector import interfaces, proc


def _snapshot() -> list[dict[str, Any]]:
    batch = Batch()
    proc.snapshot(batch)
    return batch.to_dicts()


def test_this_process_and_its_descriptors() -> None:
    with (
        tempfile.NamedTemporaryFile() as file,
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as client,
        socket.create_server(("::1", 0), family=socket.AF_INET6) as six,
    ):
        found = _snapshot()
        me = next(e for e in found if e["name"] == "thread_snapshot" and e["tid"] == os.getpid())["params"]
        fds = {e["params"]["fd"]: e["params"] for e in found if e["name"] == "fd_snapshot" and e["tid"] == os.getpid()}
        assert (me["pid"], me["ptid"], me["vpid"], me["sid"]) == (os.getpid(), os.getppid(), os.getpid(), os.getsid(0))
        assert me["exepath"] == str(Path("/proc/self/exe").readlink())
        assert me["cwd"] == str(Path.cwd())
        assert (me["uid"], me["gid"]) == (os.geteuid(), os.getegid())
        assert me["exe_ino"] == Path("/proc/self/exe").stat().st_ino
        assert b"=" not in (me["env"] or b"")
        assert me["comm"] == Path("/proc/self/comm").read_text().strip()

        stat = os.fstat(file.fileno())
        told = fds[file.fileno()]
        assert (told["kind"], told["name"], told["ino"]) == (1, file.name, stat.st_ino)
        assert told["flags"] & 3 == 3

        port, mine = server.getsockname()[1], client.getsockname()[1]
        assert (fds[server.fileno()]["kind"], fds[server.fileno()]["l4"]) == (5, 2)
        assert fds[server.fileno()]["addr"] == (2, "127.0.0.1", port)
        assert fds[client.fileno()]["kind"] == 3
        assert fds[client.fileno()]["tuple"] == (2, "127.0.0.1", mine, "127.0.0.1", port)
        assert fds[six.fileno()]["addr"] == (10, "::1", six.getsockname()[1])


def test_kinds_of_descriptors() -> None:
    read, write = os.pipe()
    folder = os.open("/tmp", os.O_RDONLY | os.O_DIRECTORY)
    event = os.eventfd(0)
    memory = os.memfd_create("here")
    pair = socket.socketpair()
    fds = [read, folder, event, memory, pair[0].fileno()]
    try:
        found = {
            e["params"]["fd"]: e["params"]
            for e in _snapshot()
            if e["name"] == "fd_snapshot" and e["tid"] == os.getpid()
        }
        assert [found[fd]["kind"] for fd in fds] == [7, 2, 9, 20, 8]
        assert found[folder]["name"] == "/tmp"
    finally:
        for fd in (read, write, folder, event, memory):
            os.close(fd)
        for end in pair:
            end.close()


def test_users_groups_and_interfaces() -> None:
    found = _snapshot()
    users = {e["params"]["uid"]: e["params"]["name"] for e in found if e["name"] == "useradded"}
    groups = {e["params"]["gid"]: e["params"]["name"] for e in found if e["name"] == "groupadded"}
    assert users[0] == "root"
    assert groups[0] == "root"
    loopback = [row for row in interfaces.addresses() if row[0] == "lo"]
    assert loopback[0][:3] == ("lo", b"\x7f\0\0\x01", b"\xff\0\0\0")


def test_users_come_before_threads_and_threads_before_descriptors() -> None:
    order = ["useradded", "groupadded", "interface_snapshot", "thread_snapshot", "fd_snapshot"]
    places = [order.index(e["name"]) for e in _snapshot()]
    assert [p for p in places if p > 1] == sorted(p for p in places if p > 1)
    batch = Batch()
    proc.snapshot(batch)
    assert batch.kernel_events == 0
