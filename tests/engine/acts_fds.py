"""What threads do to descriptors, for the model test; what the semantics leave open is not done, as comments say."""

import struct
from typing import Any

from tests.engine.acts import PATHS
from tests.engine.events import EVENTS
from tests.engine.oracle_fds import AT_FDCWD, EBADF, O_CLOEXEC, O_DIRECTORY, Process, Thread
from tests.engine.world import FDS, Act, Picks, World


def opened(world: World, thread: Thread, process: Process, picks: Picks) -> None:
    """Files and directories. Below what is no directory the kernel opens nothing."""
    name = picks.of(("openat", "open", "openat2", "creat", "open_by_handle_at"))
    params = {"fd": picks.new_fd(), "dev": picks.of((1, 2)), "ino": picks.of((10, 11)), "mode": 0}
    params["flags"] = 1 | picks.of((0, O_DIRECTORY, O_DIRECTORY, O_DIRECTORY | O_CLOEXEC, O_CLOEXEC))
    path, at = picks.of(PATHS), picks.of((AT_FDCWD, *FDS))
    there = process.fds.get(at)
    if there is not None and there.type != "directory":
        at = AT_FDCWD
    if there is None and at != AT_FDCWD and ".." in path:
        path = "a"
    params |= {"name": path, "dirfd": at, "path": "/h" + path, "resolve": 0, "mountfd": 0, "creat_flags": 0}
    world.tell(name, thread.tid, **{key: params[key] for key in params if key in {p[0] for p in EVENTS[name][6]}})


def close(world: World, thread: Thread, process: Process, picks: Picks) -> None:
    if picks.odd(3):
        first, last = picks.of(FDS), picks.of((2**32 - 1, 3, 0))
        flags = picks.of((0, 4))
        world.tell("close_range", thread.tid, res=picks.result(), first=first, last=last, flags=flags)
    else:
        world.tell("close", thread.tid, res=picks.of((0, 0, EBADF, -5, -4)), fd=picks.of((*FDS, -1)))


def copy(world: World, thread: Thread, process: Process, picks: Picks) -> None:
    name = picks.of(("dup", "dup2", "dup3", "fcntl", "fcntl", "fcntl"))
    old, new = picks.of([*process.fds, *FDS]), picks.new_fd()
    if name == "dup2" and picks.odd(3):
        new = old
    flags = picks.of((0, O_CLOEXEC))
    if name == "fcntl":
        command = picks.of((1, 26, 3, 3, 2))
        result = (picks.result() if command in (2, 3) else new) if command != 2 else picks.of((0, 1))
        world.tell(name, thread.tid, res=result, fd=old, cmd=command, arg=picks.of((1, 0)))
    elif new != old or name == "dup2":
        params = {"dup": {}, "dup2": {"newfd": abs(new)}, "dup3": {"newfd": abs(new), "flags": flags}}[name]
        world.tell(name, thread.tid, res=new, oldfd=old, **params)


def nameless(world: World, thread: Thread, process: Process, picks: Picks) -> None:
    """Pipes, events, timers and the like. What timerfd_create's flags were is not told."""
    name = picks.of(
        (
            *("pipe", "pipe2", "eventfd2", "signalfd4", "timerfd_create", "inotify_init1", "epoll_create1"),
            *("userfaultfd", "io_uring_setup", "bpf", "memfd_create", "eventfd", "epoll_create", "inotify_init"),
            "signalfd",
        )
    )
    number = picks.new_fd()
    table = [param[0] for param in EVENTS[name][6]]
    params: dict[str, Any] = {"initval": 0, "clockid": 0, "mask": 0, "entries": 1, "cmd": 0, "name": picks.of("mn")}
    params |= {
        "res": number,
        "fd": number,
        "flags": picks.of((0, 1 if name in ("epoll_create1", "memfd_create") else O_CLOEXEC)),
    }
    if name.startswith("signalfd"):
        params["fd"] = -1
    if name in ("timerfd_create", "inotify_init", "signalfd"):
        params["flags"] = 0
    if name.startswith("pipe"):
        params |= {"res": picks.result(), "fd1": picks.of(FDS), "fd2": picks.of(FDS), "ino": picks.of((50, 51))}
        if params["fd1"] == params["fd2"]:
            return
    world.tell(name, thread.tid, **{key: value for key, value in params.items() if key in table})


def handle(world: World, thread: Thread, process: Process, picks: Picks) -> None:
    """Handles of processes, and descriptors taken from them; only outside of namespaces, whose numbers are others."""
    if thread.tid != thread.vtid:
        return
    if picks.odd(2):
        flat = [t.tid for t in world.able() if t.process and t.tid == t.process.pid]
        if flat:
            world.tell("pidfd_open", thread.tid, fd=picks.new_fd(), pid=picks.of(flat), flags=0)
    else:
        handles = [number for number, fd in sorted(process.fds.items()) if fd.type == "pidfd"]
        at = picks.of((*handles, *handles, 6))
        other = world.oracle.threads.get(process.fds[at].pid) if at in handles else None
        target = picks.of((*(other.process.fds if other and other.process else ()), *FDS))
        world.tell("pidfd_getfd", thread.tid, fd=picks.new_fd(), pid_fd=at, target_fd=target, flags=0)


def handed(world: World, thread: Thread, process: Process, picks: Picks) -> None:
    """Descriptors that come with a message over a unix socket."""
    numbers = [number for number, fd in sorted(process.fds.items()) if fd.type == "unix"]
    rights = struct.pack("<Qiiii", 24, 1, 1, picks.of(FDS), picks.of(FDS))
    params = {"msgcontrol": picks.of((rights, None)), "fd": picks.of(numbers or (6,))}
    world.tell("recvmsg", thread.tid, res=picks.result(1), size=1, **params)


ACTS: dict[str, Act] = {
    "close": close,
    "copy": copy,
    "handle": handle,
    "handed": handed,
    "nameless": nameless,
    "open": opened,
    "open again": opened,
}
