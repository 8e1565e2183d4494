"""Rules that change under a worker: a fleet's, killed in the middle and made to do it again, and a single host's."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import confluent_kafka as ck
import pytest

from tiercel._engine import Batch, encode_raw
from tiercel.joints import kafka as joint
from tiercel.local import bundled_capture
from tiercel.processors.rules_topic import RulesTopic
from tiercel.processors.worker import Worker
from tiercel.recording import Capture
from tiercel.rules import sets
from tiercel.rules.sets import CompiledSet, RuleFiles
from tiercel.schemas import avro, topics
from tiercel.testing.cluster import PARTITIONS, Cluster
from tiercel.testing.services import eventually

RULE = """
- rule: {0}
  desc: d
  condition: evt.type in (open, openat) and evt.is_open_read = true
  output: {0} %fd.name by %proc.name
  priority: NOTICE
  throttle: {{per: [proc.name], burst: 2, every: 100ms}}
"""
UNTHROTTLED = RULE.split("  throttle", maxsplit=1)[0]
HOSTS = ("web1", "web2", "db1")
HEAD = {"boot_id": "b", "run": 1, "produced": 0, "delivered": 0, "lost": []}
Rows = list[tuple[str, bytes]]
Found = dict[tuple[int, int], list[bytes]]


def row(host: str, batch: Batch, start: int, stop: int, first_seq: int) -> tuple[str, bytes]:
    body = encode_raw(batch, start, stop, {**HEAD, "host_id": host, "host": host, "first_seq": first_seq})
    return host, avro.frame("raw_batch", body)


def raw_messages(size: int = 5) -> Rows:
    """The bundled recording in batches of so many events, of several hosts in turn."""
    rows: list[Rows] = []
    for host in HOSTS:
        first, mine = 1, Rows()
        for batch in Capture(bundled_capture()):
            for start in range(0, len(batch), size):
                stop = min(start + size, len(batch))
                mine.append(row(host, batch, start, stop, first))
                first += stop - start
        rows.append(mine)
    return [message for turn in zip(*rows, strict=True) for message in turn]


class Fleet:
    """A cluster of which this test is the collector."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.cluster, self.folder = cluster, folder
        self.client = {"bootstrap.servers": cluster.kafka.brokers}
        self._producer = joint.KafkaProducer(self.client)

    def send(self, rows: Rows, pause: float = 0.0) -> None:
        for host, value in rows:
            assert self._producer.send(topics.RAW, host.encode(), value, timeout=5)
            time.sleep(pause)
        assert self._producer.flush() == 0

    @contextmanager
    def sending(self, rows: Rows) -> Iterator[Future[None]]:
        """These are sent, one after the other, while the body does something else."""
        with ThreadPoolExecutor(1) as pool:
            done = pool.submit(self.send, rows, 0.02)
            yield done
            done.result()

    def publish(self, name: str, rule: str = RULE) -> CompiledSet:
        (self.folder / f"{name}.yaml").write_text(rule.format(name))
        made = sets.compiled(sets.read([self.folder / f"{name}.yaml"]))
        with closing(self.topic()) as topic:
            topic.publish(made)
        return made

    def force(self, *messages: tuple[bytes, bytes]) -> None:
        """Onto the topic of rules, whatever it is."""
        producer = ck.Producer(self.client)
        for key, value in messages:
            producer.produce(topics.RULES, key=key, value=value, partition=0)
        assert producer.flush(20) == 0

    def topic(self) -> RulesTopic:
        return RulesTopic(self.client, joint.topic_id(self.client, topics.RAW))

    def said(self) -> str:
        return self.cluster.log("process").read_text()

    def handled(self) -> int:
        """Messages of which something was sent."""
        return len(outputs(self.client))

    def events(self) -> int:
        """Enriched batches, repeats among them."""
        return sum(joint.ends(self.client, topics.EVENTS, range(PARTITIONS)).values())

    def done(self) -> bool:
        return joint.behind(self.client, "tiercel-worker", [topics.RAW]) == 0


def outputs(client: dict[str, Any]) -> Found:
    """What the worker has sent so far, by raw partition and offset, sorted; what came twice and is the same, once."""
    consumer = ck.Consumer({**client, "group.id": "look", "enable.auto.commit": False})
    parts = [ck.TopicPartition(topic, p, 0) for topic in (topics.EVENTS, topics.ALERTS) for p in range(PARTITIONS)]
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


@pytest.fixture
def fleet(cluster: Cluster, tmp_path: Path) -> Fleet:
    return Fleet(cluster, tmp_path)


@pytest.mark.services
@pytest.mark.timeout(280)
def test_a_worker_killed_after_a_swap_does_the_same_again_byte_by_byte(fleet: Fleet) -> None:
    rows, client = raw_messages(), fleet.client
    part = len(rows) * 2 // 3
    fleet.publish("one")
    fleet.cluster.start("process")
    assert eventually(lambda: "partitions assigned" in fleet.said(), 60), fleet.said()
    with fleet.sending(rows[:part]) as sending:
        assert eventually(lambda: fleet.events() > 20, 60)
        fleet.publish("two")
        assert eventually(lambda: "rules reloaded" in fleet.said(), 20), fleet.said()
        fleet.cluster.stop("process", signal.SIGKILL)
        assert not sending.done(), "it was killed while batches came"

    fleet.publish("three")
    fleet.cluster.start("process")
    # What lay there when it came is done with the rules that were recorded, and only what comes then with the third.
    assert eventually(fleet.done, 60)
    fleet.send(rows[part:])
    assert eventually(lambda: fleet.handled() == len(rows), 90)
    assert eventually(fleet.done, 60)

    # Whatever was sent is among these: what was sent twice and was another would be one too many.
    found = outputs(client)
    with closing(fleet.topic()) as topic:
        assert found == uninterrupted(client, topic, len(rows))
        assert versions(found) == {place: recorded(topic, place) for place in found}
        assert max(len(entries) for entries in topic.rollout.entries.values()) == 3
    names = {avro.decode("alert", v)["rule"] for values in found.values() for v in values if is_alert(v)}
    assert names == {"one", "two", "three"}


@pytest.mark.services
@pytest.mark.timeout(280)
def test_one_that_goes_on_where_it_was_uses_what_was_recorded_and_nothing_forced_on_the_topic(fleet: Fleet) -> None:
    """Each message is a host of its own, and nothing is counted: a worker that comes anew lacks no state."""
    batch = max(Capture(bundled_capture()), key=len)
    rows = [row(f"host{number}", batch, 0, 60, 1) for number in range(700)]
    one = fleet.publish("one", UNTHROTTLED)
    fleet.cluster.start("process")
    assert eventually(lambda: "partitions assigned" in fleet.said(), 60), fleet.said()
    bad = RuleFiles((("bad.yaml", RULE.format("bad").replace("fd.name", "fd.nmae")),), hosts={})
    garbage = hashlib.sha256(b"garbage").hexdigest()
    with fleet.sending(rows[:600]) as sending:
        assert eventually(lambda: fleet.events() > 20, 60)
        fleet.force((b"set/" + bad.version.encode(), bad.pack()), current(bad.version))
        assert eventually(lambda: "bad.yaml:5:" in fleet.said(), 20)
        fleet.force((b"set/" + garbage.encode(), b"garbage"), current(garbage), (b"rubbish", b"x"))
        assert eventually(lambda: "the key is unknown" in fleet.said(), 20)
        assert set(versions(outputs(fleet.client)).values()) == {one.version}
        two = fleet.publish("two", UNTHROTTLED)
        assert eventually(lambda: "rules reloaded" in fleet.said(), 20), fleet.said()
        fleet.cluster.stop("process", signal.SIGKILL)
        assert not sending.done(), "it was killed while batches came"
        refused = [
            fleet.said().count(told) for told in ("bad.yaml:5:", "not the content of a rule set", "key is unknown")
        ]
        assert refused == [1, 1, 1]
        fleet.cluster.start("process")
    assert eventually(lambda: fleet.handled() == 600 and fleet.done(), joint.SESSION_SECONDS + 60)

    # The set that is wanted cannot be used, and nobody is there who knows the one before.
    assert fleet.cluster.stop("process") == 0
    fleet.force((b"set/" + bad.version.encode(), bad.pack()), current(bad.version))
    fleet.cluster.start("process")
    fleet.send(rows[600:])
    assert eventually(lambda: fleet.handled() == len(rows) and fleet.done(), 60)
    assert fleet.said().count("bad.yaml:5:") == 2, "once by each worker"

    found = outputs(fleet.client)
    with closing(fleet.topic()) as topic:
        assert found == uninterrupted(fleet.client, topic, len(rows))
        assert versions(found) == {place: recorded(topic, place) for place in found}
    assert set(versions(found).values()) == {one.version, two.version}


def current(version: str) -> tuple[bytes, bytes]:
    return b"current", json.dumps({"version": version}).encode()


def versions(found: Found) -> dict[tuple[int, int], str]:
    """The rule set that is named, the same in a batch and its alerts; a summary may tell of the set before."""
    named = {}
    for place, values in found.items():
        records = [avro.decode("alert" if is_alert(value) else "event_batch", value) for value in values]
        told = {record["rules_version"] for record in records if not record.get("summary")}
        assert len(told) == 1, place
        named[place] = told.pop()
    return named


def recorded(topic: RulesTopic, place: tuple[int, int]) -> str:
    span = topic.rollout.at(*place)
    assert span is not None
    return span.version


def is_alert(message: bytes) -> bool:
    return avro.unframe(message)[0] == avro.fingerprint("alert")


def uninterrupted(client: dict[str, Any], topic: RulesTopic, count: int) -> Found:
    """What one worker makes of all raw messages, each with the rules recorded for it."""
    consumer = ck.Consumer({**client, "group.id": "again", "enable.auto.commit": False})
    consumer.assign([ck.TopicPartition(topics.RAW, p, 0) for p in range(PARTITIONS)])
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
        places = [f"{file}:{line}:{column}: " for line, column in ((4, 14), (13, 13))]
        assert eventually(lambda: all(place in err.read_text() for place in places), 5), err.read_text()
        out.write_text("")
        assert eventually(lambda: fires("two"), 10)
        # A change that no look at the file can tell: only who is asked to reads it anew.
        file.write_text(rule.format("one"))
        assert eventually(lambda: fires("one"), 10)
        before = file.stat()
        file.write_text(rule.format("six"))
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
        time.sleep(1.5)
        assert not fires("six")
        running.send_signal(signal.SIGHUP)
        assert eventually(lambda: fires("six"), 10)
    finally:
        running.send_signal(signal.SIGINT)
        assert running.wait(20) == 0, err.read_text()
    assert "produced " in err.read_text()
