import ctypes
import os

import pytest

from .conftest import Tracer, iovec

pytestmark = pytest.mark.bpf


def test_buffers_of_a_pipe(trace: Tracer) -> None:
    out, into = os.pipe()
    texts = [bytes([65 + i]) * 6 for i in range(20)]
    buffers = iovec(*(ctypes.create_string_buffer(text, 6) for text in texts))
    result, params = trace.call("writev", into, buffers, 16)
    os.close(out)
    os.close(into)
    assert result == 96
    assert params == {"res": 96, "data": b"".join(texts)[:80], "fd": into, "size": 96}


def test_no_file(trace: Tracer) -> None:
    result, params = trace.call("writev", 9977, iovec(ctypes.create_string_buffer(b"abc", 3)), 1)
    assert result == -9
    assert params == {"res": -9, "data": b"abc", "fd": 9977, "size": 3}
