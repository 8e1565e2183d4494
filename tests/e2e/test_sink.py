"""Sinks between a real Kafka and ClickHouse's engine: killed, stopped past their session, told to end, under load."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tiercel.joints.kafka import KafkaProducer, behind
from tiercel.schemas import topics
from tiercel.store import connect
from tiercel.testing import builders
from tiercel.testing.chdb_http import ChdbServer
from tiercel.testing.faults import Fault
from tiercel.testing.kafka_server import KafkaServer
from tiercel.testing.services import eventually

pytestmark = pytest.mark.services
_PARTITIONS = 3


class Sinks:
    """Processes of `tiercel sink`, and a stream of batches and alerts that they store."""

    def __init__(self, kafka: KafkaServer, store: ChdbServer, folder: Path) -> None:
        self.client: dict[str, Any] = {"bootstrap.servers": kafka.brokers}
        self.store, self.folder = store, folder
        self.processes: list[subprocess.Popen[bytes]] = []
        self.sent = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._send)

    def start(self) -> subprocess.Popen[bytes]:
        environment = {
            **os.environ,
            "TIERCEL_KAFKA_BROKERS": self.client["bootstrap.servers"],
            "TIERCEL_STORE_DSN": self.store.dsn,
            "TIERCEL_SINK_RETRY_MAX_S": "2",
        }
        with (self.folder / f"sink-{len(self.processes)}.log").open("wb") as log:
            process = subprocess.Popen([sys.executable, "-m", "tiercel", "sink"], env=environment, stderr=log)
        self.processes.append(process)
        return process

    def log(self, number: int) -> str:
        return (self.folder / f"sink-{number}.log").read_text()

    def begin(self) -> None:
        self._thread.start()

    def end(self) -> None:
        self._stop.set()
        self._thread.join()

    def _send(self) -> None:
        producer = KafkaProducer(self.client)
        while not self._stop.is_set():
            for partition in range(_PARTITIONS):
                body = builders.enriched(partition, self.sent, host=f"host-{partition}")
                assert producer.send(topics.EVENTS, b"h", body, partition, timeout=10)
                if self.sent % 5 == 0:
                    alert = builders.alert(f"{partition}-{self.sent}", partition=partition)
                    assert producer.send(topics.ALERTS, b"h", alert, partition, timeout=10)
                    assert producer.send(topics.ALERTS, b"h", alert, partition, timeout=10)
            self.sent += 1
            time.sleep(0.01)
        assert producer.flush(20) == 0
        producer.close()

    def caught_up(self) -> bool:
        return behind(self.client, "tiercel-sink", [topics.EVENTS, topics.ALERTS]) == 0


@pytest.fixture
def sinks(tmp_path: Path) -> Iterator[Sinks]:
    pytest.importorskip("chdb")
    with KafkaServer() as kafka, ChdbServer(tmp_path / "store") as store:
        topics.create({"bootstrap.servers": kafka.brokers}, partitions=_PARTITIONS)
        running = Sinks(kafka, store, tmp_path)
        try:
            yield running
        finally:
            running._stop.set()
            for process in running.processes:
                process.kill()
                process.wait()


def test_sinks_that_are_killed_and_stopped(sinks: Sinks) -> None:
    client = connect(sinks.store.dsn)
    first, second = sinks.start(), sinks.start()
    sinks.begin()
    stored = "SELECT count() FROM events"
    assert eventually(lambda: "events" in str(client.query("SHOW TABLES").result_rows), 60)
    assert eventually(lambda: client.query(stored).result_rows[0][0] > 100, 60)
    # A zombie: stopped in the middle of its work, its session over, its partitions with the other; then it goes on.
    second.send_signal(signal.SIGSTOP)
    at = client.query(stored).result_rows[0][0]
    time.sleep(22)
    second.send_signal(signal.SIGCONT)
    time.sleep(3)
    assert client.query(stored).result_rows[0][0] > at
    # The network breaks within inserts, and one after the other is killed.
    sinks.store.fail(Fault(cut=True, after=True, skip=3, times=2), Fault(cut=True, skip=8, times=2))
    for victim in (first, second):
        time.sleep(random.uniform(0.5, 2))
        victim.kill()
        victim.wait()
        sinks.start()
    time.sleep(3)
    sinks.store.fail()
    sinks.end()
    assert eventually(sinks.caught_up, 90), sinks.log(2) + sinks.log(3)
    wanted = sinks.sent * _PARTITIONS
    counts = client.query("SELECT count(), uniqExact(raw_partition, raw_offset, row) FROM events").result_rows
    assert counts == [(wanted * 3, wanted * 3)]
    books = client.query(
        "SELECT sumIf(count, kind = 'stored'), count(), uniqExact(raw_partition, raw_offset, row) FROM ledger"
    ).result_rows
    assert books == [(wanted * 3, wanted * 3, wanted * 3)]
    alerts = client.query("SELECT count(), uniqExact(id) FROM alerts").result_rows
    assert alerts == [(len(range(0, sinks.sent, 5)) * _PARTITIONS,) * 2]
    positions = client.query("SELECT raw_partition, max(raw_offset) FROM positions GROUP BY 1 ORDER BY 1").result_rows
    assert positions == [(p, sinks.sent - 1) for p in range(_PARTITIONS)]


def test_it_ends_within_ten_seconds_and_stays_a_member(sinks: Sinks) -> None:
    client = connect(sinks.store.dsn)
    sink = sinks.start()
    sinks.begin()
    assert eventually(lambda: "events" in str(client.query("SHOW TABLES").result_rows), 60)
    assert eventually(lambda: client.query("SELECT count() FROM events").result_rows[0][0] > 50, 60)
    # Away for longer than a session: it is no new member afterwards.
    sinks.store.fail(Fault(code=252))
    time.sleep(18)
    sinks.store.fail()
    before = client.query("SELECT count() FROM events").result_rows[0][0]
    assert eventually(lambda: client.query("SELECT count() FROM events").result_rows[0][0] > before, 20)
    told = sinks.log(0)
    assert told.count("reading waits, nothing is lost") == 1
    assert told.count("takes rows again") == 1
    assert client.query("SELECT uniqExact(epoch) FROM fences").result_rows[0][0] < 20
    # An insert hangs: it ends all the same.
    sinks.store.fail(Fault(match="INSERT INTO events", delay=30))
    time.sleep(2)
    began = time.monotonic()
    sink.send_signal(signal.SIGTERM)
    assert sink.wait(15) == 128 + signal.SIGTERM, "not all was written, and whoever watches it is told"
    assert time.monotonic() - began < 10
    sinks.end()
    sinks.store.fail()
    last = sinks.start()
    assert eventually(sinks.caught_up, 90)
    last.send_signal(signal.SIGTERM)
    assert last.wait(10) == 0
    counts = client.query("SELECT count(), uniqExact(raw_partition, raw_offset, row) FROM events").result_rows
    assert counts == [(sinks.sent * _PARTITIONS * 3,) * 2]
