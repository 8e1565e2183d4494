import ctypes
import os

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("bpf", 999, 0, 0)
    assert result < 0
    assert params == {"fd": result, "cmd": 999}


def test_a_map(trace: Tracer) -> None:
    attributes = (ctypes.c_uint32 * 5)(2, 4, 4, 1, 0)  # an array of one
    fd, params = trace.call("bpf", 0, attributes, ctypes.sizeof(attributes))
    os.close(fd)
    assert params == {"fd": fd, "cmd": 0}
