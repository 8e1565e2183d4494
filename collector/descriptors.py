"""Descriptors of processes as /proc tells them, as events; called by `proc`."""

import itertools
import os
import stat
from pathlib import Path
from typing import Any, NamedTuple

from tiercel._engine import Batch
from tiercel.collector import sockets, statx

DELETED, MEMFD = b" (deleted)", b"/memfd:"
_FILE, _DIRECTORY, _FIFO, _UNSUPPORTED, _BPF, _MEMORY, _PIDFD = 1, 2, 7, 10, 17, 20, 21
_ANONYMOUS = {
    **{"[eventfd]": 9, "[signalfd]": 11, "[eventpoll]": 12, "inotify": 13, "[inotify]": 13, "[timerfd]": 14},
    **{"[userfaultfd]": 18, "[io_uring]": 19, "[pidfd]": _PIDFD},
}
# (bit of the kernel, bit of the file_flags table); the access mode is apart.
_FLAGS = (
    *((os.O_CREAT, 4), (os.O_APPEND, 8), (os.O_DSYNC, 16), (os.O_EXCL, 32), (os.O_NONBLOCK, 64), (os.O_TRUNC, 256)),
    *((os.O_DIRECT, 512), (os.O_DIRECTORY, 1024), (os.O_CLOEXEC, 4096), (0o4000000, 128)),
)


def lines(path: Path) -> list[str]:
    try:
        return path.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return []


def link(path: Path) -> bytes:
    try:
        return os.readlink(os.fsencode(path))  # noqa: PTH115 - names of files are bytes
    except OSError:
        return b""


class _Missed(NamedTuple):
    """A socket that was in no table, and its event."""

    folder: Path
    namespace: str
    time: int
    tid: int
    params: list[Any]


class Tables:
    """The sockets of all namespaces, read when first asked for. With `again`, a socket that is in no table is told by
    `rest` alone: it may have come while other processes were read.
    """

    def __init__(self, *, again: bool = False) -> None:
        self._tables: dict[str, sockets.Table] = {}
        self.missed: list[_Missed] | None = [] if again else None

    def find(self, namespace: str, folder: Path, inode: int) -> sockets.Socket | None:
        return self._tables.setdefault(namespace, sockets.Table(folder)).find(inode)

    def rest(self, batch: Batch) -> None:
        """Append what was in no table, with what tables say by now."""
        fresh = Tables()
        for folder, namespace, told, tid, params in self.missed or []:
            place = fresh.find(namespace, folder, params[5])
            if place is not None:
                kind, name, *ends = _facts(place)
                params[1:3], params[6:] = (kind, name), ends
            batch.append("fd_snapshot", time=told, tid=tid, params=params)


def append(batch: Batch, told: int, path: Path, tables: Tables, most: int) -> None:
    """Append the descriptors of a process as of `told`, UTC ns; of more than `most`, those with the lowest numbers."""
    try:
        # The kernel lists them in the order of their numbers.
        with os.scandir(path / "fd") as entries:
            numbers = [int(entry.name) for entry in itertools.islice(entries, most)]
    except OSError:
        return
    for number in numbers:
        place = path / "fd" / str(number)
        name = link(place)
        try:
            found = statx.of(place)
            info = _info(path / "fdinfo" / str(number))
        except OSError:
            continue
        known, namespace = None, ""
        if name.startswith(b"socket:["):
            namespace = os.fsdecode(link(path / "ns" / "net"))
            known = tables.find(namespace, path / "net", found.ino)
            facts = _facts(known or sockets.of_no_table(place))
        else:
            facts = (*_kind(name, found, info), 0, None, None)
        kind, name, *ends = facts
        params = [number, kind, name, _flags(info), found.dev, found.ino, *ends]
        if namespace and known is None and tables.missed is not None:
            tables.missed.append(_Missed(path / "net", namespace, told, int(path.name), params))
        else:
            batch.append("fd_snapshot", time=told, tid=int(path.name), params=params)


def _facts(place: sockets.Socket) -> tuple[int, bytes, int, Any, Any]:
    """Kind, name, protocol, tuple and address of a socket."""
    return place.kind, place.path, place.l4, place.pair, place.address


def _kind(name: bytes, found: statx.Facts, info: dict[str, str]) -> tuple[int, bytes]:
    """What a descriptor is that is no socket, and its name: that of a memfd or a pidfd as its call gives it."""
    anonymous = name.removeprefix(b"anon_inode:")
    # A pidfd has a file system of its own since Linux 6.9.
    if name.startswith(b"pidfd:[") or anonymous == b"[pidfd]":
        return _PIDFD, b"/proc/" + info.get("Pid", "-1").encode()
    if anonymous != name:
        text = anonymous.decode(errors="replace")
        return _ANONYMOUS.get(text, _BPF if text.startswith("bpf") else _UNSUPPORTED), name
    if name.startswith(MEMFD):
        return _MEMORY, name.removeprefix(MEMFD).removesuffix(DELETED)
    if not found.nlink:
        name = name.removesuffix(DELETED)
    if stat.S_ISFIFO(found.mode):
        return _FIFO, name
    return _DIRECTORY if stat.S_ISDIR(found.mode) else _FILE, name


def _info(path: Path) -> dict[str, str]:
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines(path))}


def _flags(info: dict[str, str]) -> int:
    """Bits of the file_flags table."""
    try:
        bits = int(info["flags"], 8)
    except (KeyError, ValueError):
        return 0
    # The access modes 0, 1, 2 are 1 (read), 2 (write), 3 (both) in the table.
    return ((bits & os.O_ACCMODE) + 1) & 3 | sum(ours for theirs, ours in _FLAGS if bits & theirs == theirs)
