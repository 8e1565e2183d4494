"""Workers killed, stopped or joined by others while batches come: what they send is that of an uninterrupted run."""

import random
import signal
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import confluent_kafka as ck
import pytest

from tiercel.processors import app, recover
from tiercel.processors.snapshot import Key
from tiercel.schemas import topics
from tiercel.testing.cluster import PARTITIONS, Cluster
from tiercel.testing.services import eventually

from .test_reload import Fleet, is_alert, outputs, raw_messages, uninterrupted

pytestmark = [pytest.mark.services, pytest.mark.timeout(280)]
PATIENCE = app.SESSION_SECONDS + 60


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    environment = {"TIERCEL_LOG_LEVEL": "info", "TIERCEL_WORKER_SNAPSHOT_INTERVAL": "0.4"}
    with Cluster(tmp_path / "run", environment=environment) as running:
        yield Fleet(running, tmp_path)


def start(fleet: Fleet, times: int = 1) -> None:
    fleet.cluster.start("process")
    assert eventually(lambda: fleet.said().count("recovered partitions") >= times, PATIENCE), fleet.said()


def compare(fleet: Fleet, count: int) -> None:
    """All of it was done, and is what one worker makes of it."""
    assert eventually(fleet.done, PATIENCE), fleet.said()
    found = outputs(fleet.client)
    with closing(fleet.topic()) as topic:
        expected = uninterrupted(fleet.client, topic, count)
    assert found.keys() == expected.keys()
    other = sorted(place for place in found if found[place] != expected[place])
    assert not other, (other[:3], [(len(found[place]), len(expected[place])) for place in other[:9]], fleet.said())
    assert sum(is_alert(value) for values in found.values() for value in values) > 10


def test_a_worker_killed_three_times_sends_what_an_uninterrupted_one_would(fleet: Fleet) -> None:
    rows, chance = raw_messages(), random.Random(1)
    fleet.publish("one")
    start(fleet)
    with fleet.sending(rows) as sending:
        for turn in range(3):
            time.sleep(1 + chance.random() * 2)
            fleet.cluster.stop("process", signal.SIGKILL)
            began = time.monotonic()
            start(fleet, turn + 2)
            print(f"recovered {time.monotonic() - began:.1f} s after kill -9")
        assert sending.result(100) is None
    compare(fleet, len(rows))
    assert fleet.said().count("the state of a host is lost") == 0
    assert snapshots(fleet), "there was something to recover from"
    # What the last one leaves is all that there is to know: nothing is done again after a graceful end.
    done = fleet.events()
    began = time.monotonic()
    assert fleet.cluster.stop("process") == 0
    assert time.monotonic() - began < 10
    start(fleet, 5)
    time.sleep(1)
    assert fleet.events() == done
    compare(fleet, len(rows))


def snapshots(fleet: Fleet) -> dict[tuple[int, bytes], bytes]:
    """Chunks that are on the topic."""
    rows: dict[tuple[int, bytes], bytes | None] = {}
    for partition, key, value in recover.stored(fleet.client, set(range(PARTITIONS))):
        rows[partition, key] = value
    return {place: value for place, value in rows.items() if value is not None}


def test_a_worker_stopped_past_its_session_and_one_that_joins(fleet: Fleet) -> None:
    rows = raw_messages()
    fleet.publish("one")
    start(fleet)
    first = fleet.cluster.processes["process"]
    with fleet.sending(rows) as sending:
        time.sleep(2)
        began = time.monotonic()
        start(fleet, 2)
        print(f"hosts moved {time.monotonic() - began:.1f} s after a worker was added")
        time.sleep(2)
        first.send_signal(signal.SIGSTOP)
        time.sleep(app.SESSION_SECONDS + 3)
        first.send_signal(signal.SIGCONT)
        assert sending.result(100) is None
    try:
        assert eventually(fleet.done, PATIENCE), fleet.said()
    finally:
        first.kill()
        first.wait()
    compare(fleet, len(rows))


def test_damaged_snapshots_cost_nothing_as_long_as_the_messages_are_there(fleet: Fleet) -> None:
    rows = raw_messages()
    half = len(rows) // 2
    fleet.publish("one")
    start(fleet)
    fleet.send(rows[:half], 0.01)
    assert eventually(fleet.done, 30), fleet.said()
    assert fleet.cluster.stop("process") == 0
    producer = ck.Producer(fleet.client)
    newest: dict[bytes, tuple[int, int, bytes, bytes]] = {}
    for (partition, packed), value in snapshots(fleet).items():
        key = Key.unpack(packed)
        head = recover.Head.of(value)
        newest[key.host_id] = max(newest.get(key.host_id, (-1, 0, b"", b"")), (head.offset, partition, packed, value))
    damaged = sorted(newest.items())
    assert len(damaged) == 3
    for (_, partition, packed, value), make in zip(
        [place for _, place in damaged],
        (
            lambda value: value[:-1] + bytes([value[-1] ^ 1]),
            lambda value: value[: len(value) // 2],
            lambda value: value[:4] + b"\xff\xff" + value[6:],
        ),
        strict=True,
    ):
        producer.produce(topics.SNAPSHOTS, key=packed, value=make(value), partition=partition)
    producer.produce(topics.SNAPSHOTS, key=b"rubbish", value=b"x", partition=0)
    assert producer.flush(20) == 0
    start(fleet, 2)
    fleet.send(rows[half:])
    compare(fleet, len(rows))
    assert fleet.said().count("a snapshot is no use") >= 3, fleet.said()
