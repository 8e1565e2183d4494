import ctypes
import signal
import threading

import pytest

from .conftest import Tracer
from .test_clone import both_sides, check

pytestmark = pytest.mark.bpf


def test_parent_and_child(trace: Tracer) -> None:
    arguments = (ctypes.c_uint64 * 8)(0, 0, 0, 0, int(signal.SIGCHLD), 0, 0, 0)
    check(*both_sides(trace, "clone3", arguments, 64), 0)


def test_a_thread(trace: Tracer) -> None:
    def action() -> None:
        thread = threading.Thread(target=int)
        thread.start()
        thread.join()

    names = ("clone", "clone3")  # as the C library chooses
    events = [e["params"] for e in trace.everything(action) if e["name"] in names]
    (child,) = [e for e in events if e["res"] == 0]
    (parent,) = [e for e in events if e["res"] > 0]
    assert child["tid"] == parent["res"] != child["pid"] == parent["pid"]
    assert child["flags"] & 8192


def test_a_failed_one(trace: Tracer) -> None:
    arguments = (ctypes.c_uint64 * 8)(0x10000, 0, 0, 0, 0, 0, 0, 0)  # a thread without shared memory
    result, params = trace.call("clone3", arguments, 64)
    assert (result, params["res"], params["flags"], params["tid"]) == (-22, -22, 8192, threading.get_native_id())
