"""The topic of alerts as anybody reads it: order, replay, schemas, with the example and as the doc says with kcat."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import confluent_kafka as ck
import fastavro
import pytest

from tiercel.joints import kafka as joint
from tiercel.joints.registry import Registry
from tiercel.schemas import avro, topics
from tiercel.testing import builders
from tiercel.testing.cluster import PARTITIONS, Cluster
from tiercel.testing.kafka_server import KafkaServer
from tiercel.testing.registry_server import RegistryServer
from tiercel.testing.services import eventually

from .test_recovery import PATIENCE, start
from .test_reload import UNTHROTTLED, Fleet, raw_messages

pytestmark = [pytest.mark.services, pytest.mark.timeout(280)]
ROOT = Path(__file__).parent.parent.parent
EXAMPLE = ROOT / "examples" / "alerts.py"
_STARTED: list[subprocess.Popen[bytes]] = []


@pytest.fixture(autouse=True)
def ended() -> Iterator[None]:
    yield
    while _STARTED:
        process = _STARTED.pop()
        process.kill()
        process.wait()


@pytest.fixture
def broker() -> Iterator[KafkaServer]:
    with KafkaServer() as server:
        topics.create({"bootstrap.servers": server.brokers}, partitions=PARTITIONS)
        topics.publish_schemas({"bootstrap.servers": server.brokers})
        yield server


class Example:
    """The example as a process, started again and again. A line that it was killed in the middle of is none."""

    def __init__(self, brokers: str, folder: Path, *arguments: str) -> None:
        self._command = [sys.executable, str(EXAMPLE), brokers, "-X", "session.timeout.ms=6000", *arguments]
        self._folder, self._errors = folder, folder / "example.err"
        self._outs: list[Path] = []

    def start(self) -> subprocess.Popen[bytes]:
        self._outs.append(self._folder / f"example-{len(self._outs)}.out")
        with self._outs[-1].open("wb") as out, self._errors.open("ab") as errors:
            _STARTED.append(subprocess.Popen(self._command, stdout=out, stderr=errors, cwd="/"))
        return _STARTED[-1]

    def alerts(self) -> list[dict[str, Any]]:
        return [json.loads(line) for out in self._outs for line in out.read_bytes().split(b"\n")[:-1]]

    def ids(self) -> list[str]:
        return [alert["id"] for alert in self.alerts()]

    def said(self) -> str:
        return self._errors.read_text()


def end(process: subprocess.Popen[bytes], how: int = signal.SIGTERM) -> int:
    process.send_signal(how)
    return process.wait(30)


def produce(brokers: str, *values: bytes | None, partition: int = 0) -> None:
    producer = ck.Producer({"bootstrap.servers": brokers})
    for value in values:
        producer.produce(topics.ALERTS, key=b"host-1", value=value, partition=partition)
    assert producer.flush(20) == 0


def on_topic(client: dict[str, Any]) -> list[dict[str, Any]]:
    """All alerts there are, by partition and offset, with the partition as `at`."""
    consumer = ck.Consumer({**client, "group.id": "look", "enable.auto.commit": False})
    ends = joint.ends(client, topics.ALERTS, range(PARTITIONS))
    consumer.assign([ck.TopicPartition(topics.ALERTS, p, 0) for p in range(PARTITIONS)])
    found = consumer.consume(sum(ends.values()), 20)
    consumer.close()
    assert len(found) == sum(ends.values())
    found.sort(key=lambda message: (message.partition() or 0, message.offset() or 0))
    return [{**avro.decode("alert", m.value() or b""), "at": m.partition(), "key": m.key()} for m in found]


def in_order(alerts: list[dict[str, Any]]) -> bool:
    """Whether those of each host are, repeats left out."""
    numbers: dict[str, list[int]] = defaultdict(list)
    # A dictionary keeps the place of what came first.
    for alert in {alert["id"]: alert for alert in alerts}.values():
        numbers[alert["host_id"]].append(alert["seq"])
    return all(found == sorted(found) for found in numbers.values())


def test_the_example_is_short_and_knows_nothing_of_us() -> None:
    text = EXAMPLE.read_text()
    assert len(text.splitlines()) <= 80
    assert "import tiercel" not in text
    assert "from tiercel" not in text


def test_workers_and_readers_that_are_killed_leave_every_host_in_order_and_whole(tmp_path: Path) -> None:
    environment = {"TIERCEL_LOG_LEVEL": "info", "TIERCEL_WORKER_SNAPSHOT_INTERVAL": "3"}
    with Cluster(tmp_path / "run", environment=environment) as cluster:
        fleet, example = Fleet(cluster, tmp_path), Example(cluster.kafka.brokers, tmp_path)
        topics.publish_schemas(fleet.client)
        fleet.publish("one", UNTHROTTLED)
        rows = raw_messages(5)
        start(fleet)
        first, reader = cluster.processes["process"], example.start()
        _STARTED.append(first)
        with fleet.sending(rows):
            assert eventually(lambda: len(example.ids()) > 5, 60), example.said()
            start(fleet, 2)
            # It does something that no snapshot stands for yet.
            time.sleep(2)
            assert end(reader, signal.SIGKILL) < 0
            end(first, signal.SIGKILL)
            # It was away, and goes on where it was; another one joins it.
            reader = example.start()
        assert eventually(fleet.done, PATIENCE), fleet.said()
        second = example.start()
        there = on_topic(fleet.client)
        wanted = {alert["id"] for alert in there}
        assert eventually(lambda: set(example.ids()) >= wanted, PATIENCE), example.said()
        assert {end(reader), end(second)} == {0}
    places = {(alert["host_id"].encode(), alert["at"]) for alert in there}
    assert {alert["key"] for alert in there} == {host for host, _ in places}
    assert len(places) == 3, "a host is in one partition"
    assert in_order(there)
    printed = example.alerts()
    assert {alert["id"] for alert in printed} == wanted
    assert in_order(printed)
    same = {alert["id"]: alert for alert in there}
    assert all(alert == {k: v for k, v in same[alert["id"]].items() if k not in ("at", "key")} for alert in printed)
    print(f"{len(wanted)} alerts, {len(there) - len(wanted)} sent again, {len(printed) - len(wanted)} printed again")


def test_a_reader_that_was_away_goes_on_where_it_was_and_a_new_group_reads_all(
    broker: KafkaServer, tmp_path: Path
) -> None:
    names = [f"{number:03}" for number in range(300)]
    example = Example(broker.brokers, tmp_path)
    produce(broker.brokers, *map(builders.alert, names[:100]))
    reader = example.start()
    assert eventually(lambda: example.ids() == names[:100], 30), example.said()
    client = {"bootstrap.servers": broker.brokers}
    assert eventually(lambda: joint.behind(client, "tiercel-alerts-example", [topics.ALERTS]) == 0)
    assert end(reader) == 0
    produce(broker.brokers, *map(builders.alert, names[100:]))
    # Sent again, as by a worker that was killed.
    produce(broker.brokers, *map(builders.alert, names[250:]))
    reader = example.start()
    assert eventually(lambda: example.ids() == names, 30), example.said()
    # While it stands still, more comes: it lags and does not lose.
    reader.send_signal(signal.SIGSTOP)
    produce(broker.brokers, *(builders.alert(f"later {name}") for name in names))
    time.sleep(1)
    reader.send_signal(signal.SIGCONT)
    later = [*names, *(f"later {name}" for name in names)]
    assert eventually(lambda: example.ids() == later, 60), example.said()
    (tmp_path / "again").mkdir()
    again = Example(broker.brokers, tmp_path / "again", "--group", "tiercel-alerts-again")
    again.start()
    assert eventually(lambda: again.ids() == later, 30), again.said()


def test_a_reader_killed_in_the_middle_misses_none_and_repeats_none_by_id(broker: KafkaServer, tmp_path: Path) -> None:
    names = [f"{number:06}" for number in range(20_000)]
    produce(broker.brokers, *map(builders.alert, names))
    client, example = {"bootstrap.servers": broker.brokers}, Example(broker.brokers, tmp_path)
    for wanted in (500, 1500):
        reader = example.start()
        assert eventually(lambda wanted=wanted: len(example.ids()) > wanted, 30), example.said()  # type: ignore[misc]
        while True:
            reader.send_signal(signal.SIGSTOP)
            # Until it stands, and when it has printed what it has not committed.
            time.sleep(0.02)
            if joint.committed(client, "tiercel-alerts-example", topics.ALERTS)[0] < len(set(example.ids())):
                break
            reader.send_signal(signal.SIGCONT)
        end(reader, signal.SIGKILL)
        assert len(set(example.ids())) < len(names), "it was killed in the middle"
    example.start()
    assert eventually(lambda: example.ids()[-1:] == names[-1:], 60), example.said()
    printed = example.ids()
    assert list(dict.fromkeys(printed)) == names
    assert len(printed) > len(names)
    print(f"{len(printed) - len(names)} of {len(names)} printed again after two kills")


def test_schemas_to_come_framings_and_what_is_no_alert(
    broker: KafkaServer, registry: RegistryServer, tmp_path: Path
) -> None:
    ours = Registry(registry.url, ["alert"], guard=True)
    schema = json.loads(avro.schema_json("alert"))
    schema["fields"].append({"name": "severity", "type": "int", "default": 3})
    text = json.dumps(schema)
    record = {**avro.decode("alert", builders.alert("next")), "severity": 5}
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema), record)
    key = avro.fingerprint_of(text).to_bytes(8, "little")
    number = ours._register(topics.ALERTS, text, guard=True)
    example = Example(broker.brokers, tmp_path, "--registry", registry.url)
    example.start()
    produce(broker.brokers, builders.alert("first"))
    assert eventually(lambda: example.ids() == ["first"], 30), example.said()
    producer = ck.Producer({"bootstrap.servers": broker.brokers})
    producer.produce(topics.SCHEMAS, key=key, value=text.encode())
    assert producer.flush(20) == 0
    produce(
        broker.brokers,
        b"\xc3\x01" + key + out.getvalue(),
        None,
        b"",
        b"{}",
        b"\xc3\x01short",
        b"\xc3\x01unknown!" + out.getvalue(),
        b"\x00\x00\x0f\xff\xff" + out.getvalue(),
        builders.alert("broken")[:-30],
        avro.frame("alert", builders.alert("old id")[10:], ours.ids["alert"]),
        avro.frame("alert", out.getvalue().replace(b"next", b"more"), number),
        builders.alert("last"),
    )
    assert eventually(lambda: example.ids()[-1:] == ["last"], 60), example.said()
    assert example.ids() == ["first", "next", "old id", "more", "last"]
    assert example.alerts()[1] == record
    assert example.said().count("left out") == 7
    # The same by our own reader, which passes by what it does not know.
    del record["severity"]
    assert avro.decode("alert", avro.frame("alert", out.getvalue(), number), Registry(registry.url, ())) == record


def recipes() -> list[str]:
    text = (ROOT / "docs" / "alert_topic.md").read_text()
    return re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def test_kcat_does_what_the_doc_says(broker: KafkaServer) -> None:
    for partition in range(PARTITIONS):
        produce(broker.brokers, *(builders.alert(f"{partition}{n}") for n in range(4)), partition=partition)
    environment = {**os.environ, "BROKERS": broker.brokers, "PATH": f"{ROOT}/.venv/bin:{os.environ['PATH']}"}

    def run(recipe: str) -> list[str]:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", recipe],
            capture_output=True,
            text=True,
            env=environment,
            cwd=ROOT,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, (recipe, done.stderr)
        return done.stdout.splitlines()

    all_of_them, last, since, group, decoded, schemas = map(run, recipes())
    size = len(builders.alert("00"))
    assert len(all_of_them) == len(since) == len(group) == len(decoded) == 4 * PARTITIONS
    assert all(re.fullmatch(rf"key=host-1 partition=\d offset=\d time=\d+ bytes={size}", row) for row in all_of_them)
    assert sorted(last) == [f"key=host-1 partition={p} offset=3" for p in range(PARTITIONS)]
    assert set(decoded) == {"Warning A rule something happened"}
    assert len(schemas) == len(avro.NAMES)
