import ctypes
import os

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_an_instance(trace: Tracer) -> None:
    parameters = (ctypes.c_uint32 * 30)(0, 20, 1 << 3 | 1 << 4, 5, 77)  # IORING_SETUP_CQSIZE, IORING_SETUP_CLAMP
    fd, params = trace.call("io_uring_setup", 5, parameters)
    os.close(fd)
    assert params == {
        "res": fd,
        "entries": 5,
        "sq_entries": 8,
        "cq_entries": 32,
        "flags": 16 | 32,
        "sq_thread_cpu": 5,
        "sq_thread_idle": 77,
        "features": parameters[5] & 0x7FF,  # as many as captures have names for
    }
    assert params["features"] & 3 == 3


def test_what_was_asked_in_vain(trace: Tracer) -> None:
    parameters = (ctypes.c_uint32 * 30)(1, 2, 1 << 31 | 0x7F, 3, 4)
    result, params = trace.call("io_uring_setup", 5, parameters)
    assert result == -22
    assert params == {
        "res": -22,
        "entries": 5,
        "sq_entries": 1,
        "cq_entries": 2,
        "flags": 1 | 2 | 8 | 16 | 32 | 64 | 128,
        "sq_thread_cpu": 3,
        "sq_thread_idle": 4,
        "features": 0,
    }
