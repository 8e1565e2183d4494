import ctypes
import os

import pytest

from .conftest import Tracer, iovec

pytestmark = pytest.mark.bpf


def test_buffers_of_a_pipe(trace: Tracer) -> None:
    r, w = os.pipe()
    first, second = bytearray(3), bytearray(100)
    events = trace.everything(lambda: (os.writev(w, [b"x" * 70, b"y" * 30]), os.readv(r, [first, second])))
    calls = {e["name"]: e["params"] for e in events if e["name"] in ("readv", "writev")}
    data = b"x" * 70 + b"y" * 10
    assert calls["writev"] == {"res": 100, "data": data, "fd": w, "size": 100}
    assert calls["readv"] == {"res": 100, "size": 103, "data": data, "fd": r}
    os.close(r)
    os.close(w)


def test_no_file(trace: Tracer) -> None:
    result, params = trace.call("readv", 9977, iovec(ctypes.create_string_buffer(3)), 1)
    assert result == -9
    assert params == {"res": -9, "size": 3, "data": None, "fd": 9977}
