import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from .conftest import Tracer, syscall

pytestmark = pytest.mark.bpf


def expected_cgroups(pid: int | str = "self") -> bytes:
    """`subsys=path` of the controllers that events carry, from /proc."""
    paths: dict[str, str] = {}
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        for name in controllers.split(",") if controllers else ["unified"]:
            paths["io" if name == "blkio" else name] = path
    names = ("cpuset", "cpu", "cpuacct", "io", "memory")
    return b"".join(f"{n}={paths.get(n, paths.get('unified', '/'))}\0".encode() for n in names)


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
    proc = dict(line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":\t" in line)
    sizes = [params.pop(name) for name in ("vm_size", "vm_rss", "vm_swap", "pgft_maj", "pgft_min")]
    assert sizes[0] > 0
    assert sizes[2] == 0
    assert params.pop("pidns_init_start_ts", 0) >= 0
    assert params == {
        "res": 0,
        "exe": "/bin/sleep",
        "args": b"0\x000.0\0",
        "tid": pid,
        "pid": pid,
        "ptid": os.getpid(),
        "cwd": str(tmp_path),
        "fdlimit": os.sysconf("SC_OPEN_MAX"),
        "comm": "sleep",
        "cgroups": expected_cgroups(),
        "env": b"ONE=1\0TWO=two\0",
        "tty": 0,
        "vpgid": os.getpgrp(),
        "loginuid": int(Path("/proc/self/loginuid").read_text()) if Path("/proc/self/loginuid").exists() else 2**32 - 1,
        "flags": 1,  # EXE_WRITABLE
        "cap_inheritable": int(proc["CapInh"], 16),
        "cap_permitted": int(proc["CapPrm"], 16),
        "cap_effective": int(proc["CapEff"], 16),
        "exe_ino": stat.st_ino,
        "exe_ino_ctime": stat.st_ctime_ns,
        "exe_ino_mtime": stat.st_mtime_ns,
        "uid": 0,
        "trusted_exepath": os.path.realpath("/bin/sleep"),
        "pgid": os.getpgrp(),
        "gid": 0,
        "filename": "/bin/sleep",
    }


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
    assert (params["res"], params["filename"], params["exe"]) == (-2, "/nonexistent/program", "zero")
    assert (params["args"], params["env"]) == (b"one\0two\0", b"A=b\0C=d\0")
    assert (params["pid"], params["ptid"]) == (os.getpid(), os.getppid())
    assert params["trusted_exepath"] == str(Path("/proc/self/exe").readlink())
    assert trace.one("execve", lambda: syscall("execve", 8, 0, 0))["filename"] is None
