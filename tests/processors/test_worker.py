"""What a worker makes of messages, without Kafka: what it cannot take costs one message, what is too much is told."""

import logging
from typing import Any

import pytest

from tiercel._engine import Batch, RuleSet, encode_raw
from tiercel.processors.worker import Output, Worker
from tiercel.rules.load import Loader
from tiercel.schemas import avro, topics

HEADER: dict[str, Any] = {
    "host_id": "web1", "host": "web1", "boot_id": "b", "run": 1, "first_seq": 1, "produced": 0, "delivered": 0,
}  # fmt: skip


def message(count: int, first: int = 1, **header: Any) -> bytes:
    """A batch with the calls of so many processes; its total goes with its numbers."""
    batch = Batch()
    for tid in range(10, 10 + count):
        batch.append("getcwd", time=tid, tid=tid, params=[0, "/"])
    header = HEADER | {"first_seq": first, "delivered": first + count - 1} | header
    return avro.frame("raw_batch", encode_raw(batch, 0, len(batch), header))


def test_a_batch_becomes_one_of_events() -> None:
    (output,) = Worker(None).handle(0, 7, b"web1", message(3))
    assert (output.topic, output.key) == (topics.EVENTS, b"web1")
    events = avro.decode("event_batch", output.value)
    assert (events["offset"], len(events["events"])) == (7, 3)


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        (b"web2", message(1), "the key is not the batch's host id web1"),
        (b"web1", b"", ""),
        (b"web1", message(1)[:-1], ""),
        (b"web1", message(1) + b"\0", ""),
    ],
)
def test_what_cannot_be_taken_is_kept_in_quarantine(key: bytes, value: bytes, reason: str) -> None:
    worker = Worker(None)
    (output,) = worker.handle(0, 0, key, value)
    line, _, kept = output.value.partition(b"\n")
    assert (output.topic, kept, worker.counters.quarantined) == (topics.QUARANTINE, value, 1)
    assert reason.encode() in line
    assert worker.handle(0, 1, b"web1", message(1))[0].topic == topics.EVENTS


def test_a_host_that_is_too_much_is_told_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    worker = Worker(None, limits={"max_threads": 64})
    with caplog.at_level(logging.WARNING):
        for offset in range(3):
            worker.handle(0, offset, b"web1", message(200, 1 + offset * 200))
    (record,) = caplog.records
    assert "host=web1" in record.getMessage()
    assert worker.counters.evicted > 136


def test_the_host_longest_unheard_is_forgotten() -> None:
    worker = Worker(None, max_hosts=1)
    other = avro.frame("raw_batch", encode_raw(Batch(), 0, 0, HEADER | {"host_id": "web2"}))
    worker.handle(0, 0, b"web1", message(1))
    worker.handle(0, 1, b"web2", other)
    assert worker.counters.forgotten_hosts == 1


def rules(name: str, more: str = "throttle: {burst: 1, every: 1s}") -> RuleSet:
    loader = Loader()
    rule = f"- rule: {name}\n  desc: d\n  condition: evt.type = getcwd\n  output: o\n  priority: NOTICE\n  {more}\n"
    loader.read_text("r.yaml", rule)
    return RuleSet(loader.finish().plan(throttled=True))


def counts(outputs: list[Output]) -> list[tuple[int, bytes, int, bool]]:
    """Partition, host, count and kind of the alerts."""
    told = [(out, avro.decode("alert", out.value)) for out in outputs if out.topic == topics.ALERTS]
    return [(out.partition, out.key, alert["suppressed"], alert["summary"]) for out, alert in told]


def test_a_host_that_goes_tells_what_was_counted_for_it() -> None:
    other = avro.frame("raw_batch", encode_raw(Batch(), 0, 0, HEADER | {"host_id": "web2"}))
    forgotten = Worker(rules("r"), max_hosts=1)
    assert counts(forgotten.handle(3, 0, b"web1", message(4))) == [(3, b"web1", 0, False)]
    assert counts(forgotten.handle(3, 1, b"web2", other)) == [(3, b"web1", 3, True)]

    moved = Worker(rules("r"))
    moved.handle(3, 0, b"web1", message(4))
    moved.drop({3})
    assert moved.finish() == [], "whoever has it now goes on counting"
    moved.handle(4, 0, b"web1", message(6))
    assert counts(moved.finish()) == [(4, b"web1", 5, True)]
    assert (moved.finish(), moved.counters.alerts) == ([], 3)


def test_other_rules_count_from_the_next_batch_on_and_keep_the_state() -> None:
    def told(worker: Worker, offset: int) -> tuple[str, list[str]]:
        outputs = worker.handle(1, offset, b"web1", message(1, 1 + offset))
        batch = next(avro.decode("event_batch", out.value) for out in outputs if out.topic == topics.EVENTS)
        return batch["rules_version"], batch["rules"]

    one, two = rules("one"), rules("two", "tags: [x]")
    worker = Worker(one)
    assert told(worker, 0) == (one.version, ["one"])
    worker.use(two, partition=1)
    assert told(worker, 1) == (two.version, ["two"])
    assert told(worker, 2)[1] == ["two"]
    worker.use(two)
    assert told(worker, 3)[1] == ["two"]
    worker.use(None)
    assert told(worker, 4) == ("", [])
