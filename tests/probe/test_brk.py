from typing import Any

import pytest

from .conftest import Tracer, memory, syscall

pytestmark = pytest.mark.bpf


@pytest.mark.parametrize("asked", [0, 4096])
def test_where_the_heap_ends(trace: Tracer, asked: int) -> None:
    """0 asks for the end; an address that cannot be is answered in the same way."""
    results: list[int] = []
    sizes: list[dict[str, Any]] = []

    def action() -> None:
        sizes.append(memory())
        results.append(syscall("brk", asked))
        sizes.append(memory())

    found = [e for e in trace("brk", action) if e["params"]["addr"] == asked]
    assert len(found) == 1
    params = found[0]["params"]
    assert sizes[0]["vm_size"] <= params.pop("vm_size") <= sizes[1]["vm_size"]
    assert abs(params.pop("vm_rss") - sizes[0]["vm_rss"]) < 2048  # the kernel sums up late, CPU by CPU
    assert params == {"res": results[0], "vm_swap": sizes[0]["vm_swap"], "addr": asked}
    assert results[0] > 4096


def test_a_larger_heap(trace: Tracer) -> None:
    end = syscall("brk", 0)
    result, params, _ = trace.in_child("brk", end + 8192)
    assert (result, params["res"], params["addr"]) == (end + 8192, end + 8192, end + 8192)
    assert sorted(params) == ["addr", "res", "vm_rss", "vm_size", "vm_swap"]
