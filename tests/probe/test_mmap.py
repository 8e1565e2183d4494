import mmap
import os
from pathlib import Path
from typing import Any

import pytest

from tiercel.schemas import generated

from .conftest import Tracer, memory, syscall

pytestmark = pytest.mark.bpf


FLAGS = generated.FLAGS["mmap_flags"]


def test_anonymous_memory(trace: Tracer) -> None:
    results: list[int] = []
    sizes: list[dict[str, Any]] = []

    def action() -> None:
        sizes.append(memory())
        results.append(syscall("mmap", 0, 1 << 20, 3, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0))
        sizes.append(memory())

    (params,) = [e["params"] for e in trace("mmap", action) if e["params"]["res"] == results[0]]
    syscall("munmap", results[0], 1 << 20)
    assert sizes[0]["vm_size"] + 1024 <= params.pop("vm_size") <= sizes[1]["vm_size"]
    assert abs(params.pop("vm_rss") - sizes[0]["vm_rss"]) < 2048  # the kernel sums up late, CPU by CPU
    assert params == {
        "res": results[0],
        "vm_swap": sizes[0]["vm_swap"],
        "addr": 0,
        "length": 1 << 20,
        "prot": 3,
        "flags": 2 | 8,
        "fd": -1,
        "offset": 0,
    }


def test_part_of_a_file(trace: Tracer, tmp_path: Path) -> None:
    fd = os.open(tmp_path / "f", os.O_RDWR | os.O_CREAT)
    os.truncate(fd, 3 * 4096)
    flags = mmap.MAP_SHARED | mmap.MAP_POPULATE | 0x4000 | 0x40  # MAP_NORESERVE, MAP_32BIT
    results: list[int] = []
    events = trace("mmap", lambda: results.append(syscall("mmap", 0x20000, 8192, 5, flags, fd, 4096)))
    (params,) = [e["params"] for e in events if e["params"]["fd"] == fd]
    syscall("munmap", results[0], 8192)
    os.close(fd)
    assert {name: params[name] for name in params if not name.startswith("vm_")} == {
        "res": results[0],
        "addr": 0x20000,
        "length": 8192,
        "prot": 5,
        "flags": FLAGS["MAP_SHARED"] | FLAGS["MAP_POPULATE"] | FLAGS["MAP_NORESERVE"] | FLAGS["MAP_32BIT"],
        "fd": fd,
        "offset": 4096,
    }


def test_memory_that_is_refused(trace: Tracer) -> None:
    events = trace("mmap", lambda: syscall("mmap", 0x1001, 4096, 0, mmap.MAP_PRIVATE | 0x10, 9977, 8192))
    (params,) = [e["params"] for e in events if e["params"]["fd"] == 9977]
    assert {name: params[name] for name in params if not name.startswith("vm_")} == {
        "res": -9,
        "addr": 0x1001,
        "length": 4096,
        "prot": 0,
        "flags": FLAGS["MAP_PRIVATE"] | FLAGS["MAP_FIXED"],
        "fd": 9977,
        "offset": 8192,
    }
