"""One process of simulated hosts: a real collector for each, until all have lived their lives.

`python -m tiercel.testing.fleet.generator PLAN TRUTH BROKERS`. Killed and started anew it goes on where it was, as a
collector does: with a new run.
"""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tiercel.collector.collector import Collector
from tiercel.collector.identity import Identity
from tiercel.joints.base import Done
from tiercel.joints.kafka import KafkaProducer
from tiercel.testing.fleet.plan import Life, Plan
from tiercel.testing.fleet.source import LifeSource
from tiercel.testing.fleet.truth import Truth

_IDLE_S = 0.002
_PATIENCE_S = 3600.0


class Patient(KafkaProducer):
    """Waits for room where a host would count a loss: what all hosts have in common is not what one of them lacks."""

    def send(
        self,
        topic: str,
        key: bytes,
        value: bytes | None,
        partition: int | None = None,
        *,
        timeout: float = 0.0,
        done: Done | None = None,
    ) -> bool:
        return super().send(topic, key, value, partition, timeout=max(timeout, _PATIENCE_S), done=done)

    def flush(self, timeout: float = 10.0) -> int:
        """One of many hosts does not wait for what the others have sent: `finish` waits, for all."""
        self.poll()
        return 0

    def finish(self) -> int:
        """Wait until all is safe, and close; messages that are not."""
        left = super().flush(_PATIENCE_S)
        self.close()
        return left


class SimulatedHost:
    """The lives of one host, one after the other; `step` says whether there was something to do."""

    def __init__(self, lives: list[Life], truth: Truth, producer: KafkaProducer, batch: int) -> None:
        self._truth, self._producer, self._batch = truth, producer, batch
        self._left: Iterator[Life] = iter(lives)
        self._collector: Collector | None = None
        self._source: LifeSource | None = None
        self.over = False

    def step(self) -> bool:
        if self._collector is None or self._source is None:
            return self._next()
        before = self._source.produced()
        self._collector.step()
        if self._source.finished():
            # What the collector still holds, and the totals; delivery is waited for at the end, once for all hosts.
            self._collector.finish(0.0)
            self._collector = None
            return True
        return self._source.produced() > before

    def _next(self) -> bool:
        life = next(self._left, None)
        if life is None:
            self.over = True
            return False
        run = self._truth.next_run(life)
        if run.start >= life.events:
            return True
        self._source = LifeSource(life, run, self._truth, self._batch)
        identity = Identity(life.host_id, life.host, life.boot_id, run.first)
        self._collector = Collector(self._source, self._producer, identity, batch_events=self._batch)
        self._collector.begin()
        return True


def generate(plan: Plan, truth: Path, brokers: str) -> int:
    """Live all lives; returns how many messages Kafka does not have at the end."""
    producer = Patient({"bootstrap.servers": brokers}, max_bytes=64 << 20)
    books = Truth(truth)
    hosts = [
        SimulatedHost([life for life in plan.lives if life.host_id == host], books, producer, plan.batch)
        for host in plan.hosts
    ]
    while hosts:
        # Each has its turn.
        if not sum(host.step() for host in hosts):
            time.sleep(_IDLE_S)
        hosts = [host for host in hosts if not host.over]
    return producer.finish()


if __name__ == "__main__":
    sys.exit(min(1, generate(Plan.load(Path(sys.argv[1])), Path(sys.argv[2]), sys.argv[3])))
