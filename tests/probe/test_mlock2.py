import ctypes
import mmap

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("mlock2", 0, 4096, 9)
    assert result < 0
    assert params == {"res": result, "addr": 0, "len": 4096, "flags": 9}


def test_a_page(trace: Tracer) -> None:
    page = mmap.mmap(-1, 8192)
    address = ctypes.addressof(ctypes.c_char.from_buffer(page))
    result, params = trace.call("mlock2", address, 5000, 1)
    assert result == 0
    assert params == {"res": 0, "addr": address, "len": 5000, "flags": 1}
