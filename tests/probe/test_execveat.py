import ctypes
import os

import pytest

from .conftest import Tracer, syscall
from .test_execve import own_facts, without_memory

pytestmark = pytest.mark.bpf


# Successful, it is an execve event, as in captures.
def test_a_new_program(trace: Tracer) -> None:
    pids: list[int] = []

    def action() -> None:
        pid = os.fork()
        if pid == 0:
            argv = (ctypes.c_char_p * 3)(b"name", b"arg", None)
            syscall("execveat", -100, b"/bin/true", argv, 0, 0)
            os._exit(9)
        pids.append(os.waitpid(pid, 0)[0])

    events = [e["params"] for e in trace.everything(action) if e["name"] == "execve" and e["tid"] == pids[0]]
    assert [(e["res"], e["exe"], e["args"], e["comm"]) for e in events] == [(0, "name", b"arg\0", "true")]
    assert events[0]["trusted_exepath"] == os.path.realpath("/bin/true")


def test_a_failed_one_tells_what_was_asked(trace: Tracer) -> None:
    argv, envp = (ctypes.c_char_p * 3)(b"name", b"arg", None), (ctypes.c_char_p * 2)(b"A=b", None)
    result, params = trace.call("execveat", 9977, b"x", argv, envp, 0)
    assert result == -9
    told = {"res": -9, "exe": "name", "args": b"arg\0", "env": b"A=b\0"}
    assert without_memory(params) == own_facts() | told
