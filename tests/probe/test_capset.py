import ctypes

import pytest

from .conftest import Tracer, syscall

pytestmark = pytest.mark.bpf


VERSION_3 = 0x20080522
CHOWN, KILL, SYS_ADMIN, BPF = 1 << 0, 1 << 5, 1 << 21, 1 << 39


def halves(*sets: int) -> "ctypes.Array[ctypes.c_uint32]":
    """`struct __user_cap_data_struct[2]`: the lower halves of effective, permitted and inheritable, then the upper."""
    return (ctypes.c_uint32 * 6)(*(s & 0xFFFFFFFF for s in sets), *(s >> 32 for s in sets))


def test_fewer_capabilities(trace: Tracer) -> None:
    header = (ctypes.c_uint32 * 2)(VERSION_3, 0)
    data = halves(CHOWN | BPF, CHOWN | KILL | SYS_ADMIN | BPF, KILL)
    result, params, _ = trace.in_child("capset", header, data)
    assert result == 0
    assert params == {
        "res": 0,
        "cap_inheritable": KILL,
        "cap_permitted": CHOWN | KILL | SYS_ADMIN | BPF,
        "cap_effective": CHOWN | BPF,
    }


def test_a_refusal_tells_what_stays(trace: Tracer) -> None:
    header = (ctypes.c_uint32 * 2)(VERSION_3, 0)
    data = halves(CHOWN, CHOWN, 0)
    more = halves(CHOWN, CHOWN | KILL, 0)
    result, params, _ = trace.in_child("capset", header, more, before=lambda: syscall("capset", header, data))
    assert result == -1
    assert params == {"res": -1, "cap_inheritable": 0, "cap_permitted": CHOWN, "cap_effective": CHOWN}
