import ctypes

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("prlimit64", 2**22 + 5, 7, 0, 0, event="prlimit")
    assert result < 0
    assert params == {
        "res": result,
        "newcur": -1,
        "newmax": -1,
        "oldcur": -1,
        "oldmax": -1,
        "pid": 2**22 + 5,
        "resource": 7,
    }


def test_old_and_new_limits(trace: Tracer) -> None:
    new, old = (ctypes.c_uint64 * 2)(5, 6), (ctypes.c_uint64 * 2)()
    core = (ctypes.c_uint64 * 2)()
    assert trace.call("prlimit64", 0, 4, 0, core, event="prlimit")[1] == {
        "res": 0,
        "newcur": -1,
        "newmax": -1,
        "oldcur": ctypes.c_int64(core[0]).value,
        "oldmax": ctypes.c_int64(core[1]).value,
        "pid": 0,
        "resource": 4,
    }
    result, params, _ = trace.in_child("prlimit64", 0, 4, new, old, event="prlimit")
    assert result == 0
    assert params == {
        "res": 0,
        "newcur": 5,
        "newmax": 6,
        "oldcur": ctypes.c_int64(core[0]).value,
        "oldmax": ctypes.c_int64(core[1]).value,
        "pid": 0,
        "resource": 4,
    }


def test_limits_asked_in_vain(trace: Tracer) -> None:
    new, old = (ctypes.c_uint64 * 2)(7, 6), (ctypes.c_uint64 * 2)(1, 2)
    result, params = trace.call("prlimit64", 0, 4, new, old, event="prlimit")
    assert result == -22
    assert params == {"res": -22, "newcur": 7, "newmax": 6, "oldcur": -1, "oldmax": -1, "pid": 0, "resource": 4}
