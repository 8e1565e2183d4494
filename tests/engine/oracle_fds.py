"""The slow oracle's descriptors: what a number stands for after the events that open, copy, connect and close."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

AT_FDCWD = -100
O_DIRECTORY, O_CLOEXEC = 1024, 4096
F_DUPFD, F_SETFD, F_DUPFD_CLOEXEC = 1, 3, 26
EBADF = -9

Params = dict[str, Any]


def joined(base: str, path: str) -> str:
    """A path below a directory, without `.`, `..` and empty parts."""
    whole = path if path.startswith("/") else f"{base}/{path}"
    parts: list[str] = []
    for part in whole.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return ("/" if whole.startswith("/") else "") + "/".join(parts)


def directory(path: str) -> str:
    """As working directories are written: with a slash at the end."""
    return path.rstrip("/") + "/"


@dataclass
class Descriptor:
    """What a number stands for."""

    type: str
    name: str = ""
    cloexec: bool = False
    dev: int = 0
    ino: int = 0
    l4proto: str | None = None
    role: str | None = None
    connected: bool = False
    source: Any = None
    destination: Any = None
    pid: int = 0

    def describe(self) -> Params:
        """All but the process that a handle is of, which only its name tells."""
        return {key: value for key, value in vars(self).items() if key != "pid"}


@dataclass
class Process:
    """What the threads of a group share."""

    pid: int
    cwd: str
    root: str
    sid: int
    pgid: int
    vpgid: int
    members: list[int] = field(default_factory=list)
    reaper: bool = False
    fds: dict[int, Descriptor] = field(default_factory=dict)


@dataclass
class Thread:
    """One thread; without a process it is one that nobody announced."""

    tid: int
    process: Process | None = None
    ptid: int = -1
    vtid: int = -1
    vpid: int = -1
    facts: dict[str, Any] = field(default_factory=dict)
    inverted: bool = False
    in_pidns: bool = False
    dead: bool = False


class Descriptors:
    """The events that change descriptors."""

    def __init__(self) -> None:
        self.threads: dict[int, Thread] = {}
        self.later: list[Callable[[], None]] = []

    def _new(self, process: Process, number: int, kind: str, *, cloexec: Any = False, **facts: Any) -> None:
        if number >= 0:
            process.fds[number] = Descriptor(kind, cloexec=bool(cloexec), **facts)

    # Files

    def _file(self, process: Process, p: Params, name: str, flags: int) -> None:
        kind = "directory" if flags & O_DIRECTORY else "file"
        facts = {"name": name, "dev": p["dev"], "ino": p["ino"]}
        self._new(process, p["fd"], kind, cloexec=flags & O_CLOEXEC, **facts)

    def _open(self, thread: Thread, process: Process, p: Params) -> None:
        self._file(process, p, joined(process.cwd, p["name"]), p["flags"])

    def _creat(self, thread: Thread, process: Process, p: Params) -> None:
        self._file(process, p, joined(process.cwd, p["name"]), 0)

    def _openat(self, thread: Thread, process: Process, p: Params) -> None:
        at = process.fds.get(p["dirfd"])
        base = process.cwd if p["dirfd"] == AT_FDCWD else at.name if at else "<UNKNOWN>"
        self._file(process, p, joined(base, p["name"]), p["flags"])

    _openat2 = _openat

    def _open_by_handle_at(self, thread: Thread, process: Process, p: Params) -> None:
        self._file(process, p, joined("/", p["path"]), p["flags"])

    # Numbers

    def _close(self, thread: Thread, process: Process, p: Params) -> None:
        if p["res"] != EBADF:
            self.later.append(lambda: self._forget_fd(process, p["fd"]))

    @staticmethod
    def _forget_fd(process: Process, number: int) -> None:
        process.fds.pop(number, None)

    def _close_range(self, thread: Thread, process: Process, p: Params) -> None:
        if p["res"] < 0:
            return
        for number in [number for number in process.fds if p["first"] <= number <= p["last"]]:
            if p["flags"] & 4:
                process.fds[number].cloexec = True
            else:
                del process.fds[number]

    def _copy(self, process: Process, number: int, original: Descriptor | None, cloexec: Any) -> None:
        if number < 0:
            return
        if original is None:
            process.fds.pop(number, None)
        else:
            process.fds[number] = replace(original, cloexec=bool(cloexec))

    def _dup(self, thread: Thread, process: Process, p: Params) -> None:
        if p["res"] != p["oldfd"]:
            self._copy(process, p["res"], process.fds.get(p["oldfd"]), p.get("flags", 0) & O_CLOEXEC)

    _dup2 = _dup3 = _dup

    def _fcntl(self, thread: Thread, process: Process, p: Params) -> None:
        if p["cmd"] in (F_DUPFD, F_DUPFD_CLOEXEC):
            self._copy(process, p["res"], process.fds.get(p["fd"]), p["cmd"] == F_DUPFD_CLOEXEC)
        elif p["cmd"] == F_SETFD and p["res"] >= 0 and p["fd"] in process.fds:
            process.fds[p["fd"]].cloexec = bool(p["arg"] & 1)

    def _pidfd_getfd(self, thread: Thread, process: Process, p: Params) -> None:
        handle = process.fds.get(p["pid_fd"])
        target = self.threads.get(handle.pid) if handle else None
        fds = target.process.fds if target and target.process else {}
        self._copy(process, p["fd"], fds.get(p["target_fd"]), True)

    # What has no name

    def _pipe(self, thread: Thread, process: Process, p: Params) -> None:
        if p["res"] >= 0:
            for number in (p["fd1"], p["fd2"]):
                self._new(process, number, "pipe", ino=p["ino"], cloexec=p.get("flags", 0) & O_CLOEXEC)

    _pipe2 = _pipe

    def _eventfd(self, thread: Thread, process: Process, p: Params) -> None:
        self._new(process, p["res"], "event")

    def _signalfd(self, thread: Thread, process: Process, p: Params) -> None:
        self._new(process, p["res"], "signalfd")

    def _inotify_init(self, thread: Thread, process: Process, p: Params) -> None:
        self._new(process, p["res"], "inotify")

    def _epoll_create(self, thread: Thread, process: Process, p: Params) -> None:
        self._new(process, p["res"], "eventpoll")

    def _eventfd2(self, thread: Thread, process: Process, p: Params) -> None:
        self._new(process, p["res"], "event", cloexec=p["flags"] & O_CLOEXEC)

    def _signalfd4(self, thread: Thread, process: Process, p: Params) -> None:
        if p["res"] != p["fd"]:
            self._new(process, p["res"], "signalfd", cloexec=p["flags"] & O_CLOEXEC)

    def _timerfd_create(self, thread: Thread, process: Process, p: Params) -> None:
        self._new(process, p["res"], "timerfd")

    def _inotify_init1(self, thread: Thread, process: Process, p: Params) -> None:
        self._new(process, p["res"], "inotify", cloexec=p["flags"] & O_CLOEXEC)

    def _epoll_create1(self, thread: Thread, process: Process, p: Params) -> None:
        self._new(process, p["res"], "eventpoll", cloexec=p["flags"] & 1)

    def _userfaultfd(self, thread: Thread, process: Process, p: Params) -> None:
        self._new(process, p["res"], "userfaultfd", cloexec=p["flags"] & O_CLOEXEC)

    def _io_uring_setup(self, thread: Thread, process: Process, p: Params) -> None:
        self._new(process, p["res"], "io_uring", cloexec=True)

    def _bpf(self, thread: Thread, process: Process, p: Params) -> None:
        self._new(process, p["fd"], "bpf", cloexec=True)

    def _memfd_create(self, thread: Thread, process: Process, p: Params) -> None:
        self._new(process, p["fd"], "memfd", name=p["name"], cloexec=p["flags"] & 1)

    def _pidfd_open(self, thread: Thread, process: Process, p: Params) -> None:
        self._new(process, p["fd"], "pidfd", name=f"/proc/{p['pid']}", pid=p["pid"], cloexec=True)
