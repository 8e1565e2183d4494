"""Events a second from raw batches in Kafka to rows in ClickHouse, with worker and sink as processes of this machine.

The input is a capture amplified (fresh pids, inodes, ports, paths, times) and put into Kafka beforehand; bench/state.py
shows how well it compresses beside the original. Prints throughput, memory of each process over time, bytes per event on
the wire and on disk.
"""

import threading
import time
import uuid
from pathlib import Path
from tempfile import TemporaryDirectory

import recording
from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AdminClient

from tiercel import store
from tiercel._engine import Batch, amplify
from tiercel.collector.capture import CaptureSource
from tiercel.collector.collector import Collector
from tiercel.collector.identity import Identity
from tiercel.joints.kafka import KafkaProducer, ends
from tiercel.schemas import topics
from tiercel.testing.cluster import Cluster


class Counted(CaptureSource):
    """A capture that ends after so many events, each round amplified."""

    def __init__(self, path: Path, events: int) -> None:
        super().__init__(path, repeat=True, transform=self._amplified)
        self._most = events
        self._span = 3600 * 10**9

    def _amplified(self, batch: Batch, number: int) -> Batch:
        return amplify(batch, number, self._span) if number else batch

    def finished(self) -> bool:
        return super().finished() or self.produced() >= self._most


def fill(brokers: str, capture: Path, events: int, hosts: int) -> int:
    """Put the events of so many hosts into the raw topic; returns how many there are."""
    total = 0
    for number in range(hosts):
        producer = KafkaProducer({"bootstrap.servers": brokers}, max_bytes=256 << 20)
        identity = Identity(f"bench-{number}-{uuid.uuid4().hex[:8]}", f"bench-{number}", "boot", 10_000_000)
        source = Counted(capture, events // hosts)
        collector = Collector(source, Patient(producer), identity)
        totals = collector.run(threading.Event(), 120)
        assert totals.produced == totals.delivered, totals
        total += totals.delivered
        producer.flush(60)
    return total


class Patient:
    """A producer that waits for room: a bench's input must be whole."""

    def __init__(self, producer: KafkaProducer) -> None:
        self._producer = producer
        self.poll, self.flush, self.close = producer.poll, producer.flush, producer.close

    def send(self, topic, key, value, partition=None, *, timeout=0.0, done=None):  # type: ignore[no-untyped-def]
        return self._producer.send(topic, key, value, partition, timeout=60, done=done)


def resident(pid: int) -> float:
    """MiB of RAM that a process holds."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0


def processor_seconds(pid: int) -> float:
    """CPU seconds that a process has used."""
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / 100


def committed(admin: AdminClient, group: str, topic: str, partitions: int) -> int:
    """Messages of a topic that a group has done with."""
    asked = ConsumerGroupTopicPartitions(group, [TopicPartition(topic, p) for p in range(partitions)])
    answer = admin.list_consumer_group_offsets([asked])[group].result()
    return sum(max(0, place.offset) for place in answer.topic_partitions)


def main() -> None:
    """Run it."""
    parser = recording.arguments(__doc__)
    parser.add_argument("--hosts", type=int, default=3)
    options = parser.parse_args()
    with TemporaryDirectory(prefix="tiercel-bench-") as folder:
        report = run(Path(folder), options.capture, options.events, options.hosts)
    recording.show({"recording": options.capture.name, **report}, as_json=options.json)


def run(folder: Path, capture: Path, events: int, hosts: int) -> dict[str, object]:
    """One measurement."""
    with Cluster(folder) as cluster:
        brokers = cluster.kafka.brokers
        total = fill(brokers, capture, events, hosts)
        data = cluster.kafka.directory / "data"
        wire = sum(file.stat().st_size for file in data.glob(f"{topics.RAW}-*/*.log"))
        client = {"bootstrap.servers": brokers}
        batches = sum(ends(client, topics.RAW, range(3)).values())
        admin = AdminClient(client)

        begun = time.monotonic()
        assert cluster.kafka.process is not None
        filling = processor_seconds(cluster.kafka.process.pid)
        cluster.start("process")
        cluster.start("sink")
        pids = {**{name: p.pid for name, p in cluster.processes.items()}, "kafka": cluster.kafka.process.pid}  # type: ignore[union-attr]
        memory: dict[str, list[float]] = {name: [] for name in pids}
        progress: list[tuple[float, int]] = []
        done = 0
        while done < batches:
            time.sleep(0.5)
            cluster.check()
            done = committed(admin, "tiercel-sink", topics.EVENTS, 3)
            progress.append((time.monotonic() - begun, done))
            for name, pid in pids.items():
                memory[name].append(resident(pid))
        seconds = progress[-1][0]
        used = {name: processor_seconds(pid) for name, pid in pids.items()}
        used["kafka"] -= filling
        enriched = sum(file.stat().st_size for file in data.glob(f"{topics.EVENTS}-*/*.log"))
        cluster.stop("sink")
        cluster.stop("process")
    opened = store.connect(f"chdb://{folder / 'store'}")
    rows = opened.query("SELECT count() FROM events").result_rows[0][0]
    opened.command("OPTIMIZE TABLE events FINAL")
    disk = opened.query("SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND table = 'events'").result_rows[0][
        0
    ]
    opened.close()
    # From the first batch stored to the last: without the start of the processes.
    first = next(place for place, (_, n) in enumerate(progress) if n)
    steady = (progress[-1][1] - progress[first][1]) / batches * total / max(0.001, seconds - progress[first][0])
    return {
        "events": total,
        "rows": rows,
        "seconds (with start of processes)": round(seconds, 1),
        "events/s sustained": round(steady),
        "wire bytes/event raw (zstd)": round(wire / total, 2),
        "wire bytes/event enriched (zstd)": round(enriched / total, 2),
        "disk bytes/event": round(disk / rows, 2),
        **{f"{name} MiB at 1/4, 1/2, end": _quarters(values) for name, values in memory.items()},
        **{f"{name} CPU s": round(value, 1) for name, value in used.items()},
    }


def _quarters(values: list[float]) -> list[int]:
    return [round(values[len(values) // 4]), round(values[len(values) // 2]), round(values[-1])]


if __name__ == "__main__":
    main()
