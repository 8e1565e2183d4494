"""Alert latency: from a system call to its message on tiercel.alerts, with other events in the background.

Runs the live probe, Kafka, the Faust worker and the sink as processes of this machine, a program that makes system calls
at a given rate, and a marker that opens a file every so often; its alerts carry the time of the call. Prints p50 and p99.
Needs root and BTF.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import confluent_kafka
import recording

from tiercel.schemas import avro, topics
from tiercel.testing.cluster import Cluster

RULE = """
- rule: Latency marker
  desc: The marker of the bench opened its file.
  condition: evt.type = openat and fd.name endswith /latency-marker
  output: opened %fd.name
  priority: NOTICE
"""

# Opens and closes at a steady rate: two events a round, in slices of 10 ms.
LOAD = """
import os, sys, time
rounds, path = int(sys.argv[1]), sys.argv[2]
due = time.monotonic()
while True:
    for _ in range(rounds):
        os.close(os.open(path, os.O_RDONLY))
    due += 0.01
    time.sleep(max(0, due - time.monotonic()))
"""


def measure(folder: Path, rate: int, markers: int) -> dict[str, object]:
    """Latencies in ms of so many markers, 20 a second."""
    rules = folder / "rules.yaml"
    rules.write_text(RULE)
    marker = folder / "latency-marker"
    marker.touch()
    with Cluster(folder / "run", collect=[], process=["--rules", str(rules)]) as cluster:
        settings = {"bootstrap.servers": cluster.kafka.brokers, "group.id": "latency", "auto.offset.reset": "earliest"}
        consumer = confluent_kafka.Consumer({**settings, "fetch.wait.max.ms": 5})
        consumer.subscribe([topics.ALERTS])
        load = subprocess.Popen([sys.executable, "-I", "-S", "-c", LOAD, str(rate // 200), str(rules)])
        try:
            _warm_up(cluster, consumer, marker)
            begun = time.monotonic()
            latencies: list[float] = []
            opened = 0
            while len(latencies) < markers and time.monotonic() - begun < markers / 20 + 30:
                if opened < markers and time.monotonic() - begun >= opened / 20:
                    os.close(os.open(marker, os.O_RDONLY))
                    opened += 1
                message = consumer.poll(0.002)
                if message is not None and message.error() is None:
                    # The message has been readable since the poll began; its event tells when the call ended.
                    now = time.time_ns()
                    alert = avro.decode("alert", message.value() or b"")
                    latencies.append((now - _ns(alert["time"])) / 1e6)
            cluster.check()
        finally:
            load.kill()
            load.wait()
            consumer.close()
        cluster.stop("collect")
        seconds = time.monotonic() - begun
        log = cluster.log("collect").read_text()
    latencies.sort()
    return {
        "background events/s asked": rate,
        "markers": opened,
        "alerts": len(latencies),
        "p50 ms": round(latencies[len(latencies) // 2], 1),
        "p90 ms": round(latencies[int(len(latencies) * 0.9)], 1),
        "p99 ms": round(latencies[int(len(latencies) * 0.99)], 1),
        "max ms": round(latencies[-1], 1),
        "seconds": round(seconds, 1),
        "collector": log.strip().splitlines()[-1],
    }


def _ns(when: object) -> int:
    return when if isinstance(when, int) else int(when.timestamp() * 1e9)  # type: ignore[attr-defined]


def _warm_up(cluster: Cluster, consumer: confluent_kafka.Consumer, marker: Path) -> None:
    """Until alerts come, and then a little longer; alerts of this time do not count."""
    deadline = time.monotonic() + 90
    seen = 0
    while seen < 20:
        cluster.check()
        if time.monotonic() > deadline:
            raise SystemExit("no alert came within 90 seconds")
        os.close(os.open(marker, os.O_RDONLY))
        message = consumer.poll(0.1)
        seen += message is not None and message.error() is None
    quiet = time.monotonic() + 3
    while time.monotonic() < quiet:
        consumer.poll(0.1)


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=20_000, help="background events a second")
    parser.add_argument("--markers", type=int, default=600)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tiercel-latency-") as folder:
        report = measure(Path(folder), options.rate, options.markers)
    recording.show(report, as_json=options.json)


if __name__ == "__main__":
    main()
