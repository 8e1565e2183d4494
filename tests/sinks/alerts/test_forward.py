"""`tiercel forward` from a real Kafka: nothing is lost by a crash or an outage, each sink goes its own way."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from tiercel.joints import kafka as joint
from tiercel.schemas import topics
from tiercel.sinks.alerts.base import Alert, AwayError
from tiercel.sinks.alerts.kafka import KafkaSink
from tiercel.testing import builders
from tiercel.testing.alert_server import AlertServer
from tiercel.testing.kafka_server import KafkaServer
from tiercel.testing.services import eventually

pytestmark = pytest.mark.services
_STARTED: list[subprocess.Popen[bytes]] = []


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """A broker of its own: the groups of the sinks have names that are always the same."""
    with KafkaServer() as server:
        client = {"bootstrap.servers": server.brokers}
        topics.create(client, partitions=2)
        yield client
        while _STARTED:
            process = _STARTED.pop()
            process.kill()
            process.wait()


class Running:
    """`tiercel forward` as a process."""

    def __init__(self, client: dict[str, Any], folder: Path, *arguments: str, **settings: str) -> None:
        clean = {key: value for key, value in os.environ.items() if not key.startswith("TIERCEL_")}
        own = {f"TIERCEL_{key}": value for key, value in settings.items()}
        self.errors = folder / f"forward-{time.monotonic_ns()}.log"
        self.out = self.errors.with_suffix(".out")
        with self.errors.open("wb") as errors, self.out.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tiercel", "forward", "--brokers", client["bootstrap.servers"], *arguments],
                stdout=out,
                stderr=errors,
                env=clean | {"XDG_CONFIG_HOME": str(folder), "TIERCEL_STDOUT_ENABLED": "false"} | own,
            )
        _STARTED.append(self.process)

    def end(self, how: int = signal.SIGTERM) -> int:
        self.process.send_signal(how)
        return self.process.wait(30)

    def said(self) -> str:
        return self.errors.read_text(errors="replace")


def produce(client: dict[str, Any], names: Sequence[str], **fields: object) -> None:
    producer = joint.KafkaProducer(client)
    for number, name in enumerate(names):
        assert producer.send(topics.ALERTS, b"host-1", builders.alert(name, **fields), number % 2, timeout=5)
    assert producer.flush() == 0
    producer.close()


def test_a_topic_that_is_missing_is_waited_for(broker: dict[str, Any]) -> None:
    # Else the client itself hopes for the topic for half a minute.
    client = {**broker, "topic.metadata.propagation.max.ms": 300}
    alert, sink = Alert.of(builders.alert("a")), KafkaSink(client, "elsewhere", timeout=2)
    reasons: list[str] = []

    def arrives() -> bool:
        try:
            sink.send(alert)
        except AwayError as error:
            reasons.append(str(error))
            return False
        return True

    with closing(sink):
        # First it is sent in vain, then not even taken.
        assert not any(arrives() for _ in range(5))
        assert any("has no topic elsewhere" in reason for reason in reasons)
        assert any("Unknown topic" in reason for reason in reasons)
        admin = AdminClient(broker)
        admin.create_topics([NewTopic("elsewhere", 1, 1)])["elsewhere"].result()
        assert eventually(arrives, 30)
    assert joint.ends(broker, "elsewhere", [0]) == {0: 1}


def ids(path: Path) -> list[str]:
    return [json.loads(line)["id"] for line in path.read_text().splitlines()] if path.exists() else []


def names(first: int, count: int) -> list[str]:
    return [f"{number}" for number in range(first, first + count)]


def test_a_crash_loses_nothing_and_repeats_are_left_out(broker: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "alerts.log"
    settings = {"FILE_ENABLED": "true", "FILE_PATH": str(path)}
    produce(broker, names(0, 100) + names(0, 100))
    one = Running(broker, tmp_path, **settings)
    assert eventually(lambda: len(ids(path)) >= 100, 40), one.said()
    produce(broker, names(100, 500))
    assert eventually(lambda: len(ids(path)) >= 150)
    one.end(signal.SIGKILL)
    produce(broker, names(600, 100))
    one = Running(broker, tmp_path, **settings)
    assert eventually(lambda: len(set(ids(path))) == 700, 60), one.said()
    assert one.end() == 0
    found = ids(path)
    # What was not yet committed comes again; no line is torn.
    assert set(found) == set(names(0, 700))
    assert sorted(found[:100]) == sorted(names(0, 100))
    assert "alerts forwarded sink=file" in one.said()
    assert joint.behind(broker, "tiercel-forward-file", [topics.ALERTS]) == 0


def test_a_sink_that_is_away_misses_nothing_and_delays_and_repeats_nothing_of_another(
    broker: dict[str, Any], tmp_path: Path
) -> None:
    path, server = tmp_path / "alerts.log", AlertServer(tmp_path / "taken")
    settings = {"FILE_ENABLED": "true", "FILE_PATH": str(path), "WEBHOOK_ENABLED": "true", "WEBHOOK_URL": server.url}
    settings |= {"WEBHOOK_QUEUE": "50", "FILE_PRIORITY": "warning"}
    produce(broker, names(0, 300))
    one = Running(broker, tmp_path, **settings)
    try:
        assert eventually(lambda: len(ids(path)) == 300, 40), one.said()
        # Its queue is full, the others wait in Kafka, and the file goes on.
        produce(broker, names(300, 50))
        assert eventually(lambda: len(ids(path)) == 350)
        assert eventually(lambda: "alerts wait for a sink sink=webhook" in one.said())
        assert one.end() == 0
        assert "sink=webhook: 0 delivered, " in one.said()
        one = Running(broker, tmp_path, **settings)
        time.sleep(1)
        server.start()
        assert eventually(lambda: len(server.alerts()) >= 350, 60), one.said()
        assert one.end() == 0
        assert "sink=webhook: 350 delivered\n" in one.said()
        assert sorted(told["id"] for told in server.alerts()) == sorted(names(0, 350))
        assert len(ids(path)) == 350
        for sink in ("webhook", "file"):
            assert joint.behind(broker, f"tiercel-forward-{sink}", [topics.ALERTS]) == 0
    finally:
        server.stop()


def test_a_rotation_by_signal_leaves_both_files_whole(broker: dict[str, Any], tmp_path: Path) -> None:
    path, old = tmp_path / "alerts.log", tmp_path / "alerts.log.1"
    one = Running(broker, tmp_path, FILE_ENABLED="true", FILE_PATH=str(path))
    produce(broker, names(0, 200))
    assert eventually(lambda: len(ids(path)) == 200, 40), one.said()
    for number, how in enumerate((signal.SIGUSR1, signal.SIGHUP)):
        path.rename(old)
        one.process.send_signal(how)
        assert eventually(path.exists)  # no alert is needed for it
        before = ids(old)
        produce(broker, names(200 * (number + 1), 200))
        assert eventually(lambda: len(ids(path)) == 200)
        assert ids(old) == before
        assert sorted(before) == sorted(names(200 * number, 200))
    assert one.end() == 0


def test_what_is_no_alert_is_counted_and_passed_by(broker: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "alerts.log"
    one = Running(broker, tmp_path, FILE_ENABLED="true", FILE_PATH=str(path), FILE_PRIORITY="error")
    producer = joint.KafkaProducer(broker)
    for value in (b"", b"garbage", builders.alert("x")[:-3], b"\x00\x00\x00\x00\x07abc"):
        producer.send(topics.ALERTS, b"host-1", value, 0)
    producer.send(topics.ALERTS, b"host-1", builders.alert("less urgent"), 0)
    producer.send(topics.ALERTS, b"host-1", builders.alert("good", priority="Error"), 0)
    producer.flush()
    producer.close()
    assert eventually(lambda: ids(path) == ["good"], 40), one.said()
    assert one.end() == 0
    assert "1 delivered, 4 not readable" in one.said()
    assert joint.behind(broker, "tiercel-forward-file", [topics.ALERTS]) == 0


def test_a_new_sink_may_begin_with_what_comes_from_now_on(broker: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "alerts.log"
    settings = {"FILE_ENABLED": "true", "FILE_PATH": str(path)}
    produce(broker, names(0, 10))
    one = Running(broker, tmp_path, "--from-now", **settings)
    assert eventually(lambda: "partitions assigned" in one.said(), 40)
    # Killed before it has done anything: what came meanwhile is still its own.
    one.end(signal.SIGKILL)
    produce(broker, names(10, 10))
    one = Running(broker, tmp_path, "--from-now", **settings)
    assert eventually(lambda: sorted(ids(path)) == names(10, 10), 40), one.said()
    assert one.end() == 0


def test_alerts_older_than_the_topic_keeps_are_counted_and_told(broker: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "alerts.log"
    settings = {"FILE_ENABLED": "true", "FILE_PATH": str(path)}
    produce(broker, names(0, 10))
    one = Running(broker, tmp_path, **settings)
    assert eventually(lambda: len(ids(path)) == 10, 40), one.said()
    assert one.end() == 0
    produce(broker, names(10, 20))
    admin = AdminClient(broker)
    places = [joint.ck.TopicPartition(topics.ALERTS, partition, 15) for partition in (0, 1)]  # of 15, five were read
    for future in admin.delete_records(places).values():
        future.result(20)
    produce(broker, names(30, 2))
    one = Running(broker, tmp_path, **settings)
    assert eventually(lambda: len(ids(path)) >= 14, 40), one.said()
    assert one.end() == 0
    told = [json.loads(line) for line in path.read_text().splitlines()][10:]
    lost = [alert["output_fields"]["lost.expired"] for alert in told if alert["source"] == "internal"]
    assert sum(lost) == 20
    assert "dropped (expired 20)" in one.said()


def test_a_closed_pipe_ends_it_quietly_but_no_other_sink(broker: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "alerts.log"
    produce(broker, names(0, 5))
    common = [sys.executable, "-m", "tiercel", "forward", "--brokers", broker["bootstrap.servers"]]
    clean = {key: value for key, value in os.environ.items() if not key.startswith("TIERCEL_")}
    home = {"XDG_CONFIG_HOME": str(tmp_path), "TIERCEL_STDOUT_FORMAT": "json"}
    with subprocess.Popen(common, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=clean | home) as alone:
        assert alone.stdout is not None and alone.stderr is not None
        assert json.loads(alone.stdout.readline())["rule"] == "A rule"
        alone.stdout.close()
        produce(broker, names(5, 5))
        assert alone.wait(30) == 0
        said = alone.stderr.read().decode()
        assert "Traceback" not in said and "WARNING" not in said and "ERROR" not in said
    more = {"TIERCEL_FILE_ENABLED": "true", "TIERCEL_FILE_PATH": str(path)}
    with subprocess.Popen(common, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=clean | home | more) as both:
        assert both.stdout is not None
        both.stdout.close()
        produce(broker, names(10, 5))
        assert eventually(lambda: len(ids(path)) == 15, 40)
        produce(broker, names(15, 5))
        assert eventually(lambda: len(ids(path)) == 20)
        both.send_signal(signal.SIGTERM)
        assert both.wait(30) == 0


def test_no_sink_and_a_topic_of_ours_are_one_sentence(broker: dict[str, Any], tmp_path: Path) -> None:
    one = Running(broker, tmp_path)
    assert one.process.wait(30) == 1
    assert "no sink of alerts is enabled" in one.said().splitlines()[-1]
    brokers = broker["bootstrap.servers"]
    settings = {"ALERTKAFKA_ENABLED": "true", "ALERTKAFKA_BROKERS": brokers, "ALERTKAFKA_TOPIC": topics.ALERTS}
    one = Running(broker, tmp_path, **settings)
    assert one.process.wait(30) == 1
    assert "is one of tiercel's own" in one.said().splitlines()[-1]


def test_two_share_the_work_and_one_takes_over_from_the_other(broker: dict[str, Any], tmp_path: Path) -> None:
    admin = AdminClient(broker)
    admin.create_topics([NewTopic("elsewhere", 1, 1)])["elsewhere"].result(20)
    settings = {"ALERTKAFKA_ENABLED": "true", "ALERTKAFKA_BROKERS": broker["bootstrap.servers"]}
    settings |= {"ALERTKAFKA_TOPIC": "elsewhere"}
    both = [Running(broker, tmp_path, **settings) for _ in range(2)]
    assert eventually(lambda: all("partitions=0\n" in one.said() or "partitions=1\n" in one.said() for one in both), 40)
    produce(broker, names(0, 100))
    assert eventually(lambda: sum(joint.ends(broker, "elsewhere", [0]).values()) >= 100)
    both[0].end(signal.SIGKILL)
    produce(broker, names(100, 100))
    consumer = joint.KafkaConsumer(broker, "reader", ["elsewhere"])
    found: list[dict[str, Any]] = []
    # The one that was killed holds its partition until its session is over.
    assert eventually(
        lambda: found.extend(json.loads(m.value) for m in consumer.read()) or len({a["id"] for a in found}) == 200, 60
    )
    consumer.close()
    assert both[1].end() == 0
