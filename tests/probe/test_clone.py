import os
import resource
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from .conftest import Tracer, memory, syscall
from .test_execve import expected_cgroups

pytestmark = pytest.mark.bpf


Sides = tuple[dict[str, Any], dict[str, Any], int]


def both_sides(trace: Tracer, name: str, *arguments: object) -> Sides:
    """Fork by this call; the parameters seen by parent and child, and the child."""
    pids: list[int] = []

    def action() -> None:
        pid = syscall(name, *arguments)
        if pid == 0:
            os._exit(0)
        pids.append(pid)
        os.waitpid(pid, 0)

    events = [e for e in trace.everything(action) if e["name"] == name]
    (parent,) = [e["params"] for e in events if e["tid"] == threading.get_native_id()]
    (child,) = [e["params"] for e in events if e["tid"] == pids[0]]
    return parent, child, pids[0]


def check(parent: dict[str, Any], child: dict[str, Any], pid: int, flags: int) -> None:
    """All that both sides of a fork must say."""
    command = Path("/proc/self/cmdline").read_bytes().split(b"\0", 1)
    now, faults = memory(), resource.getrusage(resource.RUSAGE_THREAD)
    born = int(Path("/proc/1/stat").read_text().rpartition(")")[2].split()[19])
    for params, res, tid, ptid in ((parent, pid, os.getpid(), os.getppid()), (child, 0, pid, os.getpid())):
        left = dict(params)
        assert abs(left.pop("vm_size") - now["vm_size"]) <= 8192
        assert 1000 < left.pop("vm_rss") < now["vm_rss"] + 16384  # the kernel sums up late, CPU by CPU
        assert 0 <= left.pop("pgft_maj") <= faults.ru_majflt
        assert 0 <= left.pop("pgft_min") <= faults.ru_minflt
        assert left.pop("pidns_init_start_ts") // (10**9 // os.sysconf("SC_CLK_TCK")) == born
        assert left == {
            "res": res,
            "exe": command[0].decode(),
            "args": command[1][:4095],
            "tid": tid,
            "pid": tid,
            "ptid": ptid,
            "cwd": str(Path.cwd()),
            "fdlimit": os.sysconf("SC_OPEN_MAX"),
            "vm_swap": now["vm_swap"],
            "comm": Path("/proc/self/comm").read_text().strip(),
            "cgroups": expected_cgroups(),
            "flags": flags,
            "uid": os.geteuid(),
            "gid": os.getegid(),
            "vtid": tid,
            "vpid": tid,
        }


def test_parent_and_child(trace: Tracer) -> None:
    check(*both_sides(trace, "clone", int(signal.SIGCHLD), 0, 0, 0, 0), 0)


def test_a_failed_one(trace: Tracer) -> None:
    result, params = trace.call("clone", 0x10000, 0, 0, 0, 0)  # a thread without shared memory
    assert (result, params["res"], params["flags"]) == (-22, -22, 8192)


def test_of_another_user(trace: Tracer) -> None:
    def another() -> None:
        os.setresgid(1, 1003, 0)
        os.setresuid(1, 1002, 0)

    result, params, _ = trace.in_child("clone", 0x10000, 0, 0, 0, 0, before=another)
    assert (result, params["uid"], params["gid"]) == (-22, 1002, 1003)


def test_a_pid_namespace(trace: Tracer) -> None:
    parent, child, pid = both_sides(trace, "clone", 0x20000000 | int(signal.SIGCHLD), 0, 0, 0, 0)
    assert (child["tid"], child["vtid"], child["vpid"]) == (pid, 1, 1)
    assert child["flags"] == 64 | 536870912  # CLONE_NEWPID|CLONE_CHILD_IN_PIDNS
    assert parent["flags"] == 64
    assert child["pidns_init_start_ts"] > parent["pidns_init_start_ts"]
