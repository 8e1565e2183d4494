import ctypes

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("seccomp", 99, 1, 0)
    assert result < 0
    assert params == {"res": result, "op": 99, "flags": 1}


def test_an_action_that_there_is(trace: Tracer) -> None:
    action = ctypes.byref(ctypes.c_uint32(0x7FFF0000))  # SECCOMP_RET_ALLOW
    result, params = trace.call("seccomp", 2, 0, action)  # SECCOMP_GET_ACTION_AVAIL
    assert result == 0
    assert params == {"res": 0, "op": 2, "flags": 0}
