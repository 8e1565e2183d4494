"""What a worker does when it gets partitions: the newest good snapshot of every host, and what is missing after it.

Where the newest is damaged the one before it stands in, and what lies between that and what is read anyway is read
again from the raw topic, its outputs thrown away: they are safe. Where Kafka no longer has it the host begins anew.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import confluent_kafka as ck

from tiercel.errors import KafkaError
from tiercel.processors.keeper import Kept
from tiercel.processors.rules_topic import bounds_of
from tiercel.processors.snapshot import Head, Key, Snapshot, SnapshotError, joined, raw_name
from tiercel.processors.worker import Worker
from tiercel.schemas import topics

log = logging.getLogger(__name__)

Slot = tuple[bytes, int]
_ANY = 1 << 62


@dataclass
class Stored:
    """Chunks of one host by writer and slot, as the topic has them."""

    slots: dict[Slot, dict[int, bytes]] = field(default_factory=dict)
    keys: set[Key] = field(default_factory=set)

    def put(self, key: Key, value: bytes | None) -> None:
        slot = self.slots.setdefault((key.writer, key.slot), {})
        if value is None:
            slot.pop(key.chunk, None)
            self.keys.discard(key)
        else:
            slot[key.chunk] = value
            self.keys.add(key)
        if not slot:
            del self.slots[key.writer, key.slot]


Shelf = dict[int, dict[bytes, Stored]]


def shelve(rows: Iterator[tuple[int, bytes, bytes | None]], raw_id: str) -> Shelf:
    """Partition → host → chunks; what belongs to another raw topic, or to nothing, is left where it is."""
    shelf: Shelf = {}
    wrong, wanted = 0, raw_name(raw_id)
    for partition, packed, value in rows:
        try:
            key = Key.unpack(packed)
        except SnapshotError:
            wrong += 1
            continue
        if key.raw_id == wanted:
            shelf.setdefault(partition, {}).setdefault(key.host_id, Stored()).put(key, value)
    if wrong:
        log.error("messages of %s are no use: their keys are none messages=%d", topics.SNAPSHOTS, wrong)
    return shelf


@dataclass(frozen=True)
class Place:
    """A raw partition: its oldest message, the next one to come, and where the group goes on."""

    low: int
    end: int
    committed: int

    @property
    def start(self) -> int:
        return max(self.low, self.committed)


def restore(worker: Worker, kept: Kept, hosts: dict[bytes, Stored], place: Place, now: float) -> dict[bytes, int]:
    """Restore the hosts of a partition; those for whom messages must be read again, and from which offset on."""
    again: dict[bytes, int] = {}
    lost: list[bytes] = []
    for host_id, stored in hosts.items():
        kept.found(host_id, stored.keys)
        # The offset before which something may be missing, if a newer one is bad.
        newest_bad = -1
        good: Snapshot | None = None
        for parts in sorted(stored.slots.values(), key=_claimed, reverse=True):
            since, offset = _claims(parts)
            try:
                snapshot = joined(kept.partition, host_id, parts)
                if snapshot.offset >= place.end:
                    since = place.end
                    raise SnapshotError(f"it is of offset {snapshot.offset}, the topic ends at {place.end}")
                worker.restore(snapshot)
                good = snapshot
                break
            except SnapshotError as error:
                if since < place.start:
                    newest_bad = max(newest_bad, offset)
                log.warning("a snapshot is no use: %s host=%s offset=%d", error, _name(host_id), offset)
        if newest_bad >= 0:
            if good is not None and good.offset + 1 >= place.low:
                again[host_id] = good.offset + 1
            else:
                lost.append(host_id)
    worker.counters.lost_states += len(lost)
    for host_id in lost:
        worker.lose(kept.partition, host_id)
        log.error(
            "the state of a host is lost, it begins anew: no snapshot is good, and Kafka no longer has what would make "
            "one host=%s partition=%d",
            _name(host_id),
            kept.partition,
        )
    worker.in_order(kept.partition)
    for host_id, offset in again.items():
        kept.uncovered(host_id, offset, now)
    return {host_id: offset for host_id, offset in again.items() if offset < place.start}


def _claims(parts: dict[int, bytes]) -> tuple[int, int]:
    """First uncovered offset and offset that a snapshot says it is of; what says nothing may be of any."""
    heads = []
    for part in parts.values():
        try:
            heads.append(Head.of(part))
        except SnapshotError:
            return 0, _ANY
    newest = max(heads, key=lambda head: head.generation)
    return newest.since, newest.offset


def _claimed(parts: dict[int, bytes]) -> tuple[int, int]:
    since, offset = _claims(parts)
    return offset, since


def _name(host_id: bytes) -> str:
    return host_id.decode(errors="replace")


def read_again(
    worker: Worker,
    partition: int,
    again: dict[bytes, int],
    *,
    stop: int,
    messages: Callable[[int, int, int], Iterator[tuple[int, bytes, bytes]]],
    rules: Callable[[int, int], None],
) -> int:
    """Let the worker handle what is missing up to `stop`; returns how many messages.

    `messages` gives those of a partition from an offset on to another; `rules` makes the worker use those of one.
    """
    count = 0
    for offset, key, value in messages(partition, min(again.values()), stop):
        if key in again and offset >= again[key]:
            rules(partition, offset)
            worker.handle(partition, offset, key, value)
            count += 1
    return count


# Reading from Kafka


Row = tuple[int, int, bytes, Any]
"""Partition, offset, key and value of a message."""


def stored(client: dict[str, Any], partitions: set[int], timeout: float = 120.0) -> Iterator[tuple[int, bytes, Any]]:
    """All messages of these partitions of the topic, up to what is there now. KafkaError."""
    rows = _read(client, topics.SNAPSHOTS, dict.fromkeys(partitions, 0), stop=None, timeout=timeout)
    yield from ((partition, key, value) for partition, _, key, value in rows)


def read(
    client: dict[str, Any], topic: str, partition: int, *, start: int, stop: int | None, timeout: float = 120.0
) -> Iterator[tuple[int, bytes, Any]]:
    """Offset, key and value of a partition's messages from `start` to before `stop`, or to its present end."""
    rows = _read(client, topic, {partition: start}, stop=stop, timeout=timeout)
    yield from ((offset, key, value) for _, offset, key, value in rows)


def _read(
    client: dict[str, Any], topic: str, starts: dict[int, int], *, stop: int | None, timeout: float
) -> Iterator[Row]:
    """Messages of several partitions, read at once: those of one in order. KafkaError when nothing comes any more."""
    consumer = ck.Consumer(
        {
            **client,
            "group.id": "tiercel-recovery",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "enable.partition.eof": True,
            "fetch.message.max.bytes": 4 << 20,
            "fetch.wait.max.ms": 50,
            "log_level": 0,
        }
    )
    deadline = time.monotonic() + timeout
    try:
        ends = _ends(consumer, topic, starts, stop)
        # What is gone already is no error here: reading begins with what is there.
        consumer.assign([ck.TopicPartition(topic, partition, starts[partition]) for partition in ends])
        while ends:
            if time.monotonic() > deadline:
                raise KafkaError(f"{topic} could not be read to its end in {timeout:.0f} s partitions={sorted(ends)}")
            for message in consumer.consume(500, 0.1):
                row = _row(message, topic)
                partition, offset = message.partition() or 0, message.offset()
                if row is not None and row[1] < ends.get(partition, 0):
                    deadline = time.monotonic() + timeout
                    yield row
                # Only an end that was reached has no row and yet an offset.
                if partition in ends and offset is not None and offset >= ends[partition] - (row is not None):
                    del ends[partition]
    except ck.KafkaException as error:
        raise KafkaError(f"reading {topic} failed: {error.args[0].str()}") from None
    finally:
        consumer.close()


def _ends(consumer: ck.Consumer, topic: str, starts: dict[int, int], stop: int | None) -> dict[int, int]:
    """Where reading ends in each partition that has something to be read."""
    ends = {}
    for partition, start in starts.items():
        _, high = bounds_of(consumer, ck.TopicPartition(topic, partition), time.monotonic() + 20)
        end = high if stop is None else min(stop, high)
        if start < end:
            ends[partition] = end
    return ends


def _row(message: ck.Message, topic: str) -> Row | None:
    """A message; None of one that tells an end, or a passing trouble. KafkaError of one that lasts."""
    error, offset = message.error(), message.offset()
    if error is None and offset is not None:
        return message.partition() or 0, offset, message.key() or b"", message.value()
    if error is not None and error.fatal():
        raise KafkaError(f"reading {topic} failed: {error.str()}")
    return None
