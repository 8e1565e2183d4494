"""Processes of all kinds for tests/e2e/test_differential.py: each sets itself up, says so and holds still.

Run as `python -I -S workload.py FOLDER` with a pipe as input; ends when that is closed. A line of its output is
`ready CASE PID`, `cannot CASE REASON` where this machine refuses, or the last one, `all COUNT`. PID is that of the
process as /proc of the host has it.
"""

import contextlib
import ctypes
import errno
import fcntl
import os
import select
import signal
import socket
import struct
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.syscall.restype = ctypes.c_long
FOLDER = Path(sys.argv[1])
PROC = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY)
CASES: list[tuple[str, int, Callable[[], object]]] = []
# What a shell says in place of `ready` and `hold`; $1 is the name of its case.
SHELL = 'echo "ready $1 $$"; read line'
PR_SET_NAME, PR_SET_CHILD_SUBREAPER, PR_CAPBSET_DROP = 15, 36, 24
CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWPID, MS_REC_PRIVATE = 0x20000, 0x4000000, 0x20000000, 0x44000
INADDR_LOOP = "127.0.0.1"


def say(text: str) -> None:
    os.write(1, text.encode() + b"\n")


def ready(case: str) -> None:
    say(f"ready {case} {os.readlink('self', dir_fd=PROC)}")


def hold() -> None:
    """Until the input ends; nothing is ever written to it."""
    os.read(0, 1)


def case(reports: int = 1) -> Callable[[Callable[[], object]], Callable[[], object]]:
    """A case, run in a process of its own that reports when it returns, unless it ends in another program."""

    def add(run: Callable[[], object]) -> Callable[[], object]:
        CASES.append((run.__name__, reports, run))
        return run

    return add


def call(number: int, *arguments: int | bytes) -> int:
    """A system call that Python has no name for."""
    result: int = LIBC.syscall(
        ctypes.c_long(number), *(a if isinstance(a, bytes) else ctypes.c_long(a) for a in arguments)
    )
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def prctl(option: int, argument: int | bytes) -> None:
    call(157, option, argument, 0, 0, 0)


def child(name: str, run: Callable[[], object]) -> int:
    """A process that runs this, reports and holds."""
    pid = os.fork()
    if pid == 0:
        perform(name, run)
    return pid


def perform(name: str, run: Callable[[], object]) -> None:
    try:
        run()
        ready(name)
        hold()
    except BaseException:
        text = traceback.format_exc().replace("\n", " | ")
        say(f"cannot {name} {text}")
    os._exit(0)


def run_before_children() -> None:
    """A child of this process runs for the first time when this process waits or ends."""
    with contextlib.suppress(OSError):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(1))


def thread(run: Callable[[], object]) -> None:
    """A thread that has run this when this returns, and stays."""
    done = threading.Event()

    def body() -> None:
        run()
        done.set()
        hold()

    threading.Thread(target=body, daemon=True).start()
    done.wait()


def shell(name: str, *words: bytes, arg0: bytes = b"sh", program: str | int = "/bin/sh") -> None:
    os.execve(program, [arg0, b"-c", SHELL.encode(), b"sh", name.encode(), *words], os.environ)


# Processes and threads


@case()
def names() -> None:
    prctl(PR_SET_NAME, b"f\xffteen-bytes-and-more\0")
    thread(lambda: prctl(PR_SET_NAME, b"a thread\0"))
    thread(lambda: None)


@case(5)
def groups() -> None:
    child("groups", os.setsid)
    child("groups", lambda: os.setpgid(0, 0))
    first = child("groups", lambda: None)
    second = child("groups", lambda: None)
    os.setpgid(first, first)
    os.setpgid(second, first)


@case(2)
def tree() -> None:
    """A child of a thread: in /proc it is one of the process."""
    thread(lambda: child("tree", lambda: None))


@case(3)
def orphans() -> None:
    """A process whose parent is gone, and one whose grandparent takes orphans."""
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    middle = os.fork()
    if middle == 0:
        run_before_children()
        child("orphans", lambda: child("orphans", lambda: None))
        os._exit(0)
    os.waitpid(middle, 0)


@case(2)
def of_a_thread_that_ended() -> None:
    worker = threading.Thread(target=lambda: child("of_a_thread_that_ended", lambda: None))
    worker.start()
    worker.join()


@case()
def threads_that_ended() -> None:
    thread(lambda: None)
    for _ in range(9):
        worker = threading.Thread(target=os.getuid)
        worker.start()
        worker.join()


@case()
def executed_by_a_thread() -> None:
    os.open("/etc/hostname", os.O_RDONLY)
    threading.Thread(target=lambda: shell("executed_by_a_thread")).start()
    hold()


# Programs


@case()
def no_utf8() -> None:
    shell("no_utf8", b"\xfe\xff", b"", b"two words", b"\xe2\x82", "ä€".encode(), arg0=b"s\xffh")


@case()
def long_arguments() -> None:
    shell("long_arguments", *[b"x" * 100] * 30)


@case()
def script() -> None:
    path = FOLDER / "script.sh"
    path.write_text(f"#!/bin/sh\n{SHELL}\n")
    path.chmod(0o755)
    os.execv(path, [b"ignored", b"script"])


@case()
def by_descriptor() -> None:
    shell("by_descriptor", program=os.open("/bin/sh", os.O_RDONLY))


@case()
def from_memory() -> None:
    fd = os.memfd_create("program", 0)
    os.write(fd, Path("/bin/sh").read_bytes())
    shell("from_memory", program=fd)


@case()
def deleted_program() -> None:
    path = FOLDER / "deleted-program"
    path.write_bytes(Path("/bin/sh").read_bytes())
    path.chmod(0o755)
    read, write = os.pipe()
    if os.fork() == 0:
        os.close(write)
        os.read(read, 1)
        path.unlink()
        os._exit(0)
    os.dup2(write, 9)
    text = f"exec 9>&-; while [ -e {path} ]; do :; done; {SHELL}"
    os.execv(path, [b"sh", b"-c", text.encode(), b"sh", b"deleted_program"])


@case()
def twice() -> None:
    os.execv("/bin/sh", [b"sh", b"-c", b"exec /bin/sh -c 'echo \"ready twice $$\"; read line' again"])


@case(2)
def spawned() -> None:
    os.posix_spawn("/bin/sh", ["sh", "-c", SHELL, "sh", "spawned"], os.environ)


@case()
def kept_over_exec() -> None:
    for number, cloexec in enumerate([True, False] * 3):
        fd = os.open("/etc/hostname", os.O_RDONLY | os.O_CLOEXEC)
        os.set_inheritable(fd, not cloexec)
        fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC if number % 2 else fcntl.F_DUPFD, 40)
    timer = call(283, 1, os.O_CLOEXEC)
    os.dup2(timer, 60, inheritable=True)
    call(283, 1, 0)
    shell("kept_over_exec")


# Users


@case()
def user() -> None:
    os.setgroups([65534])
    os.setgid(65534)
    os.setuid(65534)


@case()
def user_for_a_while() -> None:
    os.setresgid(-1, 12, -1)
    os.setresuid(-1, 13, -1)


@case()
def user_and_back() -> None:
    os.seteuid(13)
    os.seteuid(0)
    os.setregid(14, 15)


@case()
def user_executes() -> None:
    os.setresgid(77, 77, 77)
    os.setresuid(78, 78, 78)
    shell("user_executes")


@case()
def capabilities() -> None:
    """All but three, of which one is not in effect."""
    kept = 1 << 1 | 1 << 7 | 1 << 21
    effective = 1 << 1 | 1 << 21
    words = [effective, kept, 1 << 1, 0, 0, 0]
    call(126, struct.pack("=Ii", 0x20080522, 0), struct.pack("=6I", *words))


# Places


@case()
def directory() -> None:
    (FOLDER / "a/b").mkdir(parents=True, exist_ok=True)
    os.chdir(FOLDER)
    os.chdir("a/./b/../b")
    os.open("../../a", os.O_RDONLY | os.O_DIRECTORY)


@case()
def directory_by_descriptor() -> None:
    os.fchdir(os.open("/usr/lib", os.O_RDONLY | os.O_DIRECTORY))
    os.open(b"../share", os.O_RDONLY | os.O_DIRECTORY)


@case()
def directory_of_a_thread() -> None:
    thread(lambda: os.chdir("/usr/share"))


@case()
def directory_gone() -> None:
    (FOLDER / "gone").mkdir()
    os.chdir(FOLDER / "gone")
    (FOLDER / "gone").rmdir()


@case()
def directory_behind_a_link() -> None:
    (FOLDER / "link").symlink_to("/usr/lib")
    os.chdir(FOLDER / "link")
    os.open("os-release", os.O_RDONLY)


@case(2)
def root() -> None:
    (FOLDER / "root/inner").mkdir(parents=True)
    (FOLDER / "root/inner/file").touch()
    os.chroot(FOLDER / "root")
    os.chdir("/inner")
    os.open("file", os.O_RDONLY)
    child("root", lambda: os.open("/inner/file", os.O_RDONLY))


@case(3)
def namespaces() -> None:
    call(272, CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWUTS)

    def init() -> None:
        (FOLDER / "mount").mkdir()
        if LIBC.mount(b"none", b"/", None, MS_REC_PRIVATE, None) or LIBC.mount(
            b"tmpfs", os.fsencode(FOLDER / "mount"), b"tmpfs", 0, None
        ):
            raise OSError(ctypes.get_errno(), "mount")
        (FOLDER / "mount/file").touch()
        os.open(FOLDER / "mount/file", os.O_RDONLY)
        os.setsid()
        child("namespaces", lambda: (os.setpgid(0, 0), thread(lambda: None)))

    child("namespaces", init)


@case(3)
def orphans_of_a_namespace() -> None:
    call(272, CLONE_NEWPID)

    def init() -> None:
        middle = os.fork()
        if middle == 0:
            os.open("/etc/hostname", os.O_RDONLY)
            run_before_children()
            child("orphans_of_a_namespace", os.setsid)
            os._exit(0)
        os.waitpid(middle, 0)

    child("orphans_of_a_namespace", init)


# Files


@case()
def files() -> None:
    os.chdir(FOLDER)
    folder = os.open(FOLDER, os.O_RDONLY | os.O_DIRECTORY)
    for name in (b"plain", b"n\xffame", b"two words", b"-", "ä€".encode(), b"x" * 255):
        os.open(name, os.O_CREAT | os.O_RDWR, 0o600, dir_fd=folder)
    os.open(FOLDER / "removed", os.O_CREAT | os.O_WRONLY)
    (FOLDER / "removed").unlink()
    os.open(FOLDER / "before", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    (FOLDER / "before").rename(FOLDER / "after")
    os.open("/usr", os.O_RDONLY)
    os.open("/etc/hostname", os.O_PATH)
    os.open("/dev/null", os.O_RDWR)
    os.open(f"/proc/self/fd/{folder}", os.O_RDONLY)
    os.open(FOLDER, os.O_TMPFILE | os.O_RDWR, 0o600)
    os.mkfifo(FOLDER / "fifo")
    os.open(FOLDER / "fifo", os.O_RDWR)
    os.open("/proc/self/ns/net", os.O_RDONLY)
    os.close(os.open("/etc/passwd", os.O_RDONLY))
    call(85, os.fsencode(FOLDER / "made") + b"\0", 0o600)
    (FOLDER / "sub").mkdir()
    call(2, b"./sub/../plain\0", os.O_RDONLY)
    call(437, folder, b"plain\0", struct.pack("=QQQ", os.O_RDWR | os.O_CLOEXEC, 0, 0), 24)
    thread(lambda: os.open(b"//etc//./hosts", os.O_RDONLY))


@case()
def many_files() -> None:
    for number in range(300):
        fd = os.open("/etc/hostname", os.O_RDONLY)
        if number % 3 == 0:
            os.close(fd)


@case()
def copies() -> None:
    file = os.open("/etc/hostname", os.O_RDONLY)
    os.dup(file)
    os.dup2(file, 50)
    os.dup2(file, 51, inheritable=False)
    os.dup2(1, 51)
    os.dup2(51, 51)
    call(292, file, 52, os.O_CLOEXEC)
    fcntl.fcntl(file, fcntl.F_DUPFD, 70)
    fcntl.fcntl(file, fcntl.F_DUPFD_CLOEXEC, 70)
    fcntl.fcntl(50, fcntl.F_SETFD, fcntl.FD_CLOEXEC)
    fcntl.fcntl(52, fcntl.F_SETFD, 0)
    os.set_inheritable(os.dup(file), True)
    fcntl.ioctl(os.dup2(file, 53), 0x5451)  # FIOCLEX


@case()
def ranges() -> None:
    for number in range(80, 90):
        os.dup2(1, number)
    call(436, 81, 83, 0)
    call(436, 85, 87, 4)  # CLOSE_RANGE_CLOEXEC
    os.closerange(88, 89)


@case()
def ranges_after_unshare() -> None:
    for number in range(80, 90):
        os.dup2(1, number)
    call(436, 82, 2**32 - 1, 2)  # CLOSE_RANGE_UNSHARE


@case()
def pipes() -> None:
    os.pipe()
    os.pipe2(0)
    os.pipe2(os.O_DIRECT | os.O_NONBLOCK)


@case()
def anonymous() -> None:
    os.eventfd(0)
    os.eventfd(0, os.EFD_CLOEXEC)
    call(284, 0)
    select.epoll()
    call(213, 1)
    call(283, 1, 0)
    call(283, 1, os.O_CLOEXEC)
    call(282, -1, b"\0" * 8, 8)
    call(289, -1, b"\0" * 8, 8, os.O_CLOEXEC)
    call(253)
    call(294, os.O_CLOEXEC)
    os.memfd_create("kept", 0)
    os.memfd_create("closed")
    os.pidfd_open(os.getpid())
    os.pidfd_open(os.getppid())


@case()
def io_uring() -> None:
    call(425, 4, b"\0" * 120)


@case()
def bpf_map() -> None:
    call(321, 0, struct.pack("=IIII", 2, 4, 4, 1) + b"\0" * 100, 116)


@case()
def userfaultfd() -> None:
    call(323, os.O_CLOEXEC)


@case()
def fanotify() -> None:
    call(300, 0, 0)


# Sockets

KEPT: list[socket.socket] = []


def keep(*sockets: socket.socket) -> socket.socket:
    KEPT.extend(sockets)
    return sockets[0]


@case()
def tcp() -> None:
    for family, host in ((socket.AF_INET, INADDR_LOOP), (socket.AF_INET6, "::1")):
        server = keep(socket.create_server((host, 0), family=family))
        client = keep(socket.create_connection(server.getsockname()[:2]))
        keep(server.accept()[0], client)


@case(2)
def tcp_of_two() -> None:
    server = keep(socket.create_server((INADDR_LOOP, 0)))
    child("tcp_of_two", lambda: (keep(socket.create_connection(server.getsockname())), server.close()))
    keep(server.accept()[0])
    server.close()


@case()
def tcp_dual() -> None:
    server = keep(socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True))
    keep(socket.create_connection((INADDR_LOOP, server.getsockname()[1])))
    keep(server.accept()[0])


@case()
def tcp_unconnected() -> None:
    keep(socket.socket())
    bound = keep(socket.socket())
    bound.bind((INADDR_LOOP, 0))
    refused = keep(socket.socket())
    assert refused.connect_ex(bound.getsockname()) == errno.ECONNREFUSED
    os.set_inheritable(keep(socket.socket()).fileno(), True)


@case()
def tcp_later() -> None:
    server = keep(socket.create_server(("", 0)))
    client = keep(socket.socket())
    client.setblocking(False)
    assert client.connect_ex((INADDR_LOOP, server.getsockname()[1])) == errno.EINPROGRESS
    keep(server.accept()[0])
    select.select([], [client], [])


@case()
def udp() -> None:
    for family, host in ((socket.AF_INET, INADDR_LOOP), (socket.AF_INET6, "::1")):
        server = keep(socket.socket(family, socket.SOCK_DGRAM))
        server.bind((host, 0))
        client = keep(socket.socket(family, socket.SOCK_DGRAM))
        client.connect(server.getsockname())
        client.send(b"1")
        keep(socket.socket(family, socket.SOCK_DGRAM))


@case()
def udp_unconnected() -> None:
    server = keep(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    server.bind((INADDR_LOOP, 0))
    client = keep(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    client.sendto(b"1", server.getsockname())
    server.recvfrom(9)
    client.sendto(b"1", server.getsockname())


@case()
def unix() -> None:
    for name in (os.fsencode(FOLDER / "stream"), b"\0tiercel-" + os.fsencode(FOLDER.name)):
        server = keep(socket.socket(socket.AF_UNIX))
        server.bind(name)
        server.listen()
        client = keep(socket.socket(socket.AF_UNIX))
        client.connect(name)
        keep(server.accept()[0])
    datagrams = keep(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
    datagrams.bind(os.fsencode(FOLDER / "datagram"))
    client = keep(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
    client.connect(os.fsencode(FOLDER / "datagram"))
    client.send(b"1")
    keep(*socket.socketpair())
    keep(*socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET))
    keep(socket.socket(socket.AF_UNIX))


@case()
def unusual_sockets() -> None:
    keep(socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0))
    keep(socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0))
    keep(socket.socket(socket.AF_INET, socket.SOCK_RAW, 1))


@case(2)
def passed() -> None:
    """A descriptor that comes over a socket, once to a free number, once to one that was something else."""
    ours, theirs = keep(*socket.socketpair()), KEPT[-1]

    def receive() -> None:
        os.close(os.open("/etc/passwd", os.O_RDONLY))
        socket.recv_fds(theirs, 9, 3)

    child("passed", receive)
    socket.send_fds(ours, [b"1"], [os.open("/etc/hostname", os.O_RDONLY), os.open("/usr", os.O_RDONLY)])
    thread(lambda: None)


@case(2)
def fetched() -> None:
    fd = os.open("/etc/hostname", os.O_RDONLY)
    owner = os.getpid()
    child("fetched", lambda: call(438, os.pidfd_open(owner), fd, 0))


def main() -> None:
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for name, _, run in CASES:
        child(name, run)
    say(f"all {sum(count for _, count, _ in CASES)}")
    hold()


main()
