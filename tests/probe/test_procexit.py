import os
import signal
import time

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def exit_of(trace: Tracer, end: object) -> dict[str, int]:
    """The parameters of the exit of a child that calls `end`."""
    pids: list[int] = []

    def action() -> None:
        pid = os.fork()
        if pid == 0:
            end()  # type: ignore[operator]
            os._exit(0)
        pids.append(pid)
        os.waitpid(pid, 0)

    (params,) = [e["params"] for e in trace.everything(action) if e["name"] == "procexit" and e["tid"] == pids[0]]
    return params


def test_a_status(trace: Tracer) -> None:
    params = exit_of(trace, lambda: os._exit(3))
    assert params == {"status": 3 << 8, "ret": 3, "sig": 0, "core": 0, "reaper_tid": 0}


def test_a_signal(trace: Tracer) -> None:
    params = exit_of(trace, lambda: os.kill(os.getpid(), signal.SIGKILL))
    assert params == {"status": 9, "ret": 0, "sig": 9, "core": 0, "reaper_tid": 0}


def test_children_go_to_a_reaper(trace: Tracer) -> None:
    def leave_a_child() -> None:
        if os.fork() == 0:
            time.sleep(0.2)
            os._exit(0)

    assert exit_of(trace, leave_a_child)["reaper_tid"] > 0
