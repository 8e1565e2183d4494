import os

import pytest

from .conftest import Tracer, syscall

pytestmark = pytest.mark.bpf


# Successful, it is an execve event, as in captures.
def test_success_and_failure(trace: Tracer) -> None:
    pids: list[int] = []

    def action() -> None:
        pid = os.fork()
        if pid == 0:
            import ctypes

            argv = (ctypes.c_char_p * 3)(b"name", b"arg", None)
            syscall("execveat", -100, b"/bin/true", argv, 0, 0)
            os._exit(9)
        pids.append(os.waitpid(pid, 0)[0])

    events = [e["params"] for e in trace.everything(action) if e["name"] == "execve" and e["tid"] == pids[0]]
    assert [(e["res"], e["exe"], e["args"], e["comm"]) for e in events] == [(0, "name", b"arg\0", "true")]
    assert events[0]["trusted_exepath"] == os.path.realpath("/bin/true")
    result, params = trace.call("execveat", 9977, b"x", 0, 0, 0)
    assert (result, params["res"], params["exe"], params["pid"]) == (-9, -9, None, os.getpid())
