"""A fleet whose schema registry goes away: what needs it waits and is not lost, all else goes on."""

import json
import signal
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tiercel.joints import kafka as joint
from tiercel.joints.registry import Registry
from tiercel.local import bundled_capture
from tiercel.processors import app
from tiercel.schemas import avro, topics
from tiercel.store import connect
from tiercel.testing.chdb_http import ChdbServer
from tiercel.testing.cluster import PARTITIONS, Cluster
from tiercel.testing.registry_server import RegistryServer
from tiercel.testing.services import eventually

from .test_operations import ask
from .test_reload import Fleet, Rows, raw_messages

pytestmark = [pytest.mark.services, pytest.mark.timeout(280)]


@pytest.fixture
def registry() -> Iterator[RegistryServer]:
    """One of its own, as it is stopped."""
    with RegistryServer() as server:
        yield server


@pytest.fixture
def fleet(tmp_path: Path, registry: RegistryServer) -> Iterator[Fleet]:
    pytest.importorskip("chdb")
    environment = {
        "TIERCEL_LOG_LEVEL": "info",
        "TIERCEL_KAFKA_SCHEMA_REGISTRY": registry.url,
        "TIERCEL_WORKER_SNAPSHOT_INTERVAL": "0.4",
        "TIERCEL_SINK_RETRY_MAX_S": "1",
        "TIERCEL_FILE_ENABLED": "1",
        "TIERCEL_FILE_PATH": str(tmp_path / "alerts.log"),
        "TIERCEL_STDOUT_ENABLED": "0",
    }
    with (
        ChdbServer(tmp_path / "store") as store,
        Cluster(tmp_path / "run", environment=environment, dsn=store.dsn) as running,
    ):
        yield Fleet(running, tmp_path)


def next_version(rows: Rows, url: str) -> Rows:
    """The same as a next version writes them, which has told the registry a field more."""
    schema = json.loads(avro.schema_json("raw_batch"))
    schema["fields"].append({"name": "added", "type": "int", "default": 0})
    number = Registry(url, ())._register(topics.RAW, json.dumps(schema), guard=True)
    return [(host, avro.frame("raw_batch", value[10:] + b"\x00", number)) for host, value in rows]


def test_while_it_is_away_nothing_is_lost_and_nobody_leaves(fleet: Fleet, registry: RegistryServer) -> None:
    cluster, rows = fleet.cluster, raw_messages(40)
    fleet.publish("one")
    third = len(rows) // 3
    later = next_version(rows[third:], registry.url)
    cluster.start("process")
    assert eventually(lambda: ask(cluster, "process", "/readyz")[0] == 200, 60), fleet.said()
    fleet.send(rows[:third])
    assert eventually(lambda: fleet.events() == third, 60), fleet.said()
    worker = cluster.processes["process"].pid

    registry.stop(signal.SIGKILL)
    fleet.send(later)
    assert eventually(lambda: "batches whose schema it must tell wait" in fleet.said(), 20), fleet.said()
    began = time.monotonic()
    cluster.start("sink")
    cluster.start("forward")
    cluster.start("collect", "--capture", str(bundled_capture()))
    assert eventually(lambda: cluster.log("collect").read_text().count("collector ended"), 60)
    assert "fingerprint" in cluster.log("collect").read_text()
    for stage in ("sink", "forward"):
        assert eventually(lambda stage=stage: "does not answer" in cluster.log(stage).read_text(), 60), stage
    time.sleep(max(0.0, began + app.SESSION_SECONDS + 4 - time.monotonic()))
    # Past its session ready it is not, and what it had to do it has not done otherwise.
    assert ask(cluster, "process", "/healthz")[0] == 200
    code, reason = ask(cluster, "process", "/readyz")
    assert code == 503
    assert "schema registry" in reason
    assert fleet.events() == third
    assert not (fleet.folder / "alerts.log").exists() or not (fleet.folder / "alerts.log").read_text()

    began = time.monotonic()
    registry.start()
    assert eventually(fleet.done, 90), fleet.said()
    print(f"all done {time.monotonic() - began:.1f} s after the registry came back")
    assert cluster.processes["process"].pid == worker
    assert cluster.processes["process"].poll() is None
    # Whoever has left its group gets its partitions again when it comes back.
    for stage in ("process", "forward"):
        assert cluster.log(stage).read_text().count("partitions assigned") == 1
    collected = fleet.events() - len(rows)
    assert collected > 0
    assert sum(joint.ends(fleet.client, topics.QUARANTINE, range(PARTITIONS)).values()) == 0
    read = [topics.EVENTS, topics.ALERTS]
    assert eventually(lambda: joint.behind(fleet.client, "tiercel-sink", read) == 0, 60), cluster.log(
        "sink"
    ).read_text()
    assert eventually(lambda: joint.behind(fleet.client, "tiercel-forward-file", [topics.ALERTS]) == 0, 60)
    told = {json.loads(line)["id"] for line in (fleet.folder / "alerts.log").read_text().splitlines()}
    with closing(connect(cluster._dsn)) as store:
        batches = store.query("SELECT uniqExact(raw_partition, raw_offset) FROM ledger").result_rows[0][0]
        stored = {row[0] for row in store.query("SELECT id FROM alerts").result_rows}
    assert batches == len(rows) + collected
    assert stored == told
    assert len(told) > 10


def test_a_worker_that_starts_without_it_waits_for_it(fleet: Fleet, registry: RegistryServer) -> None:
    registry.stop()
    fleet.publish("one")
    rows = raw_messages(40)
    fleet.send(rows)
    process = fleet.cluster.start("process")
    assert eventually(lambda: "waiting for it" in fleet.said(), 30), fleet.said()
    time.sleep(1)
    assert process.poll() is None
    registry.start()
    assert eventually(lambda: fleet.events() == len(rows), 60), fleet.said()
    # From its first message on it is framed with the ids that the registry gave.
    consumer = joint.KafkaConsumer(fleet.client, "look", [topics.EVENTS])
    with closing(consumer):
        first = eventually(lambda: consumer.read(1), 20)
    assert first[0].value[:1] == b"\x00"
    assert avro.decode("event_batch", first[0].value, Registry(registry.url, ()))["count"]
