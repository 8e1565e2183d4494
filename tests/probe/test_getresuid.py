import ctypes
import os

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_three_ids(trace: Tracer) -> None:
    ids = [ctypes.byref(ctypes.c_uint32()) for _ in range(3)]
    result, params, _ = trace.in_child("getresuid", *ids, before=lambda: os.setresuid(1001, 1002, 1003))
    assert result == 0
    assert params == {"res": 0, "ruid": 1001, "euid": 1002, "suid": 1003}


def test_nowhere_to_write(trace: Tracer) -> None:
    result, params = trace.call("getresuid", 8, 8, 8)
    assert result == -14
    assert params == {"res": -14, "ruid": 0, "euid": 0, "suid": 0}
