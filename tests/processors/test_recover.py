"""Reading a topic's partitions for a recovery: all at once, each in order, to its end and no further."""

import time
from collections import defaultdict

import confluent_kafka as ck
import pytest

from tiercel.processors import recover
from tiercel.schemas import topics

pytestmark = pytest.mark.services


def test_partitions_are_read_at_once_each_in_order(topics_ready) -> None:
    producer = ck.Producer(topics_ready.client)
    wanted: dict[int, list[tuple[bytes, bytes | None]]] = {
        # The last is a tombstone; the third partition has nothing of ours.
        0: [(b"test-recover", str(number).encode()) for number in range(700)],
        1: [(b"test-recover", b"one"), (b"test-recover", None)],
    }
    for partition, rows in wanted.items():
        for key, value in rows:
            producer.produce(topics.SNAPSHOTS, key=key, value=value, partition=partition)
    assert producer.flush(20) == 0
    found = defaultdict(list)
    begun = time.monotonic()
    for partition, key, value in recover.stored(topics_ready.client, {0, 1, 2}):
        if key == b"test-recover":
            found[partition].append((key, value))
    assert dict(found) == wanted
    assert time.monotonic() - begun < 20


def test_a_part_is_read_and_no_more(topics_ready) -> None:
    producer, placed = ck.Producer(topics_ready.client), []
    for number in range(10):
        producer.produce(
            topics.SNAPSHOTS,
            key=b"part",
            value=str(number).encode(),
            partition=2,
            on_delivery=lambda _, message: placed.append(message.offset()),
        )
    assert producer.flush(20) == 0
    first = placed[0]
    read = list(recover.read(topics_ready.client, topics.SNAPSHOTS, 2, start=first + 2, stop=first + 5))
    assert read == [(first + number, b"part", str(number).encode()) for number in (2, 3, 4)]
    assert list(recover.read(topics_ready.client, topics.SNAPSHOTS, 2, start=first + 10, stop=None)) == []
