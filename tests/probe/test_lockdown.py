import os

import pytest

from tiercel._engine import Batch, RingReader
from tiercel.probe import core, lockdown
from tiercel.probe.core import Probe

from .conftest import Tracer


def test_only_rewritten_helpers_are_put_back() -> None:
    rows = [(0x85, 0, 0, 4), (0x85, 0, 0, 45), (0x85, 0, 0, 5), (0x85, 0x10, 0, 4), (0xB7, 0, 0, 4)]
    instructions = (lockdown._Instruction * len(rows))(*rows)
    assert lockdown.restore(instructions) == 2
    assert [i.imm for i in instructions] == [112, 114, 5, 4, 4]


@pytest.mark.bpf
def test_the_probe_loads_and_delivers_by_the_way_for_locked_kernels(
    trace: Tracer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core, "lockdown", lambda: "confidentiality")
    Probe.load(set(), ring_bytes=4096).close()  # twice in one process: libbpf's list of handlers survives
    with Probe.load({"openat"}, ring_bytes=1 << 20) as probe:
        reader = RingReader(probe.ring_fds, probe.ring_bytes)
        os.close(os.open("/etc/hostname", os.O_RDONLY))
        batch = Batch()
        reader.drain(batch, until=2**63, clock_offset=0, limit=10_000)
        reader.close()
    assert "/etc/hostname" in [event["params"]["name"] for event in batch.to_dicts()]
