"""A sink that keeps the messages themselves: the test double, held to the same contract as the others."""

from collections.abc import Iterable

from tiercel.joints.base import Message
from tiercel.schemas import avro, topics
from tiercel.sinks.base import Stored
from tiercel.sinks.counters import SinkCounters


class MemorySink:
    """`batches` are decoded enriched batches by raw position, `alerts` by id."""

    def __init__(self) -> None:
        self.stored = Stored()
        self.counters = SinkCounters()
        self.batches: dict[tuple[int, int], dict[str, object]] = {}
        self.alerts: dict[str, dict[str, object]] = {}

    def assign(self, partitions: set[int]) -> None:
        """All that is there is known."""

    def write(self, messages: Iterable[Message]) -> Stored:
        new = Stored()
        for message in messages:
            if message.topic == topics.EVENTS:
                batch = avro.decode("event_batch", message.value)
                place = batch["partition"], batch["offset"]
                new += Stored(repeats=1) if place in self.batches else Stored(batches=1, events=len(batch["events"]))
                self.batches[place] = batch
            elif message.topic == topics.ALERTS:
                alert = avro.decode("alert", message.value)
                new += Stored(repeats=1) if alert["id"] in self.alerts else Stored(alerts=1)
                self.alerts[alert["id"]] = alert
        self.stored += new
        return new

    def close(self) -> None:
        """Nothing is held open."""
