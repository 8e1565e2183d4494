"""The reader of ring buffers, over real rings of the kernel that a real probe fills."""

import os
import threading
import time
from collections.abc import Iterator

import pytest

from tiercel._engine import Batch, RingReader
from tiercel.probe import libbpf
from tiercel.probe.core import Probe

EVER = 2**63
pytestmark = pytest.mark.bpf


@pytest.fixture
def probe() -> Iterator[Probe]:
    if os.geteuid() != 0:
        pytest.skip("needs root")
    with Probe.load(set(), ring_bytes=1 << 20) as probe:
        yield probe


@pytest.fixture
def reader(probe: Probe) -> Iterator[RingReader]:
    reader = RingReader(probe.ring_fds, probe.ring_bytes)
    yield reader
    reader.close()


def act(probe: Probe, rounds: int) -> list[int]:
    """Two threads, each on a CPU of its own where there are two, close what is not open; their ids."""
    tids: list[int] = []

    def work(cpu: int) -> None:
        os.sched_setaffinity(0, {cpu})
        tids.append(threading.get_native_id())
        for _ in range(rounds):
            try:
                os.close(9977)
            except OSError:
                time.sleep(0)

    cpus = sorted(os.sched_getaffinity(0))
    threads = [threading.Thread(target=work, args=(cpu,)) for cpu in (cpus[0], cpus[-1])]
    probe.set_wanted({"close"})
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    probe.set_wanted(set())
    return tids


def closes(batch: Batch, tids: list[int]) -> list[tuple[int, int, int]]:
    return [(e["time"], e["tid"], e["cpu"]) for e in batch.to_dicts() if e["tid"] in tids and e["name"] == "close"]


def test_events_of_all_cpus_come_in_order_of_time(probe: Probe, reader: RingReader) -> None:
    tids = act(probe, 300)
    assert sum(reader.fill()) > 0
    batch = Batch()
    count = reader.drain(batch, until=EVER, clock_offset=0, limit=100_000)
    assert count == len(batch) == probe.produced() - sum(probe.drops().values())
    times = [e["time"] for e in batch.to_dicts()]
    assert times == sorted(times)
    mine = closes(batch, tids)
    assert len(mine) == 600
    assert len({cpu for _, _, cpu in mine}) == min(2, len(os.sched_getaffinity(0)))
    assert sum(reader.fill()) == reader.bad_records == 0


def test_what_is_later_waits(probe: Probe, reader: RingReader) -> None:
    first = act(probe, 20)
    between = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    second = act(probe, 30)
    early, late = Batch(), Batch()
    reader.drain(early, until=between, clock_offset=0, limit=100_000)
    assert early.last_time <= between
    assert sum(reader.fill()) > 0
    reader.drain(late, until=EVER, clock_offset=0, limit=100_000)
    assert late.first_time > between
    assert (len(closes(early, first)), len(closes(late, second))) == (40, 60)
    assert len(closes(early, second)) == (0 if not set(first) & set(second) else 40)


def test_no_more_than_the_limit_at_once(probe: Probe, reader: RingReader) -> None:
    tids = act(probe, 50)
    whole = Batch()
    counts: list[int] = []
    while count := reader.drain(whole, until=EVER, clock_offset=0, limit=7):
        counts.append(count)
    assert set(counts[:-1]) == {7}
    assert len(whole) == sum(counts)
    assert len(closes(whole, tids)) == 100


def test_the_offset_makes_boot_time_utc(probe: Probe, reader: RingReader) -> None:
    offset = time.clock_gettime_ns(time.CLOCK_REALTIME) - time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    before = time.time_ns()
    act(probe, 5)
    after = time.time_ns()
    batch = Batch()
    reader.drain(batch, until=EVER, clock_offset=offset, limit=1000)
    assert before - 10**7 <= batch.first_time <= batch.last_time <= after + 10**7


def test_a_second_reader_goes_on_where_the_first_ended(probe: Probe, reader: RingReader) -> None:
    tids = act(probe, 10)
    batch = Batch()
    reader.drain(batch, until=EVER, clock_offset=0, limit=5)
    reader.close()
    again = RingReader(probe.ring_fds, probe.ring_bytes)
    again.drain(batch, until=EVER, clock_offset=0, limit=1000)
    again.close()
    assert len(closes(batch, tids)) == 20


def test_a_closed_reader_says_so(probe: Probe) -> None:
    reader = RingReader(probe.ring_fds, probe.ring_bytes)
    reader.close()
    reader.close()
    for ask in (
        reader.fill,
        lambda: reader.bad_records,
        lambda: reader.drain(Batch(), until=EVER, clock_offset=0, limit=1),
    ):
        with pytest.raises(ValueError, match="the ring reader is closed"):
            ask()


def test_a_reader_outlives_its_probe() -> None:
    probe = Probe.load(set(), ring_bytes=1 << 20)
    reader = RingReader(probe.ring_fds, probe.ring_bytes)
    tids = act(probe, 10)
    probe.close()
    batch = Batch()
    reader.drain(batch, until=EVER, clock_offset=0, limit=1000)
    reader.close()
    assert len(closes(batch, tids)) == 20


def test_an_empty_ring_and_no_ring() -> None:
    fd = libbpf.call("bpf_map_create", libbpf.MAP_TYPE_RINGBUF, b"empty", 0, 0, 4096, None)
    reader, none = RingReader([fd], 4096), RingReader([], 4096)
    assert (reader.fill(), none.fill()) == ([0], [])
    assert reader.drain(Batch(), until=EVER, clock_offset=0, limit=9) == 0
    assert none.drain(Batch(), until=EVER, clock_offset=0, limit=9) == 0
    reader.close()
    os.close(fd)


@pytest.mark.parametrize("ring_bytes", [0, 100, 4095, 3 * 4096])
def test_sizes_that_no_ring_has(ring_bytes: int) -> None:
    with pytest.raises(OSError, match=f"a ring of {ring_bytes} bytes is no power of two of whole pages"):
        RingReader([0], ring_bytes)


def test_what_is_no_ring() -> None:
    with pytest.raises(OSError, match="a ring cannot be mapped"):
        RingReader([9977], 4096)
