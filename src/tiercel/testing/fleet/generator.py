"""One process of simulated hosts: a real collector for each, until all have lived their lives.

`python -m tiercel.testing.fleet.generator PLAN TRUTH BROKERS [SPOOLS]`. Killed and started anew it goes on where it
was, as a collector does: with a new run. With SPOOLS, a folder, each host has a spool in it.
"""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tiercel.collector.collector import Collector
from tiercel.collector.identity import Identity
from tiercel.collector.spool import Spool
from tiercel.joints.base import Done
from tiercel.joints.kafka import KafkaProducer
from tiercel.testing.fleet.plan import Life, Plan
from tiercel.testing.fleet.recording import recording
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
    """The lives of one host, one after the other; `step` says whether there was something to do.

    With a spool in `folder`, which says of a run that was killed what `truth` says.
    """

    def __init__(
        self, lives: list[Life], truth: Truth, producer: KafkaProducer, batch: int, folder: Path | None = None
    ) -> None:
        self._truth, self._producer, self._batch, self._folder = truth, producer, batch, folder
        self._lives = {life.boot_id: life for life in lives}
        self._spool: Spool | None = None
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
        if self._spool is not None:
            self._spool.poll()
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
        output = self._output(identity)
        self._collector = Collector(self._source, output, identity, batch_events=self._batch)
        self._collector.begin()
        return True

    def _output(self, identity: Identity) -> KafkaProducer | Spool:
        if self._folder is None:
            return self._producer
        self._put_down()
        self._spool = Spool(
            self._folder,
            self._producer,
            identity,
            # Small, so that what is on the disk is not in memory, too.
            max_bytes=2 << 20,
            memory_bytes=64 << 10,
            in_flight_bytes=64 << 10,
            produced_before=self._produced_before,
        )
        return self._spool

    def _produced_before(self, run: Identity) -> int:
        told = self._truth.told(run.host_id, run.boot_id, run.run)
        return recording(self._lives[run.boot_id].recording).kernel(told.start, told.stop) if told is not None else 0

    def _put_down(self) -> None:
        """The run is over; what Kafka lacks is on the disk when its process ends."""
        if self._spool is not None:
            while self._spool.memory_bytes:
                self._spool.poll()
                time.sleep(_IDLE_S)
            self._spool.close()

    def finish(self) -> None:
        """Wait until Kafka has all of it, and what a process before this one left, too."""
        if self._spool is None:
            life = list(self._lives.values())[-1]
            run = self._truth.next_run(life)
            self._output(Identity(life.host_id, life.host, life.boot_id, run.first))
        spool = self._spool
        while spool is not None and (spool.oldest_age() or spool.memory_bytes or spool.in_flight):
            spool.poll()
            time.sleep(_IDLE_S)
        self._put_down()


def generate(plan: Plan, truth: Path, brokers: str, spools: Path | None = None) -> int:
    """Live all lives; returns how many messages Kafka does not have at the end."""
    # A spool's thread must not wait for what others have sent: it has the disk.
    producer = (Patient if spools is None else KafkaProducer)({"bootstrap.servers": brokers}, max_bytes=64 << 20)
    books = Truth(truth)
    all_hosts = [
        SimulatedHost(
            [life for life in plan.lives if life.host_id == host],
            books,
            producer,
            plan.batch,
            spools / host if spools is not None else None,
        )
        for host in plan.hosts
    ]
    hosts = all_hosts
    while hosts:
        # Each has its turn.
        if not sum(host.step() for host in hosts):
            time.sleep(_IDLE_S)
        hosts = [host for host in hosts if not host.over]
    for host in all_hosts:
        host.finish()
    return producer.finish() if isinstance(producer, Patient) else producer.flush(_PATIENCE_S)


if __name__ == "__main__":
    sys.exit(min(1, generate(Plan.load(Path(sys.argv[1])), Path(sys.argv[2]), sys.argv[3], *map(Path, sys.argv[4:]))))
