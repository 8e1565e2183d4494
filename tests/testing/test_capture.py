"""What the writer of captures writes, the reader reads: every event, and the lists at the start."""

import socket
from typing import Any

import pytest

from tiercel._engine import Batch, CaptureReader, event_table
from tiercel.schemas import tables
from tiercel.testing.capture import Machine, capture

MACHINE = Machine("box", 3, 1 << 30, 4_194_304, 1_700_000_000_000_000_000)
SNAPSHOTS = {"thread_snapshot", "fd_snapshot", "interface_snapshot"}
CLONE_TS, EXE_FLAGS = 28, 21


def back(batch: Batch) -> list[dict[str, Any]]:
    reader, found = CaptureReader(), []
    reader.feed(capture(batch, MACHINE))
    reader.finish()
    while (part := reader.next(1000)) is not None:
        found += part.to_dicts()
    assert reader.skipped == 0
    return found


def written(batch: Batch, time: int) -> list[dict[str, Any]]:
    return [event | {"time": time or event["time"]} for event in batch.to_dicts()]


def an_event(batch: Batch) -> None:
    batch.append("close", time=5, tid=7, cpu=2, params=[0, 3])


def test_machine() -> None:
    batch, reader = Batch(), CaptureReader()
    an_event(batch)
    reader.feed(capture(batch, MACHINE))
    reader.next(1)
    assert reader.machine == {
        "hostname": "box",
        "num_cpus": 3,
        "memory_bytes": 1 << 30,
        "max_pid": 4_194_304,
        "boot_ts": 1_700_000_000_000_000_000,
        "flags": 0,
    }


@pytest.mark.parametrize("name", [name for _, name, _ in event_table() if name not in SNAPSHOTS])
def test_events_come_back_as_they_were(name: str) -> None:
    """With values that are their own: each parameter's bytes differ from its neighbours'."""
    event = next(event for event in tables.events() if event.name == name)
    batch = Batch()
    texts = {"charbuf", "fspath", "fsrelpath"}
    params = [f"p{n}" if p.type in texts else bytes([n + 1] * 8) for n, p in enumerate(event.params)]
    batch.append(name, time=11, tid=12, cpu=1, params=params)
    assert back(batch) == batch.to_dicts()


def test_a_thread_comes_back_but_for_its_start() -> None:
    batch = Batch()
    event = next(event for event in tables.events() if event.name == "thread_snapshot")
    width = {"uid": 4, "gid": 4, "uint32": 4, "flags32": 4, "charbuf": 0, "fspath": 0, "bytebuf": 0}
    params: list[Any] = []
    for number, param in enumerate(event.params):
        size = width.get(param.type, 8)
        params.append(number + 1 if size else b"t%d" % number if param.type == "bytebuf" else f"t{number}")
    params[CLONE_TS], params[EXE_FLAGS] = None, 0b1111
    batch.append("thread_snapshot", time=1, tid=9, params=params)
    thread = batch.to_dicts()[0]
    an_event(batch)
    found = back(batch)
    assert found[0] == thread | {"time": 0}
    assert found[1]["name"] == "close"


def test_descriptors_come_back() -> None:
    four = (2, "192.0.2.1", 4000, "198.51.100.2", 80)
    six = (10, "2001:db8::1", 4001, "2001:db8::2", 443)
    rows = [
        [0, 16, "/tmp/file", 3, 9, 77, None, None, None],
        [1, 7, "pipe:[5]", None, None, 5, None, None, None],
        [2, 3, None, None, None, 6, 2, four, None],
        [3, 4, None, None, None, 7, 3, six, None],
        [4, 5, None, None, None, 8, 2, None, (2, "0.0.0.0", 22)],
        [5, 6, None, None, None, 9, 2, None, (10, "::1", 8080)],
        [6, 8, "/run/s", None, None, 10, None, (1, 1, 2, "/run/s"), None],
    ]
    batch = Batch()
    for row in rows:
        batch.append("fd_snapshot", time=0, tid=9, params=row)
    expected = batch.to_dicts()
    an_event(batch)
    assert back(batch)[:-1] == expected


def test_an_open_file_keeps_its_flags() -> None:
    batch = Batch()
    batch.append("fd_snapshot", time=0, tid=9, params=[0, 1, "/tmp/file", 3, 9, 77, 0, None, None])
    an_event(batch)
    params = back(batch)[0]["params"]
    assert (params["kind"], params["name"], params["flags"], params["dev"]) == (16, "/tmp/file", 3, 9)


def test_users_groups_and_interfaces_come_back() -> None:
    batch = Batch()
    four = [socket.inet_aton(text) for text in ("192.0.2.1", "255.255.255.0", "192.0.2.255")]
    six = [socket.inet_pton(socket.AF_INET6, text) for text in ("2001:db8::1", "ffff::", "::")]
    batch.append("interface_snapshot", time=0, tid=-1, params=["eth0", *four])
    batch.append("interface_snapshot", time=0, tid=-1, params=["eth1", *six])
    batch.append("useradded", time=0, tid=-1, params=[5, 6, "ann", "/home/ann", "/bin/sh", ""])
    batch.append("groupadded", time=0, tid=-1, params=[6, "staff", ""])
    expected = batch.to_dicts()
    an_event(batch)
    assert back(batch)[:-1] == expected


def test_an_event_that_is_too_large_is_refused() -> None:
    batch = Batch()
    batch.append("execve", time=1, tid=1, params=[0, "x", b"a" * 66_000])
    with pytest.raises(ValueError, match="execve event"):
        capture(batch)
