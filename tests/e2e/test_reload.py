"""Rules that change under a worker: a fleet's, killed in the middle and made to do it again, and a single host's."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import confluent_kafka as ck
import pytest
from confluent_kafka.admin import AdminClient

from tests.cli.run import tiercel
from tiercel._engine import encode_raw
from tiercel.joints import kafka as joint
from tiercel.local import bundled_capture
from tiercel.processors.rules_topic import RulesTopic
from tiercel.processors.worker import Worker
from tiercel.recording import Capture
from tiercel.schemas import avro, topics
from tiercel.testing.cluster import Cluster
from tiercel.testing.services import eventually

RULE = """
- rule: {0}
  desc: d
  condition: evt.type in (open, openat) and evt.is_open_read = true
  output: {0} %fd.name by %proc.name
  priority: NOTICE
  throttle: {{per: [proc.name], burst: 2, every: 100ms}}
"""
HOSTS = ("web1", "web2", "db1")
Found = dict[tuple[int, int], list[bytes]]


def raw_messages() -> list[tuple[str, bytes]]:
    """The bundled recording in batches of fifty events, of several hosts in turn."""
    rows: list[list[tuple[str, bytes]]] = []
    for host in HOSTS:
        head = {"host_id": host, "host": host, "boot_id": "b", "run": 1, "produced": 0, "delivered": 0, "lost": []}
        first, mine = 1, list[tuple[str, bytes]]()
        for batch in Capture(bundled_capture()):
            for start in range(0, len(batch), 50):
                stop = min(start + 50, len(batch))
                body = encode_raw(batch, start, stop, head | {"first_seq": first})
                first += stop - start
                mine.append((host, avro.frame("raw_batch", body)))
        rows.append(mine)
    return [row for turn in zip(*rows, strict=True) for row in turn]


def outputs(client: dict[str, str]) -> Found:
    """What the worker has sent so far, by raw partition and offset, sorted; what came twice and is the same, once."""
    consumer = ck.Consumer({**client, "group.id": "look", "enable.auto.commit": False})
    parts = [ck.TopicPartition(topic, p, 0) for topic in (topics.EVENTS, topics.ALERTS) for p in range(3)]
    wanted = sum(consumer.get_watermark_offsets(part, timeout=10)[1] for part in parts)
    consumer.assign(parts)
    found: Found = {}
    for message in consumer.consume(wanted, 20):
        value, topic = message.value() or b"", message.topic()
        record = avro.decode("alert" if topic == topics.ALERTS else "event_batch", value)
        here = found.setdefault((record["partition"], record["offset"]), [])
        assert message.partition() == record["partition"]
        if value not in here:
            here.append(value)
    consumer.close()
    return {place: sorted(values) for place, values in found.items()}


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with Cluster(tmp_path / "run", environment={"TIERCEL_LOG_LEVEL": "info"}) as running:
        yield running


@pytest.mark.services
@pytest.mark.timeout(280)
def test_a_worker_killed_after_a_swap_does_the_same_again_byte_by_byte(cluster: Cluster, tmp_path: Path) -> None:
    client = {"bootstrap.servers": cluster.kafka.brokers}
    for name in ("one", "two", "three"):
        (tmp_path / f"{name}.yaml").write_text(RULE.format(name))
    rows = raw_messages()
    producer = joint.KafkaProducer(client)

    def send(part: list[tuple[str, bytes]]) -> None:
        for host, value in part:
            assert producer.send(topics.RAW, host.encode(), value, timeout=5)
        assert producer.flush() == 0

    def publish(name: str) -> None:
        done = tiercel("rules", "publish", tmp_path / f"{name}.yaml", "--brokers", cluster.kafka.brokers, home=tmp_path)
        assert done.returncode == 0, done.stderr

    def handled() -> int:
        return len(outputs(client))

    publish("one")
    cluster.start("process")
    third = len(rows) // 3
    send(rows[:third])
    assert eventually(lambda: handled() == third, 60)
    publish("two")
    log = cluster.log("process")
    eventually(lambda: log.read_text().count("rules ready"), 20)
    send(rows[third : 2 * third])
    assert eventually(lambda: handled() == 2 * third, 60)
    cluster.stop("process", signal.SIGKILL)

    # It had committed what it had done; without the state that it had then, only all of it again can be the same.
    admin = AdminClient(client)
    forget = lambda: admin.delete_consumer_groups(["tiercel-worker"])["tiercel-worker"].exception() is None  # noqa: E731
    assert eventually(forget, joint.SESSION_SECONDS + 20)
    first = outputs(client)
    publish("three")
    cluster.start("process")
    # What lay there when it came is done with the rules that were recorded, and only what comes then with the third.
    assert eventually(lambda: joint.behind(client, "tiercel-worker", [topics.RAW]) == 0, 60)
    send(rows[2 * third :])
    assert eventually(lambda: handled() == len(rows), 90)
    eventually(lambda: joint.behind(client, "tiercel-worker", [topics.RAW]) == 0, 60)

    topic = RulesTopic(client, joint.topic_id(client, topics.RAW))
    found = outputs(client)
    assert {key: value for key, value in found.items() if key in first} == first, "nothing became another"
    assert found == uninterrupted(client, topic, len(rows))
    names = {avro.decode("alert", v)["rule"] for values in found.values() for v in values if is_alert(v)}
    assert names == {"one", "two", "three"}
    versions = [[version for _, version in entries] for entries in topic.rollout.entries.values()]
    assert max(map(len, versions)) == 3
    topic.close()


def is_alert(message: bytes) -> bool:
    return avro.unframe(message)[0] == avro.fingerprint("alert")


def uninterrupted(client: dict[str, str], topic: RulesTopic, count: int) -> Found:
    """What one worker makes of all raw messages, each with the rules recorded for it."""
    consumer = ck.Consumer({**client, "group.id": "again", "enable.auto.commit": False})
    consumer.assign([ck.TopicPartition(topics.RAW, p, 0) for p in range(3)])
    worker, found = Worker(None), Found()
    messages = consumer.consume(count, 20)
    assert len(messages) == count
    for message in messages:
        partition, offset = message.partition(), message.offset()
        assert partition is not None
        assert offset is not None
        span = topic.rollout.at(partition, offset)
        assert span is not None
        worker.use(topic.compiled(span.version).rules, partition)
        out = worker.handle(partition, offset, message.key() or b"", message.value() or b"")
        found[partition, offset] = sorted(output.value for output in out)
    consumer.close()
    return found


@pytest.mark.services
@pytest.mark.timeout(200)
def test_a_worker_whose_rule_files_change_publishes_them_and_refuses_bad_ones(cluster: Cluster, tmp_path: Path) -> None:
    client = {"bootstrap.servers": cluster.kafka.brokers}
    file = tmp_path / "rules.yaml"
    file.write_text(RULE.format("one"))
    cluster.start("process", "--rules", str(file))
    log = cluster.log("process")
    assert eventually(lambda: "partitions assigned" in log.read_text(), 60)
    file.write_text(RULE.format("bad").replace("fd.name", "fd.nmae"))
    assert eventually(lambda: f"{file}:5:" in log.read_text(), 20)
    file.write_text(RULE.format("two"))
    assert eventually(lambda: log.read_text().count("rules ready") == 1, 20), log.read_text()
    # Nothing has come in yet, so nothing was recorded; and what comes now has the new rules.
    producer = joint.KafkaProducer(client)
    for host, value in raw_messages()[:40]:
        assert producer.send(topics.RAW, host.encode(), value, timeout=5)
    assert producer.flush() == 0
    assert eventually(lambda: len(outputs(client)) == 40, 60)
    rules = {avro.decode("alert", v)["rule"] for values in outputs(client).values() for v in values if is_alert(v)}
    assert rules == {"two"}
    cluster.check()


@pytest.mark.bpf
def test_this_host_takes_up_changed_rules_and_tells_what_is_wrong(tmp_path: Path) -> None:
    file, marker = tmp_path / "rules.yaml", tmp_path / "marker"
    marker.touch()
    rule = RULE.replace("evt.is_open_read = true", f"fd.name = {marker}").replace("throttle", "#")
    file.write_text(rule.format("one"))
    own = {"TIERCEL_API_SOCKET": str(tmp_path / "api.sock"), "TIERCEL_STORE_DSN": f"chdb://{tmp_path / 'store'}"}
    out, err = tmp_path / "out", tmp_path / "err"
    command = [Path(sys.executable).parent / "tiercel", "up", "--rules", file]
    with out.open("w") as alerts, err.open("w") as news:
        running = subprocess.Popen(command, stdout=alerts, stderr=news, env=os.environ | own)
    try:

        def fires(name: str) -> bool:
            marker.read_text()
            time.sleep(0.2)
            return f"{name} {marker} by" in out.read_text()

        assert eventually(lambda: fires("one"), 30), err.read_text()
        file.write_text(rule.format("two"))
        assert eventually(lambda: "rules reloaded: 1 rules, version " in err.read_text(), 10), err.read_text()
        assert eventually(lambda: fires("two"), 10)
        file.write_text(rule.format("bad").replace("evt.type", "evt.tpye") + rule.format("x").replace("NOTICE", "LOUD"))
        assert eventually(lambda: "rules refused, those before go on:" in err.read_text(), 10)
        assert eventually(lambda: err.read_text().count(f"{file}:") >= 2, 5)
        out.write_text("")
        assert eventually(lambda: fires("two"), 10)
        file.write_text(rule.format("three"))
        running.send_signal(signal.SIGHUP)
        assert eventually(lambda: fires("three"), 10)
    finally:
        running.send_signal(signal.SIGINT)
        assert running.wait(20) == 0, err.read_text()
    assert "produced " in err.read_text()
