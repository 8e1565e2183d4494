"""End to end, live: a marker program's calls, through probe, Kafka, Faust worker and sink, as rows and as an alert."""

import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import confluent_kafka
import fastavro
import pytest

import tiercel.schemas
from tiercel.joints.kafka import SESSION_SECONDS
from tiercel.schemas import migrations
from tiercel.store import connect
from tiercel.testing.cluster import Cluster
from tiercel.testing.services import ClickHouse, eventually

pytestmark = [pytest.mark.services, pytest.mark.bpf, pytest.mark.timeout(240)]

OPENS, FAILURES = 137, 41
PROGRAM = """
import os, sys
folder, opens, failures = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
for n in range(opens):
    os.close(os.open(folder + "/there", os.O_RDONLY))
for n in range(failures):
    try:
        os.open(folder + "/missing", os.O_RDONLY)
    except FileNotFoundError:
        pass
os.close(os.open(folder + "/secret", os.O_RDONLY))
"""
RULES = """
- rule: Marker read a secret
  desc: The marker program opened its secret.
  condition: evt.type = openat and evt.is_open_read = true and fd.name endswith /secret and fd.name contains marker-
  output: secret read (file=%fd.name pid=%proc.pid parent=%proc.pname command=%proc.cmdline)
  priority: WARNING
  tags: [marker]
"""


@pytest.fixture
def cluster(tmp_path: Path, clickhouse: ClickHouse) -> Iterator[Cluster]:
    rules = tmp_path / "rules.yaml"
    rules.write_text(RULES)
    migrations.apply(connect(clickhouse.dsn))
    with Cluster(tmp_path / "run", collect=[], process=["--rules", str(rules)], dsn=clickhouse.dsn) as running:
        yield running


def _alerts(brokers: str) -> list[dict[str, Any]]:
    """What a stranger does who has the schema alone."""
    schema = fastavro.parse_schema(json.loads((Path(tiercel.schemas.__file__).parent / "alert.avsc").read_text()))
    consumer = confluent_kafka.Consumer(
        {"bootstrap.servers": brokers, "group.id": "stranger", "auto.offset.reset": "earliest"}
    )
    consumer.subscribe(["tiercel.alerts"])
    found: list[dict[str, Any]] = []
    deadline = time.monotonic() + 20
    while not found and time.monotonic() < deadline:
        message = consumer.poll(0.5)
        if message is not None and message.error() is None:
            body = io.BytesIO((message.value() or b"")[10:])
            record = fastavro.schemaless_reader(body, schema, None)
            assert isinstance(record, dict)
            found.append(record)
    consumer.close()
    return found


def test_known_calls_become_exactly_so_many_rows_and_an_alert(cluster: Cluster, clickhouse: ClickHouse) -> None:
    client = connect(clickhouse.dsn)
    eventually(lambda: client.query("SELECT count() FROM events").result_rows[0][0], 60)
    cluster.check()
    folder = cluster.directory / f"marker-{os.getpid()}"
    folder.mkdir()
    for name in ("there", "secret"):
        (folder / name).touch()
    marker = subprocess.Popen([sys.executable, "-I", "-S", "-c", PROGRAM, str(folder), str(OPENS), str(FAILURES)])
    assert marker.wait() == 0

    def count(name: str) -> int:
        query = "SELECT count() FROM events WHERE fd_name = %(name)s AND type = 'openat' AND proc_pid = %(pid)s"
        return int(client.query(query, parameters={"name": str(folder / name), "pid": marker.pid}).result_rows[0][0])

    assert eventually(lambda: count("secret"), 30) == 1
    assert (count("there"), count("missing")) == (OPENS, FAILURES)

    rows = client.query(
        """
        SELECT DISTINCT e.proc_pid, e.proc_exepath, e.proc_pname, e.user_uid, e.res >= 0,
                        p.ppid, p.ancestor_pids[1], p.cwd
        FROM events AS e INNER JOIN processes AS p ON p.id = e.process AND p.boot_id = e.boot_id
        WHERE e.fd_name = %(there)s AND e.type = 'openat' AND bitAnd(open, 1) = 1
        """,
        parameters={"there": str(folder / "there")},
    ).result_rows
    assert len(rows) == 1
    pid, exepath, parent_name, uid, succeeded, ppid, ancestor, cwd = rows[0]
    assert pid == marker.pid
    assert exepath == os.path.realpath(sys.executable)
    assert parent_name == Path("/proc/self/comm").read_text().strip()
    assert (uid, succeeded, ppid, ancestor) == (os.getuid(), 1, os.getpid(), os.getpid())
    assert cwd.rstrip("/") == str(Path.cwd())
    query = "SELECT DISTINCT res FROM events WHERE fd_name = %(name)s AND type = 'openat'"
    assert client.query(query, parameters={"name": str(folder / "missing")}).result_rows == [(-2,)]

    alerts = _alerts(cluster.kafka.brokers)
    assert [alert["rule"] for alert in alerts] == ["Marker read a secret"]
    fields = {field["name"]: field["value"] for field in alerts[0]["output_fields"]}
    assert fields["fd.name"] == str(folder / "secret")
    assert fields["proc.pid"] == marker.pid
    assert str(folder / "secret") in alerts[0]["message"]
    stored = eventually(lambda: client.query("SELECT id, rule, seq FROM alerts").result_rows)
    assert stored == [(alerts[0]["id"], "Marker read a secret", alerts[0]["seq"])]
    seq = client.query(
        "SELECT seq, rules FROM events WHERE fd_name = %(name)s", parameters={"name": str(folder / "secret")}
    ).result_rows
    assert (alerts[0]["seq"], ["Marker read a secret"]) in [(row[0], list(row[1])) for row in seq]

    _balanced(cluster, client)


def _balanced(cluster: Cluster, client: Any) -> None:
    """After the collector has ended, its books balance, in the store and in the numbering."""
    assert cluster.stop("collect") == 0
    query = """
        SELECT maxIf(count, kind = 'produced') AS produced, sumIf(count, kind = 'stored') AS stored,
               sumIf(count, kind = 'lost') AS lost FROM ledger
    """

    def books() -> tuple[int, int, int] | None:
        produced, stored, lost = client.query(query).result_rows[0]
        return (produced, stored, lost) if produced == stored + lost else None

    assert eventually(books, 30), client.query(query).result_rows
    rows, distinct, ledger = client.query(
        "SELECT count(), uniqExact(seq), (SELECT sumIf(count, kind = 'stored') FROM ledger) FROM events"
    ).result_rows[0]
    assert rows == distinct == ledger


def test_a_worker_killed_in_the_middle_changes_nothing(cluster: Cluster, clickhouse: ClickHouse) -> None:
    client = connect(clickhouse.dsn)
    eventually(lambda: client.query("SELECT count() FROM events").result_rows[0][0], 60)
    folder = cluster.directory / f"marker-{os.getpid()}"
    folder.mkdir()
    for name in ("there", "secret"):
        (folder / name).touch()
    command = [sys.executable, "-I", "-S", "-c", PROGRAM, str(folder), "50", "1"]
    subprocess.run(command, check=True)
    cluster.stop("process", 9)
    subprocess.run(command, check=True)
    cluster.start("process", "--rules", str(cluster.directory.parent / "rules.yaml"))
    subprocess.run(command, check=True)
    cluster.stop("sink", 9)
    cluster.start("sink")

    def count() -> int:
        # A new worker learns of old processes only what their events tell: the name of the file is told by each open.
        query = (
            "SELECT count() FROM events WHERE args['name'] LIKE %(name)s AND type = 'openat' AND bitAnd(open, 1) = 1"
        )
        return int(client.query(query, parameters={"name": f"%{folder.name}/there%"}).result_rows[0][0])

    # Kafka gives the partitions of a killed worker away when its session has timed out, and those of a sink likewise.
    assert eventually(lambda: count() >= 150, 2 * SESSION_SECONDS + 30)
    _balanced(cluster, client)
    assert count() == 150
