import fcntl
import os
import resource
import subprocess
import termios
from pathlib import Path
from typing import Any

import pytest

from .conftest import Tracer, memory, syscall

pytestmark = pytest.mark.bpf
EXE_WRITABLE = 1


def expected_cgroups(pid: int | str = "self") -> bytes:
    """`subsys=path` of the controllers that events carry, from /proc."""
    paths: dict[str, str] = {}
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        for name in controllers.split(",") if controllers else ["unified"]:
            paths["io" if name == "blkio" else name] = path
    names = ("cpuset", "cpu", "cpuacct", "io", "memory")
    return b"".join(f"{n}={paths.get(n, paths.get('unified', '/'))}\0".encode() for n in names)


def own_facts() -> dict[str, Any]:
    """What events of a failed exec say of this process, besides memory and page faults."""
    exe = os.path.realpath("/proc/self/exe")
    stat = Path(exe).stat()
    status = dict(line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":\t" in line)
    loginuid = Path("/proc/self/loginuid")
    return {
        "tid": os.getpid(),
        "pid": os.getpid(),
        "ptid": os.getppid(),
        "cwd": str(Path.cwd()),
        "fdlimit": os.sysconf("SC_OPEN_MAX"),
        "comm": Path("/proc/self/comm").read_text().strip(),
        "cgroups": expected_cgroups(),
        "tty": int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[4]),
        "vpgid": os.getpgrp(),
        "loginuid": int(loginuid.read_text()) if loginuid.exists() else 2**32 - 1,
        "flags": EXE_WRITABLE if os.access(exe, os.W_OK) else 0,
        "cap_inheritable": int(status["CapInh"], 16),
        "cap_permitted": int(status["CapPrm"], 16),
        "cap_effective": int(status["CapEff"], 16),
        "exe_ino": stat.st_ino,
        "exe_ino_ctime": stat.st_ctime_ns,
        "exe_ino_mtime": stat.st_mtime_ns,
        "uid": 0,
        "trusted_exepath": exe,
        "pgid": os.getpgrp(),
        "gid": 0,
    }


def without_memory(params: dict[str, Any]) -> dict[str, Any]:
    """The parameters but those of memory and page faults, which are near what /proc says."""
    left, now, faults = dict(params), memory(), resource.getrusage(resource.RUSAGE_THREAD)
    assert abs(left.pop("vm_size") - now["vm_size"]) <= 8192
    assert abs(left.pop("vm_rss") - now["vm_rss"]) <= 8192
    assert left.pop("vm_swap") == now["vm_swap"]
    assert faults.ru_majflt - 50 <= left.pop("pgft_maj") <= faults.ru_majflt
    assert faults.ru_minflt - 5000 <= left.pop("pgft_min") <= faults.ru_minflt
    return left


def run(trace: Tracer, command: list[str], **options: Any) -> tuple[int, dict[str, Any]]:
    """Run a program; its pid and the parameters of its execve."""
    children: list[subprocess.Popen[bytes]] = []

    def action() -> None:
        children.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, **options))
        children[0].wait()

    events = trace.everything(action)
    pid = children[0].pid
    found = [e["params"] for e in events if e["name"] == "execve" and e["tid"] == pid and e["params"]["res"] == 0]
    return pid, found[-1]


def test_a_new_program(trace: Tracer, tmp_path: Path) -> None:
    pid, params = run(trace, ["/bin/sleep", "0", "0.0"], cwd=tmp_path, env={"ONE": "1", "TWO": "two"})
    stat = Path("/bin/sleep").stat()
    sizes = [params.pop(name) for name in ("vm_size", "vm_rss", "vm_swap", "pgft_maj", "pgft_min")]
    assert memory()["vm_size"] > sizes[0] > 0
    assert sizes[0] > sizes[1] >= 0
    assert sizes[2] == 0
    assert 0 <= sizes[3] < 100
    assert 0 < sizes[4] < 1000
    assert params == own_facts() | {
        "res": 0,
        "exe": "/bin/sleep",
        "args": b"0\x000.0\0",
        "tid": pid,
        "pid": pid,
        "ptid": os.getpid(),
        "cwd": str(tmp_path),
        "comm": "sleep",
        "env": b"ONE=1\0TWO=two\0",
        "exe_ino": stat.st_ino,
        "exe_ino_ctime": stat.st_ctime_ns,
        "exe_ino_mtime": stat.st_mtime_ns,
        "trusted_exepath": os.path.realpath("/bin/sleep"),
        "filename": "/bin/sleep",
    }


def test_on_a_terminal(trace: Tracer) -> None:
    ours, theirs = os.openpty()
    _, params = run(
        trace,
        ["/bin/true"],
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(theirs, termios.TIOCSCTTY, 0),
    )
    expected = os.fstat(theirs).st_rdev
    os.close(ours)
    os.close(theirs)
    assert params["tty"] == expected
    assert params["pgid"] == params["vpgid"] == params["pid"]


def test_a_link_a_script_and_another_user(trace: Tracer, tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("#!/bin/sh -e\ntrue\n")
    script.chmod(0o755)
    link = tmp_path / "link"
    link.symlink_to(script)
    tmp_path.chmod(0o755)
    _, params = run(trace, [str(link), "arg"])
    assert (params["exe"], params["args"]) == ("/bin/sh", b"-e\0" + bytes(link) + b"\0arg\0")
    assert (params["filename"], params["comm"]) == (str(link), "link")
    assert params["trusted_exepath"] == os.path.realpath("/bin/sh")
    _, params = run(trace, ["/bin/true"], user=65534, group=65533, extra_groups=[], start_new_session=True)
    assert (params["uid"], params["gid"], params["flags"]) == (65534, 65533, 0)
    assert (params["cap_permitted"], params["cap_effective"]) == (0, 0)


def test_a_program_in_memory(trace: Tracer) -> None:
    fd = os.memfd_create("gone", 0)
    os.write(fd, Path("/bin/true").read_bytes())
    _, params = run(trace, [f"/proc/self/fd/{fd}"], pass_fds=[fd])
    os.close(fd)
    assert params["trusted_exepath"] == "memfd:gone"
    assert params["flags"] & 4


def test_a_failed_exec_tells_what_was_asked(trace: Tracer) -> None:
    def action() -> None:
        with pytest.raises(FileNotFoundError):
            os.execve("/nonexistent/program", ["zero", "one", "two"], {"A": "b", "C": "d"})

    params = trace.one("execve", action)
    assert without_memory(params) == own_facts() | {
        "res": -2,
        "exe": "zero",
        "args": b"one\0two\0",
        "env": b"A=b\0C=d\0",
        "filename": "/nonexistent/program",
    }


def test_a_failed_exec_without_anything(trace: Tracer) -> None:
    params = trace.one("execve", lambda: syscall("execve", 8, 0, 0))
    nothing = {"res": -14, "exe": None, "args": None, "env": None, "filename": None}
    assert without_memory(params) == own_facts() | nothing
