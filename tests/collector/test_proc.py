"""The snapshot of a host: this very process, its parent, its files and sockets, told as events."""

import itertools
import os
import resource
import socket
import tempfile
from pathlib import Path
from typing import Any

import pytest

from tiercel._engine import Batch
from tiercel.collector import interfaces, proc


def _snapshot() -> list[dict[str, Any]]:
    batch = Batch()
    proc.snapshot(batch)
    return batch.to_dicts()


def _of_this_process() -> dict[int, dict[str, Any]]:
    found = [e for e in _snapshot() if e["name"] == "fd_snapshot" and e["tid"] == os.getpid()]
    return {e["params"]["fd"]: e["params"] for e in found}


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


def test_names_are_those_that_events_have(tmp_path: Path) -> None:
    """What /proc puts around a name, because a file is gone, or has none, is no part of it."""
    there, gone = tmp_path / "there (deleted)", tmp_path / "gone"
    memory, process = os.memfd_create("here"), os.pidfd_open(os.getppid())
    fds = [os.open(path, os.O_CREAT | os.O_RDWR) for path in (there, gone)]
    gone.unlink()
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(b"\0tiercel-" + os.urandom(4).hex().encode())
        found = _of_this_process()
        names = [found[fd]["name"] for fd in (*fds, memory, process, unix.fileno())]
        assert names == [str(there), str(gone), "here", f"/proc/{os.getppid()}", unix.getsockname()[1:].decode()]
        assert found[process]["kind"] == 21
    for fd in (*fds, memory, process):
        os.close(fd)


def test_sockets_that_are_in_no_table() -> None:
    made = [
        *(socket.socket(family, kind) for family in (socket.AF_INET, socket.AF_INET6) for kind in (1, 2)),
        socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0),
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0),
        socket.socket(socket.AF_INET, socket.SOCK_RAW, 1),
    ]
    found = _of_this_process()
    told = [(found[s.fileno()]["kind"], found[s.fileno()]["l4"], found[s.fileno()]["addr"]) for s in made]
    v4, v6 = [(3, 2, None), (3, 3, None)], [(4, 2, None), (4, 3, None)]
    assert told == [*v4, *v6, (15, 0, None), (10, 0, None), (3, 5, None)]
    for one in made:
        one.close()


def test_a_socket_that_comes_while_others_are_read() -> None:
    """Tables of sockets are read once, and again for those that were in none."""
    made: list[socket.socket] = []
    pid = os.getpid()

    def known(other: int) -> None:
        if other == pid:
            made.append(socket.create_server(("127.0.0.1", 0)))

    with socket.create_server(("127.0.0.1", 0)):
        batch = Batch()
        proc.snapshot(batch, known=known)
    fds = {e["params"]["fd"]: e["params"] for e in batch.to_dicts() if e["name"] == "fd_snapshot" and e["tid"] == pid}
    assert fds[made[0].fileno()]["addr"] == (2, *made[0].getsockname())
    made[0].close()


def test_each_controller_has_one_path(tmp_path: Path) -> None:
    path = tmp_path / "cgroup"
    path.write_text("9:name=systemd:/s\n7:blkio:/b\n2:cpu,cpuacct:/c\n0::/unified\n")
    told = b"systemd=/s\0blkio=/b\0cpu=/c\0cpuacct=/c\0cpuset=/unified\0memory=/unified\0"
    assert proc._cgroups(path) == told
    path.write_text("0::/u\n")
    assert proc._cgroups(path) == b"".join(f"{name}=/u\0".encode() for name in proc._CONTROLLERS)


def test_limits_of_processes_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = resource.getrlimit(resource.RLIMIT_NOFILE)[0]

    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(resource, "prlimit", refuse)
    assert proc._limit(Path(f"/proc/{os.getpid()}")) == expected
    assert proc._limit(Path("/proc/0")) == -1


def test_a_process_is_told_as_of_the_time_before_it_was_read() -> None:
    """So that what it does meanwhile is not taken to be in its description; and its first thread is told first."""
    times = itertools.count(1)
    batch, begun = Batch(), {}

    def clock() -> int:
        return next(times)

    proc.snapshot(batch, clock=clock, known=lambda pid: begun.setdefault(pid, next(times)))
    told = [e for e in batch.to_dicts() if e["name"] in ("thread_snapshot", "fd_snapshot")]
    first: set[int] = set()
    for event in told:
        pid = event["params"].get("pid", event["tid"])
        assert event["time"] == begun[pid] + 1
        if event["name"] == "thread_snapshot":
            assert pid == event["tid"] or pid in first
            first.add(event["tid"])
