import ctypes
import os

import pytest

from .conftest import Tracer, iovec

pytestmark = pytest.mark.bpf


def test_memory_of_a_process(trace: Tracer) -> None:
    here, there = ctypes.create_string_buffer(b"here" * 30, 120), ctypes.create_string_buffer(b"afar" * 30, 120)
    result, params = trace.call("process_vm_readv", os.getpid(), iovec(here), 1, iovec(there), 1, 0)
    assert result == 120
    assert params == {"res": 120, "pid": os.getpid(), "data": b"afar" * 20}


def test_no_process(trace: Tracer) -> None:
    here = ctypes.create_string_buffer(b"here", 4)
    result, params = trace.call("process_vm_readv", 2**22 + 5, iovec(here), 1, iovec(here), 1, 0)
    assert result == -3
    assert params == {"res": -3, "pid": 2**22 + 5, "data": None}
