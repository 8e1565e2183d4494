"""Events a second from recorded events to rows in ClickHouse: collectors, Kafka, worker and sink, all at the same time.

The events are made beforehand, of hosts of a simulated fleet (fresh pids, inodes, ports, paths, times; bench/state.py
shows how well such events compress beside the original), so what is measured is the product: its collectors run in this
process; worker, sink, broker and ClickHouse's engine are processes of their own. Prints throughput, CPU seconds for a million events by
stage, bytes on the wire and on disk, memory over time, and what a plain Python consumer does with the same topic.
"""

import gc
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import naive
import recording
from confluent_kafka import Consumer, TopicPartition

from tiercel import store
from tiercel._engine import Batch
from tiercel.collector.collector import Collector
from tiercel.collector.identity import Identity
from tiercel.joints import kafka as joint
from tiercel.joints.kafka import ends
from tiercel.schemas import topics
from tiercel.testing.chdb_http import ChdbServer
from tiercel.testing.cluster import PARTITIONS, Cluster
from tiercel.testing.fleet import plan
from tiercel.testing.fleet import recording as endless
from tiercel.testing.fleet.generator import Patient
from tiercel.testing.fleet.processes import processor_seconds, resident

BATCH = 1000


class Made:
    """A source of batches that are there already."""

    def __init__(self, batches: list[Batch]) -> None:
        self._batches, self._produced = iter(batches), 0
        self._left = len(batches)

    def read(self, batch: Batch, limit: int) -> int:
        part = next(self._batches, None)
        if part is None:
            return 0
        self._left -= 1
        batch.extend(part)
        self._produced += part.kernel_events
        return len(part)

    def produced(self) -> int:
        return self._produced

    def losses(self) -> list[tuple[str, str, int]]:
        return []

    def shed(self) -> list[tuple[str, str, int]]:
        return []

    def snapshot(self, batch: Batch) -> None:
        """Comes first by itself."""

    def retell(self) -> None: ...

    def wait(self, timeout: float) -> None: ...

    def finished(self) -> bool:
        return not self._left

    def stop(self) -> None: ...

    def close(self) -> None: ...


def make(capture: Path, events: int, hosts: int) -> list[tuple[Identity, list[Batch]]]:
    """All events of so many hosts."""
    told = plan.make([capture], hosts=hosts, events=events, rate=0, begin=time.time_ns(), batch=BATCH)
    found = []
    for life in told.lives:
        kept = endless.recording(life.recording)
        places = range(0, life.events, BATCH)
        batches = [kept.part(at, min(at + BATCH, life.events), number=life.number, begin=life.begin) for at in places]
        found.append((Identity(life.host_id, life.host, life.boot_id, life.run), batches))
    return found


def collect(brokers: str, made: list[tuple[Identity, list[Batch]]]) -> Iterator[None]:
    """A collector for each, a batch of each in turn; a yield after each turn."""
    producer = Patient({"bootstrap.servers": brokers}, max_bytes=64 << 20)
    running = []
    for identity, batches in made:
        source = Made(batches)
        collector = Collector(source, producer, identity, batch_events=BATCH)
        collector.begin()
        running.append((source, collector))
    while running:
        for source, collector in running:
            collector.step()
            if source.finished():
                collector.finish(0.0)
        running = [(source, collector) for source, collector in running if not source.finished()]
        yield
    assert producer.finish() == 0


def read_back(brokers: str, topic: str, most: int) -> list[bytes]:
    """The first messages of partition after partition."""
    settings = {"bootstrap.servers": brokers, "group.id": "bench-naive", "enable.auto.commit": False}
    consumer, found = Consumer(settings), []
    consumer.assign([TopicPartition(topic, partition, 0) for partition in range(PARTITIONS)])
    deadline = time.monotonic() + 20
    while len(found) < most and time.monotonic() < deadline:
        found += [message.value() or b"" for message in consumer.consume(100, 1.0) if message.error() is None]
    consumer.close()
    return found


def rule_files() -> list[str]:
    """The three public files where they lie beside the project, else those that come with it."""
    folder = Path(__file__).parent.parent.parent / "shared" / "falco-rules"
    names = ("falco_rules.yaml", "falco-incubating_rules.yaml", "falco-sandbox_rules.yaml")
    return [str(folder / name) for name in names if (folder / name).exists()]


def main() -> None:
    """Run it."""
    parser = recording.arguments(__doc__)
    parser.add_argument("--hosts", type=int, default=20)
    options = parser.parse_args()
    with TemporaryDirectory(prefix="tiercel-bench-") as folder:
        report = run(Path(folder), options.capture, options.events, options.hosts)
    recording.show({"recording": options.capture.name, **report}, as_json=options.json)


def run(folder: Path, capture: Path, events: int, hosts: int) -> dict[str, object]:
    """One measurement."""
    begun = time.process_time()
    made = make(capture, events, hosts)
    generator = time.process_time() - begun
    total = sum(batch.kernel_events for _, batches in made for batch in batches)
    messages = sum(len(batches) for _, batches in made)
    gc.freeze()
    files = rule_files()
    process = [word for name in files for word in ("--rules", name)]
    with (
        ChdbServer(folder / "store") as engine,
        Cluster(folder, process=process, dsn=engine.dsn, lasting=True) as cluster,
    ):
        brokers = cluster.kafka.brokers
        assert cluster.kafka.process is not None
        assert engine.process is not None
        pids = {name: p.pid for name, p in cluster.processes.items()}
        pids |= {"kafka": cluster.kafka.process.pid, "engine": engine.process.pid}
        before = {name: processor_seconds(pid) for name, pid in pids.items()}
        memory: dict[str, list[float]] = {name: [] for name in pids}
        begun, collecting = time.monotonic(), time.process_time()
        for _ in collect(brokers, made):
            pass
        collected = time.monotonic() - begun
        collecting = time.process_time() - collecting
        client = {"bootstrap.servers": brokers}
        wanted = ends(client, topics.RAW, range(PARTITIONS))
        while sum(joint.committed(client, "tiercel-sink", topics.EVENTS).values()) < sum(wanted.values()):
            cluster.check()
            for name, pid in pids.items():
                memory[name].append(resident(pid))
            time.sleep(0.5)
        seconds = time.monotonic() - begun
        used = {name: processor_seconds(pid) - before[name] for name, pid in pids.items()}
        data = cluster.kafka.directory / "data"
        wire = {
            topic: sum(f.stat().st_size for f in data.glob(f"{topic}-*/*.log")) for topic in (topics.RAW, topics.EVENTS)
        }
        sample = read_back(brokers, topics.EVENTS, 50)
        cluster.stop("sink")
        cluster.stop("process")
    plain_events, _, plain = naive.measure(sample, naive.rules(files))
    rows, disk = stored(folder)
    stages: dict[str, Any] = {"collector": collecting, "worker": used["process"], "sink": used["sink"]}
    return {
        "rules": "Falco's three files" if files else "those that come with it",
        "events": total,
        "rows": rows,
        "events/s, collectors to rows": round(total / seconds),
        "messages/s": round(messages / seconds),
        "seconds until collected, until stored": f"{collected:.1f}, {seconds:.1f}",
        **{f"{name} CPU s/M events": round(value / total * 1e6, 2) for name, value in stages.items()},
        "ClickHouse's engine CPU s/M events": round(used["engine"] / total * 1e6, 2),
        "broker CPU s/M events": round(used["kafka"] / total * 1e6, 2),
        "making the events CPU s/M events": round(generator / total * 1e6, 2),
        "wire bytes/event raw (zstd)": round(wire[topics.RAW] / total, 2),
        "wire bytes/event enriched (zstd)": round(wire[topics.EVENTS] / total, 2),
        "disk bytes/event": round(disk / rows, 2),
        **{f"{name} MiB at 1/4, 1/2, end": _quarters(values) for name, values in memory.items() if values},
        f"plain Python consumer, events/s (of {plain_events})": round(plain),
    }


def stored(folder: Path) -> tuple[int, int]:
    """Rows of events, and the bytes that they take on disk once merged."""
    opened = store.connect(f"chdb://{folder / 'store'}")
    rows = opened.query("SELECT count() FROM events").result_rows[0][0]
    opened.command("OPTIMIZE TABLE events FINAL")
    disk = opened.query("SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND table = 'events'").result_rows[0]
    opened.close()
    return int(rows), int(disk[0])


def _quarters(values: list[float]) -> list[int]:
    return [round(values[len(values) // 4]), round(values[len(values) // 2]), round(values[-1])]


if __name__ == "__main__":
    main()
