import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from .conftest import Tracer, syscall

pytestmark = pytest.mark.bpf


def both_sides(trace: Tracer, name: str, *arguments: object) -> tuple[dict[str, Any], dict[str, Any], int]:
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
    for params, res, tid, ptid in ((parent, pid, os.getpid(), os.getppid()), (child, 0, pid, os.getpid())):
        assert (params["res"], params["tid"], params["pid"], params["ptid"]) == (res, tid, tid, ptid)
        assert (params["vtid"], params["vpid"], params["flags"]) == (tid, tid, flags)
        assert (params["exe"], params["args"]) == (command[0].decode(), command[1][:4095])
        assert (params["cwd"], params["comm"]) == (str(Path.cwd()), Path("/proc/self/comm").read_text().strip())
        assert (params["uid"], params["gid"], params["fdlimit"]) == (0, 0, os.sysconf("SC_OPEN_MAX"))
        assert params["vm_size"] > params["vm_rss"] > 1000
        assert (params["vm_swap"], params["pgft_maj"] >= 0, params["pgft_min"] >= 0) == (0, True, True)
        assert params["cgroups"].startswith(b"cpuset=/")
        assert params["pidns_init_start_ts"] >= 0


def test_parent_and_child(trace: Tracer) -> None:
    check(*both_sides(trace, "clone", int(signal.SIGCHLD), 0, 0, 0, 0), 0)


def test_a_failed_one(trace: Tracer) -> None:
    result, params = trace.call("clone", 0x10000, 0, 0, 0, 0)  # a thread without shared memory
    assert (result, params["res"], params["flags"]) == (-22, -22, 8192)


def test_a_pid_namespace(trace: Tracer) -> None:
    parent, child, pid = both_sides(trace, "clone", 0x20000000 | int(signal.SIGCHLD), 0, 0, 0, 0)
    assert (child["tid"], child["vtid"], child["vpid"]) == (pid, 1, 1)
    assert child["flags"] == 64 | 536870912  # CLONE_NEWPID|CLONE_CHILD_IN_PIDNS
    assert parent["flags"] == 64
