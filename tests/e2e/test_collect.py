"""`tiercel collect` of this kernel: what it may do once it runs, what it sends of secrets, and how it is killed."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import confluent_kafka as ck
import pytest

from tiercel._engine import decode_raw
from tiercel.config import Kafka
from tiercel.schemas import avro, topics
from tiercel.testing.services import eventually

pytestmark = [pytest.mark.services, pytest.mark.bpf]

_ONE = "openat,execve,clone,clone3,procexit,write,setuid"


@contextmanager
def collecting(kafka: Kafka, folder: Path, *prefix: str, **own: str) -> Iterator[subprocess.Popen[bytes]]:
    environment = {
        **os.environ, "TIERCEL_KAFKA_BROKERS": kafka.brokers, "TIERCEL_COLLECTOR_SPOOL": str(folder / "spool"),
        "TIERCEL_HOST_ID": folder.name, "TIERCEL_COLLECTOR_WANTED": _ONE,
        "TIERCEL_COLLECTOR_CONTAINERS": "false", **own,
    }  # fmt: skip
    log = folder / "collect.log"
    before = log.read_text().count("collector started") if log.exists() else 0
    with log.open("ab") as out:
        running = subprocess.Popen(
            [sys.executable, "-m", "tiercel", "collect"], env=environment, stdout=out, stderr=out
        )
    try:
        eventually(lambda: log.read_text().count("collector started") > before or running.poll() is not None, 40)
        assert running.poll() is None, log.read_text()
        yield running
    finally:
        running.kill()
        running.wait()


def bounded() -> list[str]:
    """No more than the unit for systemd has."""
    unit = (Path(__file__).parents[2] / "deploy/systemd/tiercel-collector.service").read_text()
    line = next(line for line in unit.splitlines() if line.startswith("CapabilityBoundingSet="))
    names = [f"+{name.removeprefix('CAP_').lower()}" for name in line.partition("=")[2].split()]
    return ["setpriv", f"--bounding-set=-all,{','.join(names)}", "--no-new-privs"]


def status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def reader_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


def batches(kafka: Kafka, host: str) -> list[tuple[dict, list[dict]]]:
    consumer = ck.Consumer(
        {"bootstrap.servers": kafka.brokers, "group.id": f"g-{host}", "auto.offset.reset": "earliest"}
    )
    try:
        parts = consumer.list_topics(timeout=10).topics[topics.RAW].partitions
        places = [ck.TopicPartition(topics.RAW, part, 0) for part in parts]
        ends = sum(high - low for low, high in (consumer.get_watermark_offsets(place, timeout=10) for place in places))
        consumer.assign([ck.TopicPartition(topics.RAW, part, ck.OFFSET_BEGINNING) for part in parts])
        found = []
        for _ in range(ends):
            message = consumer.poll(10)
            assert message is not None
            if message.key() == host.encode():
                header, batch = decode_raw(avro.body_of("raw_batch", message.value()))
                found.append((header, batch.to_dicts()))
        return found
    finally:
        consumer.close()


@pytest.fixture
def reachable() -> Iterator[Path]:
    """A folder that other users may enter."""
    with tempfile.TemporaryDirectory(prefix="tiercel-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.mark.parametrize("user", ["", "nobody"])
def test_rights_are_given_up_and_secrets_stay(topics_ready: Kafka, reachable: Path, user: str) -> None:
    own = {"TIERCEL_COLLECTOR_USER": user} if user else {}
    with collecting(topics_ready, reachable, *bounded(), **own) as running:
        tasks = [int(task.name) for task in Path(f"/proc/{running.pid}/task").iterdir()]
        assert len(tasks) > 1
        for task in tasks:
            found = status(task)
            assert {found[f"Cap{name}"] for name in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {"0" * 16}, (task, found)
            assert found["NoNewPrivs"] == "1"
        reader = status(reader_of(running.pid))
        assert {int(reader[f"Cap{name}"], 16) for name in ("Prm", "Eff", "Bnd")} == {1 << 2 | 1 << 19}
        assert {int(reader[f"Cap{name}"], 16) for name in ("Inh", "Amb")} == {0}
        assert reader["NoNewPrivs"] == "1"
        if user:
            assert status(running.pid)["Uid"].split() == reader["Uid"].split() == ["65534"] * 4
        # A process of another user that nobody announced, and one that has secrets.
        environment = {**os.environ, "SECRET_OF_MINE": "hunter2", "LD_AUDIT": ""}
        line = ["/bin/sh", "-c", "echo $0 > /dev/null", "--password=hunter2", "x"]
        subprocess.run(line, env=environment, check=True)
        with subprocess.Popen(["sleep", "30"]) as sleeper:
            time.sleep(1)
            sleeper.kill()
        running.send_signal(signal.SIGTERM)
        assert running.wait(20) == 0, (reachable / "collect.log").read_text()
    found = batches(topics_ready, reachable.name)
    events = [event for _, rows in found for event in rows]
    execs = [event for event in events if event["name"] == "execve" and b"echo $0" in event["params"].get("args", b"")]
    assert execs
    assert b"--password=***" in execs[0]["params"]["args"]
    assert b"SECRET_OF_MINE=***" in execs[0]["params"]["env"]
    whole = [repr(event) for event in events]
    assert not any("hunter2" in text and "prctl" not in text for text in whole)
    # This very process is root's, and was there before: all of it was read by the reader.
    me = [event["params"] for event in events if event["name"] == "thread_snapshot" and event["tid"] == os.getpid()]
    assert me and me[0]["exepath"] == os.fspath(Path("/proc/self/exe").readlink())
    assert any(event["name"] == "fd_snapshot" and event["tid"] == os.getpid() for event in events)
    last = found[-1][0]
    lost = Counter[tuple[str, str]]()
    for header, _ in found:
        for stage, reason, count in header["lost"]:
            lost[stage, reason] += count
    assert last["produced"] == last["delivered"] + sum(lost.values())


def test_what_a_killed_run_had_produced_is_told_by_the_next(topics_ready: Kafka, tmp_path: Path) -> None:
    for _ in range(2):
        with collecting(topics_ready, tmp_path) as running:
            for _ in range(300):
                Path("/proc/self/stat").read_bytes()
            running.kill()
            running.wait()
            for _ in range(5):
                subprocess.run(["true"], check=True)
    with collecting(topics_ready, tmp_path) as running:
        running.send_signal(signal.SIGTERM)
        assert running.wait(20) == 0
    books: dict[int, Counter[str]] = defaultdict(Counter)
    following: dict[int, int] = {}
    for header, rows in batches(topics_ready, tmp_path.name):
        run = header["run"]
        if header["first_seq"] < following.get(run, 0):
            continue
        following[run] = header["first_seq"] + len(rows)
        told = [row["name"] for row in rows]
        own = {"thread_snapshot", "fd_snapshot", "useradded", "groupadded", "interface_snapshot", "thread_guessed"}
        books[run]["kernel"] += sum(name not in own for name in told)
        books[run]["produced"] = header["produced"]
        books[run]["lost"] += sum(count for _, _, count in header["lost"])
        books[run]["killed"] += sum(count for _, reason, count in header["lost"] if reason == "killed")
    assert len(books) == 3
    for run, found in books.items():
        assert found["produced"] == found["kernel"] + found["lost"], (run, books)
