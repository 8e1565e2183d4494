import mmap

import pytest

from .conftest import Tracer, syscall

pytestmark = pytest.mark.bpf


def test_names_its_arguments(trace: Tracer) -> None:
    result, params = trace.call("mprotect", 0x1001, 5, 5)
    assert result < 0
    assert params == {"res": result, "addr": 0x1001, "length": 5, "prot": 5}


def test_other_rights(trace: Tracer) -> None:
    address = syscall("mmap", 0, 8192, 3, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0)
    events = trace("mprotect", lambda: syscall("mprotect", address, 4096, 1))
    syscall("munmap", address, 8192)
    assert [e["params"] for e in events] == [{"res": 0, "addr": address, "length": 4096, "prot": 1}]
