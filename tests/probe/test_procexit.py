import os
import resource
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import LIBC, Tracer

pytestmark = pytest.mark.bpf


def exit_of(trace: Tracer, end: Callable[[], object]) -> tuple[int, dict[str, int]]:
    """What waiting tells of a child that calls `end`, and the parameters of its exit."""
    ended: list[tuple[int, int]] = []

    def action() -> None:
        pid = os.fork()
        if pid == 0:
            end()
            os._exit(0)
        ended.append(os.waitpid(pid, 0))

    events = trace.everything(action)
    ((pid, status),) = ended
    (params,) = [e["params"] for e in events if e["name"] == "procexit" and e["tid"] == pid]
    return status, params


def test_a_status(trace: Tracer) -> None:
    status, params = exit_of(trace, lambda: os._exit(3))
    assert params == {"status": 3 << 8, "ret": 3, "sig": 0, "core": 0, "reaper_tid": 0}
    assert params["status"] == status


def test_a_signal(trace: Tracer) -> None:
    status, params = exit_of(trace, lambda: os.kill(os.getpid(), signal.SIGKILL))
    assert params == {"status": 9, "ret": 0, "sig": 9, "core": 0, "reaper_tid": 0}
    assert params["status"] == status


def test_a_core_dump(trace: Tracer, tmp_path: Path) -> None:
    def dump() -> None:
        os.chdir(tmp_path)
        resource.setrlimit(resource.RLIMIT_CORE, (1 << 20, resource.getrlimit(resource.RLIMIT_CORE)[1]))
        signal.signal(signal.SIGQUIT, signal.SIG_DFL)  # a shell's background jobs inherit that it is ignored
        os.kill(os.getpid(), signal.SIGQUIT)

    status, params = exit_of(trace, dump)
    dumped = int(os.WCOREDUMP(status))
    assert params == {"status": 3 | dumped << 7, "ret": 0, "sig": 3, "core": dumped, "reaper_tid": 0}


@pytest.mark.parametrize("subreaper", [0, 1])
def test_children_go_to_a_reaper(trace: Tracer, subreaper: int) -> None:
    out, into = os.pipe()

    def leave_a_child() -> None:
        if os.fork() == 0:
            leader = os.getppid()
            while os.getppid() == leader:
                time.sleep(0.001)
            os.write(into, str(os.getppid()).encode())
            os._exit(0)

    LIBC.prctl(36, subreaper)  # PR_SET_CHILD_SUBREAPER
    try:
        _, params = exit_of(trace, leave_a_child)
        reaper = int(os.read(out, 99))
        if subreaper:
            os.wait()
    finally:
        LIBC.prctl(36, 0)
        os.close(out)
        os.close(into)
    assert params == {"status": 0, "ret": 0, "sig": 0, "core": 0, "reaper_tid": reaper}
    assert (reaper == os.getpid()) == bool(subreaper)
