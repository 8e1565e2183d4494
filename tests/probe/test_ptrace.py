import ctypes
import os
import signal
from collections.abc import Iterator

import pytest

from tiercel.schemas import generated

from .conftest import Tracer, syscall

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("ptrace", 16, 2**22 + 5, 7, 0)
    assert result < 0
    assert params == {"res": result, "addr": (0, 0), "data": (0, 0), "request": 11, "pid": 2**22 + 5}


WORD = ctypes.c_uint64(0x1122334455667788)  # at the same address in the child


@pytest.fixture
def traced() -> Iterator[int]:
    """A stopped child that this process traces."""
    pid = os.fork()
    if pid == 0:
        while True:
            signal.pause()
    assert syscall("ptrace", 16, pid, 0, 0) == 0  # PTRACE_ATTACH
    os.waitpid(pid, 0)
    yield pid
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def test_a_word_of_a_child(trace: Tracer, traced: int) -> None:
    got = ctypes.c_uint64()
    address = ctypes.addressof(WORD)
    result, params = trace.call("ptrace", 2, traced, address, ctypes.byref(got))  # PTRACE_PEEKDATA
    assert (result, got.value) == (0, WORD.value)
    assert params == {"res": 0, "addr": (0, address), "data": (0, WORD.value), "request": 3, "pid": traced}
    result, params = trace.call("ptrace", 5, traced, address, 0x99)  # PTRACE_POKEDATA
    assert result == 0
    assert params == {"res": 0, "addr": (0, address), "data": (0, 0x99), "request": 6, "pid": traced}


def test_a_signal_to_go_on_with(trace: Tracer, traced: int) -> None:
    result, params = trace.call("ptrace", 17, traced, 0, int(signal.SIGURG))  # PTRACE_DETACH
    assert result == 0
    assert params == {"res": 0, "addr": (0, 0), "data": (1, 23), "request": 12, "pid": traced}


def test_the_child_asks_to_be_traced(trace: Tracer) -> None:
    result, params, _ = trace.in_child("ptrace", 0, 0, 0, 0)
    assert result == 0
    assert params == {"res": 0, "addr": (0, 0), "data": (0, 0), "request": 1, "pid": 0}


@pytest.mark.parametrize(("number", "told"), [
    (1, "PEEKTEXT"), (3, "PEEKUSR"), (4, "POKETEXT"), (6, "POKEUSR"), (7, "CONT"), (8, "KILL"), (9, "SINGLESTEP"),
    (12, "GETREGS"), (13, "SETREGS"), (14, "GETFPREGS"), (15, "SETFPREGS"), (18, "GETFPXREGS"), (19, "SETFPXREGS"),
    (21, "OLDSETOPTIONS"), (24, "SYSCALL"), (25, "GET_THREAD_AREA"), (26, "SET_THREAD_AREA"), (30, "ARCH_PRCTL"),
    (31, "SYSEMU"), (32, "SYSEMU_SINGLESTEP"), (33, "SINGLEBLOCK"), (0x4200, "SETOPTIONS"), (0x4201, "GETEVENTMSG"),
    (0x4202, "GETSIGINFO"), (0x4203, "SETSIGINFO"), (0x4204, "GETREGSET"), (0x4205, "SETREGSET"), (0x4206, "SEIZE"),
    (0x4207, "INTERRUPT"), (0x4208, "LISTEN"), (0x4209, "PEEKSIGINFO"), (0x420A, "GETSIGMASK"), (0x420B, "SETSIGMASK"),
    (0x420C, "UNKNOWN"), (10, "UNKNOWN"),
])  # fmt: skip
def test_a_request_has_its_name(trace: Tracer, number: int, told: str) -> None:
    result, params = trace.call("ptrace", number, 2**22 + 5, 7, 8)
    request = generated.FLAGS["ptrace_requests"][f"PTRACE_{told}"]
    assert result == -3
    assert params == {"res": -3, "addr": (0, 0), "data": (0, 0), "request": request, "pid": 2**22 + 5}
