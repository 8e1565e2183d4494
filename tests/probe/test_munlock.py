import ctypes
import mmap

import pytest

from .conftest import Tracer

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("munlock", 0x1000, 4096)
    assert result < 0
    assert params == {"res": result, "addr": 0x1000, "len": 4096}


def test_a_page(trace: Tracer) -> None:
    page = mmap.mmap(-1, 8192)
    address = ctypes.addressof(ctypes.c_char.from_buffer(page))
    result, params = trace.call("munlock", address, 5000)
    assert result == 0
    assert params == {"res": 0, "addr": address, "len": 5000}
