import mmap
from typing import Any

import pytest

from .conftest import Tracer, memory, syscall

pytestmark = pytest.mark.bpf


def test_memory_given_back(trace: Tracer) -> None:
    address = syscall("mmap", 0, 1 << 20, 3, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0)
    sizes: list[dict[str, Any]] = []

    def action() -> None:
        sizes.append(memory())
        syscall("munmap", address, 1 << 20)
        sizes.append(memory())

    (params,) = [e["params"] for e in trace("munmap", action) if e["params"]["addr"] == address]
    assert sizes[0]["vm_size"] - 1024 <= params.pop("vm_size") <= sizes[1]["vm_size"]
    assert abs(params.pop("vm_rss") - sizes[0]["vm_rss"]) < 2048  # the kernel sums up late, CPU by CPU
    assert params == {"res": 0, "vm_swap": sizes[0]["vm_swap"], "addr": address, "length": 1 << 20}


def test_no_page(trace: Tracer) -> None:
    events = trace("munmap", lambda: syscall("munmap", 0x1001, 5))
    (params,) = [e["params"] for e in events if e["params"]["addr"] == 0x1001]
    assert {name: params[name] for name in params if not name.startswith("vm_")} == {
        "res": -22,
        "addr": 0x1001,
        "length": 5,
    }
