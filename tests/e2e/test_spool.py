"""`tiercel collect` while its Kafka is stopped, and while it is killed itself: what was produced is there or told."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path

import confluent_kafka as ck
import pytest

from tiercel._engine import decode_raw
from tiercel.local import bundled_capture
from tiercel.schemas import avro, topics
from tiercel.testing.kafka_server import KafkaServer
from tiercel.testing.services import eventually

pytestmark = pytest.mark.services


def read_all(brokers: str) -> list[bytes]:
    consumer = ck.Consumer({"bootstrap.servers": brokers, "group.id": "test", "auto.offset.reset": "earliest"})
    try:
        places = [
            ck.TopicPartition(topics.RAW, part, 0) for part in consumer.list_topics().topics[topics.RAW].partitions
        ]
        ends = [consumer.get_watermark_offsets(place, timeout=10)[1] for place in places]
        consumer.assign(places)
        messages = []
        while len(messages) < sum(ends):
            message = consumer.poll(10)
            assert message is not None and message.error() is None
            messages.append(message.value())
        return messages
    finally:
        consumer.close()


def balance(messages: list[bytes]) -> dict[int, Counter[str]]:
    """Run → produced, delivered, lost; first numbers of a run only grow, but for repeats of whole batches."""
    books: dict[int, Counter[str]] = defaultdict(Counter)
    following: dict[int, int] = {}
    order: list[int] = []
    for message in messages:
        header, batch = decode_raw(avro.body_of("raw_batch", message))
        run, first = header["run"], header["first_seq"]
        if first < following.get(run, 0):
            continue
        lost = sum(count for _, _, count in header["lost"])
        assert first == following.get(run, run) or lost, "a jump tells what was lost"
        following[run] = first + len(batch)
        books[run] += Counter(events=len(batch), kernel=batch.kernel_events, lost=lost)
        books[run]["produced"] = header["produced"]
        if not order or order[-1] != run:
            order.append(run)
    assert order == sorted(order), "what an earlier run left comes before what a later one sends"
    return books


def collect(kafka: KafkaServer, folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    environment = {
        **os.environ, "TIERCEL_KAFKA_BROKERS": kafka.brokers, "TIERCEL_COLLECTOR_SPOOL": str(folder / "spool"),
        "TIERCEL_KAFKA_PARTITIONS": "2", "TIERCEL_COLLECTOR_LINGER_MS": "20",
    }  # fmt: skip
    command = [sys.executable, "-m", "tiercel", "collect", "--capture", str(bundled_capture()), "--repeat", *arguments]
    with (folder / "collect.log").open("ab") as log:
        return subprocess.Popen(command, env=environment, stdout=log, stderr=log)


def spooled(folder: Path) -> int:
    return sum(path.stat().st_size for path in (folder / "spool").glob("*.segment"))


def test_kafka_that_stops_and_a_collector_that_is_killed_cost_nothing_that_is_not_told(tmp_path: Path) -> None:
    with KafkaServer(tmp_path / "kafka") as kafka:
        log = tmp_path / "collect.log"
        first = collect(kafka, tmp_path, "--rate", "3000")
        eventually(lambda: "collector started" in log.read_text(), 30)
        time.sleep(1)
        kafka.stop(signal.SIGTERM)
        eventually(lambda: spooled(tmp_path) > 200_000, 30)
        first.send_signal(signal.SIGKILL)
        first.wait()
        # The next one begins although nobody answers.
        second = collect(kafka, tmp_path, "--rate", "3000")
        eventually(lambda: "events wait in the spool" in log.read_text(), 30)
        eventually(lambda: log.read_text().count("collector started") == 2, 30)
        time.sleep(1)
        kafka.start()
        time.sleep(2)
        second.send_signal(signal.SIGKILL)
        second.wait()
        third = collect(kafka, tmp_path, "--rate", "3000")
        eventually(lambda: log.read_text().count("collector started") == 3, 30)
        time.sleep(1)
        third.send_signal(signal.SIGTERM)
        assert third.wait(20) == 0
        messages = read_all(kafka.brokers)
    books = balance(messages)
    assert len(books) == 3
    for found in books.values():
        assert found["kernel"] > 0
        assert found["produced"] == found["kernel"] + found["lost"]
    assert books[max(books)]["lost"] == 0
    assert not spooled(tmp_path) or spooled(tmp_path) < 20_000_000
    assert "Traceback" not in log.read_text()
