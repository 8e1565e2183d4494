import ctypes
import os

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("read", 9977, 8, 9)
    assert result < 0
    assert params == {"res": result, "data": None, "fd": 9977, "size": 9}


def test_data_of_a_pipe(trace: Tracer) -> None:
    out, into = os.pipe()
    os.write(into, bytes(range(100)))
    buffer = ctypes.create_string_buffer(200)
    result, params = trace.call("read", out, buffer, 200)
    assert result == 100
    assert params == {"res": 100, "data": bytes(range(80)), "fd": out, "size": 200}
    os.close(into)
    result, params = trace.call("read", out, buffer, 200)
    os.close(out)
    assert result == 0
    assert params == {"res": 0, "data": None, "fd": out, "size": 200}
