"""What a host is when the collector starts, and what a process is that nobody announced, as events: users, interfaces,
threads and descriptors, read from /proc.

Processes come and go while this reads: whatever is gone by then is left out, and so are kernel threads. Values of
environment variables do not leave the host: `env` stays empty. The time of a process's description is that at which it
was begun: what happened before is in it, and what happens later is told by events, though some of it may be in it, too.
"""

import os
import resource
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tiercel._engine import Batch
from tiercel.collector import descriptors, interfaces, statx
from tiercel.collector.descriptors import Tables, lines, link

_TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
_CLONE_THREAD, _CLONE_FILES, _CHILD_IN_PIDNS = 8192, 1, 536_870_912
_EXE_WRITABLE, _EXE_MEMFD = 1, 4
_NO_ID = 0xFFFF_FFFF
_PF_KTHREAD, _PF_EXITING = 0x0020_0000, 4
# Where cgroup v2 has one path, captures name these controllers.
_CONTROLLERS = ("cpuset", "cpu", "cpuacct", "io", "memory")


# Of one process: what the engine keeps at most, and a bound for what /proc makes up.
_THREADS_MAX, _FDS_MAX = 16_384, 4096
_ANCESTORS_MAX = 64


def snapshot(
    batch: Batch,
    root: Path = Path("/proc"),
    *,
    clock: Callable[[], int] = time.time_ns,
    known: Callable[[int], object] = int,
) -> None:
    """Append the whole state of the host to the batch. `known` is told of each process before it is looked at; `clock`
    gives UTC ns.
    """
    now = clock()
    # Of the kernel's two clocks, start times are told in the one that counts suspended time.
    offset = time.time_ns() - time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    _users(batch, now)
    interfaces.append(batch, now)
    processes: list[_Process] = []
    files, tables = Batch(), Tables(again=True)
    for pid in sorted(int(entry.name) for entry in os.scandir(root) if entry.name.isdigit()):
        known(pid)
        told = clock()
        try:
            process = _process(root / str(pid), offset, told)
        except (OSError, ValueError, IndexError, KeyError):
            continue
        if process is not None:
            processes.append(process)
            descriptors.append(files, told, root / str(pid), tables, _FDS_MAX)
    inits = {process.pid_namespace: process.started for process in processes if process.vpid == 1}
    for process in processes:
        process.append(batch, inits.get(process.pid_namespace, 0))
    tables.rest(files)
    batch.extend(files)


class Description:
    """A process that exists; ValueError or OSError where it does not, or is not the one that `before` tells of.

    `before` is a time of CLOCK_BOOTTIME at which it existed: numbers are used again.
    """

    def __init__(self, root: Path, pid: int, before: int, offset: int) -> None:
        """Reads who `pid` is; the rest is read by `append`."""
        self._path, self._root, self._before, self._offset = root / str(pid), root, before, offset
        self._check(self._path)
        self.parent = 0

    def append(self, batch: Batch, tables: Tables, clock: Callable[[], int], only: int | None = None) -> bool:
        """Append the process with its descriptors, or the thread `only` alone; whether nothing was missing."""
        if only is not None:
            self._check(self._path / "task" / str(only))
        told = clock()
        process = _process(self._path, self._offset, told, only)
        if process is None:
            return False
        self.parent = process.ppid
        files = Batch()
        if only is None:
            descriptors.append(files, told, self._path, tables, _FDS_MAX)
        process.append(batch, _init_started(self._root, process, self._offset))
        batch.extend(files)
        return bool(process.exepath and process.comms)

    def _check(self, path: Path) -> None:
        if int(_numbers(path)[19]) * _TICK_NS > self._before:
            raise ValueError("another has the number now")


def _init_started(root: Path, process: "_Process", offset: int) -> int:
    """When the namespace of a process began, as its init tells, if that is among the ancestors; 0: unknown."""
    pid, vpid = (1, 1) if process.vpid == process.pid else (process.pid, process.vpid)
    try:
        for _ in range(_ANCESTORS_MAX):
            place = root / str(pid)
            if os.fsdecode(link(place / "ns" / "pid")) != process.pid_namespace:
                return 0
            numbers = _numbers(place)
            if vpid == 1:
                return offset + int(numbers[19]) * _TICK_NS
            pid = int(numbers[1])
            vpid = int(_status(root / str(pid))["NSpid"].split()[-1])
    except (OSError, ValueError, IndexError, KeyError):
        pass
    return 0


def _users(batch: Batch, now: int) -> None:
    for line in lines(Path("/etc/passwd")):
        name, _, uid, gid, _, home, shell, *_ = [*line.split(":"), *[""] * 7]
        if uid.isdigit() and gid.isdigit():
            batch.append("useradded", time=now, tid=-1, params=[int(uid), int(gid), name, home, shell, ""])
    for line in lines(Path("/etc/group")):
        name, _, gid, *_ = [*line.split(":"), *[""] * 3]
        if gid.isdigit():
            batch.append("groupadded", time=now, tid=-1, params=[int(gid), name, ""])


@dataclass
class _Process:
    """One process as /proc tells it."""

    told: int
    pid: int
    ppid: int
    sid: int
    pgid: int
    vpid: int
    vpgid: int
    vtids: dict[int, int]
    comms: dict[int, bytes]
    exepath: bytes
    arguments: list[bytes]
    cwd: bytes
    root: bytes
    cgroups: bytes
    uid: int
    gid: int
    login: int
    tty: int
    started: int
    pid_namespace: str
    memory: tuple[int, int, int]
    faults: tuple[int, int]
    limit: int
    capabilities: tuple[int, int, int]
    exe: statx.Facts | None = field(default=None)

    def append(self, batch: Batch, pidns_start: int) -> None:
        for tid, comm in self.comms.items():
            self._append_thread(batch, tid, comm, pidns_start)

    def _append_thread(self, batch: Batch, tid: int, comm: bytes, pidns_start: int) -> None:
        exe = self.exe
        flags = (_CLONE_THREAD | _CLONE_FILES if tid != self.pid else 0) | (
            _CHILD_IN_PIDNS if self.vpid != self.pid else 0
        )
        params: list[int | bytes | str | tuple[object, ...] | None] = [
            *(self.pid, self.ppid, self.sid, self.pgid, self.vpgid, self.vtids.get(tid, tid), self.vpid),
            comm,
            self.arguments[0] if self.arguments else comm,
            self.exepath,
            b"".join(argument + b"\0" for argument in self.arguments[1:])[:4096],
            b"",
            *(self.cwd, self.root, self.cgroups),
            *(self.limit, self.uid, self.gid, self.login, self.tty, flags, self._exe_flags()),
            *self.capabilities,
            *((exe.ino, exe.ctime, exe.mtime) if exe else (0, 0, 0)),
            self.started,
            pidns_start,
            *self.memory,
            *self.faults,
        ]
        batch.append("thread_snapshot", time=self.told, tid=tid, params=params)

    def _exe_flags(self) -> int:
        memfd = _EXE_MEMFD if self.exepath.startswith(descriptors.MEMFD[1:]) else 0
        if self.exe is None:
            return memfd
        mode = self.exe.mode
        mine = stat.S_IWUSR if self.exe.uid == self.uid else stat.S_IWGRP if self.exe.gid == self.gid else stat.S_IWOTH
        return memfd | (_EXE_WRITABLE if self.uid == 0 or mode & mine else 0)


def _numbers(path: Path) -> list[bytes]:
    """The fields of stat behind the name."""
    return (path / "stat").read_bytes().rpartition(b")")[2].split()


def _process(path: Path, offset: int, told: int, only: int | None = None) -> _Process | None:
    """A process with all threads, or with `only` one; None for those of the kernel and those that have begun to exit:
    their exit is an event of before, and nothing would take them away again.
    """
    numbers = _numbers(path)
    flags, threads = int(numbers[6]), int(numbers[17])
    if flags & _PF_KTHREAD or (flags & _PF_EXITING and threads <= 1):
        return None
    status = _status(path)
    pid = int(path.name)
    nested = [int(n) for n in status["NSpid"].split()]
    command = (path / "cmdline").read_bytes()
    comms: dict[int, bytes] = {}
    vtids: dict[int, int] = {}
    if only is not None and int(_numbers(path / "task" / str(only))[6]) & _PF_EXITING:
        return None
    tasks = [only] if only is not None else _tasks(path, pid)
    for tid in tasks[:_THREADS_MAX]:
        task = path / "task" / str(tid)
        try:
            comm = (task / "comm").read_bytes().removesuffix(b"\n")
            if len(nested) > 1:
                vtids[tid] = int(_status(task)["NSpid"].split()[-1])
        except (OSError, KeyError):
            continue  # this thread alone is gone
        comms[tid] = comm
    exepath = link(path / "exe").removesuffix(descriptors.DELETED)
    if exepath.startswith(descriptors.MEMFD):
        exepath = exepath[1:]  # as the kernel names it in an exec
    try:
        exe = statx.of(path / "exe")
    except OSError:
        exe = None
    return _Process(
        told=told,
        pid=pid,
        ppid=int(numbers[1]),
        sid=int(status["NSsid"].split()[-1]),
        pgid=int(numbers[2]),
        vpid=nested[-1],
        vpgid=int(status["NSpgid"].split()[-1]),
        vtids=vtids,
        comms=comms,
        exepath=exepath,
        arguments=command.removesuffix(b"\0").split(b"\0") if command else [],
        cwd=_place(path / "cwd"),
        root=link(path / "root"),
        cgroups=_cgroups(path / "cgroup"),
        uid=int(status["Uid"].split()[1]),
        gid=int(status["Gid"].split()[1]),
        login=_number(path / "loginuid", _NO_ID),
        tty=max(0, int(numbers[4])),
        started=offset + int(numbers[19]) * _TICK_NS,
        pid_namespace=os.fsdecode(link(path / "ns" / "pid")),
        memory=(_kilobytes(status, "VmSize"), _kilobytes(status, "VmRSS"), _kilobytes(status, "VmSwap")),
        faults=(int(numbers[9]), int(numbers[7])),
        limit=_limit(path),
        capabilities=(int(status["CapInh"], 16), int(status["CapPrm"], 16), int(status["CapEff"], 16)),
        exe=exe,
    )


def _tasks(path: Path, pid: int) -> list[int]:
    """The first thread first: who is told of a process by it forgets the others until they are told."""
    return sorted((int(entry.name) for entry in (path / "task").iterdir()), key=lambda tid: (tid != pid, tid))


def _status(path: Path) -> dict[str, str]:
    text = (path / "status").read_text(errors="surrogateescape")
    return {key: value.strip() for key, _, value in (line.partition(":") for line in text.splitlines())}


def _kilobytes(status: dict[str, str], key: str) -> int:
    return int(status.get(key, "0").split()[0])


def _number(path: Path, default: int) -> int:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return default


def _limit(path: Path) -> int:
    try:
        limit = resource.prlimit(int(path.name), resource.RLIMIT_NOFILE)[0]
    except OSError:
        # Of other users it takes CAP_SYS_RESOURCE; reading does not.
        words = [line.split() for line in lines(path / "limits") if line.startswith("Max open files")]
        return int(words[0][3]) if words and words[0][3].isdigit() else -1
    return -1 if limit == resource.RLIM_INFINITY else limit


def _cgroups(path: Path) -> bytes:
    """`subsys=path` with a NUL each, as captures have them."""
    found: dict[str, str] = {}
    unified = None
    for line in lines(path):
        _, _, rest = line.partition(":")
        names, _, place = rest.partition(":")
        if names:
            found |= dict.fromkeys(names.removeprefix("name=").split(","), place)
        else:
            unified = place
    if unified is not None:
        # A controller that has a hierarchy of its own is not in the unified one. Version 1 calls io blkio.
        own = found.keys() | ({"io"} if "blkio" in found else set())
        found |= dict.fromkeys((name for name in _CONTROLLERS if name not in own), unified)
    return b"".join(os.fsencode(f"{name}={place}") + b"\0" for name, place in found.items())[:4096]


def _place(path: Path) -> bytes:
    """Where a link leads, by the name that it had: that it is gone, the kernel says in the same words."""
    name = link(path)
    if name.endswith(descriptors.DELETED):
        try:
            if not statx.of(path).nlink:
                return name.removesuffix(descriptors.DELETED)
        except OSError:
            pass
    return name
