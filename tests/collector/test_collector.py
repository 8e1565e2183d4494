"""The collector over a source of our own: numbers, limits, losses, and that it never waits for its output."""

import threading
import time
from itertools import pairwise

import pytest

from tiercel._engine import Batch, decode_raw
from tiercel.collector import collector as collector_module
from tiercel.collector.collector import Collector
from tiercel.collector.identity import Identity
from tiercel.joints.base import Done
from tiercel.joints.queue import Queue
from tiercel.schemas import avro, topics

ME = Identity("host-1", "one", "boot-1", 5000)


class Counting:
    """Produces `count` closes, some lost in the ring."""

    def __init__(self, count: int, *, dropped: int = 0, data: bytes = b"") -> None:
        self.left, self.dropped, self.data = count, dropped, data
        self.made = 0
        self.bare = 0
        self.retold = 0
        self.closed = False

    def read(self, batch: Batch, limit: int) -> int:
        count = min(limit, self.left)
        for _ in range(count):
            batch.append("write", time=1_000 + self.made, tid=7, params=[len(self.data), self.data, 3, len(self.data)])
            self.made += 1
        self.left -= count
        return count

    def produced(self) -> int:
        return self.made + self.dropped

    def losses(self) -> list[tuple[str, str, int]]:
        return [("ring", "ring_full", self.dropped)]

    def shed(self) -> list[tuple[str, str, int]]:
        return [("ring", "budget_payload", self.bare)]

    def snapshot(self, batch: Batch) -> None:
        batch.append("groupadded", time=1, tid=-1, params=[0, "root", ""])

    def retell(self) -> None:
        self.retold += 1

    def wait(self, timeout: float) -> None:
        time.sleep(0.001)

    def finished(self) -> bool:
        return not self.left

    def stop(self) -> None:
        self.left = 0

    def close(self) -> None:
        self.closed = True


def _batches(queue: Queue, consumer) -> list[tuple[dict, Batch]]:
    queue.close()
    return [decode_raw(avro.body_of("raw_batch", m.value)) for m in consumer]


def test_numbers_count_up_from_the_run_and_totals_add_up() -> None:
    queue = Queue()
    consumer = queue.consumer([topics.RAW])
    totals = Collector(Counting(2500, dropped=3), queue.producer(), ME).run(threading.Event())
    batches = _batches(queue, consumer)
    seq = 5000
    for header, batch in batches:
        assert header["first_seq"] == seq
        assert len(batch) <= 1000
        seq += len(batch)
    assert seq == 5000 + 1 + 2500
    last = batches[-1][0]
    lost = [row for header, _ in batches for row in header["lost"]]
    assert lost == [("ring", "ring_full", 3)]
    assert (last["produced"], last["delivered"]) == (2503, 2500)
    assert totals.produced == totals.delivered + sum(totals.lost.values())


def test_payloads_that_were_left_out_are_told_once_and_are_no_lost_events() -> None:
    queue = Queue()
    consumer = queue.consumer([topics.RAW])
    source = Counting(2500, dropped=3)
    source.bare = 40
    totals = Collector(source, queue.producer(), ME).run(threading.Event())
    batches = _batches(queue, consumer)
    assert [row for header, _ in batches for row in header["shed"]] == [("ring", "budget_payload", 40)]
    assert [row for header, _ in batches for row in header["lost"]] == [("ring", "ring_full", 3)]
    assert totals.shed == {("ring", "budget_payload"): 40}
    assert totals.produced == totals.delivered + sum(totals.lost.values())


def test_large_events_make_smaller_batches() -> None:
    queue = Queue()
    consumer = queue.consumer([topics.RAW])
    source = Counting(300, data=b"x" * 1000)
    Collector(source, queue.producer(), ME, batch_bytes=64 * 1024).run(threading.Event())
    queue.close()
    messages = list(consumer)
    assert len(messages) > 4
    assert all(len(m.value) <= 64 * 1024 + 10 for m in messages)
    assert sum(len(decode_raw(avro.body_of("raw_batch", m.value))[1]) for m in messages) == 301


def test_a_full_output_costs_counted_events_and_no_time() -> None:
    queue = Queue(max_messages=2)
    consumer = queue.consumer([topics.RAW])
    source = Counting(20_000)
    collector = Collector(source, queue.producer(), ME)
    begun = time.monotonic()
    collector.begin()
    while not source.finished():
        collector.step()
    assert time.monotonic() - begun < 5
    first = consumer.read(100, 0)
    source.left = 500
    totals = collector.finish()
    rest = consumer.read(100, 0)
    decoded = [decode_raw(avro.body_of("raw_batch", m.value)) for m in [*first, *rest]]
    seqs = [(header["first_seq"], len(batch)) for header, batch in decoded]
    assert all(a + n == b for (a, n), (b, _) in pairwise(seqs))
    told = sum(count for header, _ in decoded for _, reason, count in header["lost"] if reason == "queue_full")
    assert told == totals.lost["collector", "queue_full"] > 0
    assert totals.produced == totals.delivered + told


def test_what_was_told_of_the_host_is_told_again_if_it_was_lost() -> None:
    class Telling(Counting):
        def read(self, batch: Batch, limit: int) -> int:
            if self.left:
                self.snapshot(batch)
            told, self.left = self.left, 0
            return told

    queue = Queue(max_messages=1)
    consumer = queue.consumer([topics.RAW])
    source = Telling(0)
    collector = Collector(source, queue.producer(), ME, linger_ms=1)
    collector.begin()
    source.left = 1
    for _ in range(100):
        collector.step()
    assert (source.retold, collector.totals().lost) == (0, {}), "there is no room yet, and no event was lost"
    consumer.read(1, 0)
    source.left = 1
    for _ in range(100):
        collector.step()
    assert source.retold == 1


def test_after_losses_of_its_own_the_source_tells_again_but_not_all_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    queue = Queue(max_messages=2)
    consumer = queue.consumer([topics.RAW])
    source = Counting(5000)
    collector = Collector(source, queue.producer(), ME)
    collector.begin()
    while not source.finished():
        collector.step()
    assert collector.totals().lost["collector", "queue_full"]
    assert source.retold == 0, "there is no room yet"

    def go_on(events: int) -> int:
        consumer.read(100, 0)
        source.left = events
        while not source.finished():
            collector.step()
        return source.retold

    assert go_on(1000) == 1
    assert go_on(1000) == 1, "nothing was lost since"
    assert collector.totals().lost["collector", "queue_full"] == 4000
    go_on(5000)
    assert go_on(1000) == 1, "not so soon"
    monkeypatch.setattr(collector_module, "_RETELL_S", 0.0)
    assert go_on(1000) == 2


class Refusing:
    """Takes everything and reports the first message as refused."""

    def __init__(self) -> None:
        self.values: list[bytes] = []

    def send(
        self,
        topic: str,
        key: bytes,
        value: bytes,
        partition: int | None = None,
        *,
        timeout: float = 0.0,
        done: Done | None = None,
    ) -> bool:
        self.values.append(value)
        if done is not None:
            done("too large" if len(self.values) == 2 else None)
        return True

    def poll(self) -> None: ...

    def flush(self, timeout: float = 10.0) -> int:
        return 0

    def close(self) -> None: ...


def test_what_a_broker_refuses_is_told_as_lost() -> None:
    output = Refusing()
    Collector(Counting(1500), output, ME).run(threading.Event())
    headers = [decode_raw(avro.body_of("raw_batch", value))[0] for value in output.values]
    lost = [row for header in headers for row in header["lost"]]
    assert lost == [("broker", "refused", 1000)]


def test_it_has_begun_when_the_snapshot_is_handed_over() -> None:
    queue, waiting = Queue(), list[int]()
    consumer = queue.consumer([topics.RAW])
    Collector(Counting(3), queue.producer(), ME).run(
        threading.Event(), begun=lambda: waiting.append(consumer.waiting())
    )
    assert waiting == [1]
