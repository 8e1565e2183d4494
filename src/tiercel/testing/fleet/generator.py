"""One process of simulated hosts: a real collector for each, until all have lived their lives.

`python -m tiercel.testing.fleet.generator PLAN TRUTH BROKERS [SPOOLS]`. Killed and started anew it goes on where it
was, as a collector does: with a new run.
"""

import sys
import time
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
# Of each host: so little that a disk which is full, or damaged, is soon felt.
_SPOOL_BYTES, _MEMORY_BYTES, _IN_FLIGHT_BYTES = 1 << 20, 64 << 10, 16 << 10


def end_file(truth: Path) -> Path:
    """Hosts whose truth is written there end once this is there."""
    return truth.with_suffix(".end")


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

    `spool`: where its collectors keep what Kafka does not have yet; None: they have no disk.
    """

    def __init__(
        self, lives: list[Life], truth: Truth, producer: KafkaProducer, batch: int, spool: Path | None = None
    ) -> None:
        self._truth, self._producer, self._batch, self._folder = truth, producer, batch, spool
        self._lives = {life.boot_id: life for life in lives}
        self._left = [life for life in lives if truth.next_run(life).start < life.events]
        if not self._left and spool is not None:
            # It has lived, and may not have sent all of it.
            self._left = lives[-1:]
        self._collector: Collector | None = None
        self._source: LifeSource | None = None
        self._spool: Spool | None = None
        self.over = False

    def step(self) -> bool:
        if self._collector is None or self._source is None:
            return self._drained() and self._next()
        before = self._source.produced()
        self._collector.step()
        if self._source.finished() and (self._spool is None or not self._spool.memory_bytes):
            # What the collector still holds, and the totals; delivery is waited for at the end, once for all hosts.
            self._collector.finish(0.0)
            self._collector = None
            return True
        return self._source.produced() > before

    def end(self) -> None:
        """Its last life ends now."""
        if self._left and self._source is not None:
            self._left = []
        if self._source is not None:
            self._source.stop()

    def _drained(self) -> bool:
        """Whether the spool of the life before is closed: all is on disk then, and after the last life all is sent."""
        if self._spool is not None:
            if self._spool.memory_bytes or not (self._left or self._spool.is_idle):
                return False
            self._spool.close()
            self._spool = None
        return True

    def _next(self) -> bool:
        if not self._left:
            self.over = True
            return False
        life = self._left.pop(0)
        run = self._truth.next_run(life)
        self._truth.begin(run)
        self._source = LifeSource(life, run, self._truth, self._batch)
        identity = Identity(life.host_id, life.host, life.boot_id, run.first)
        output = self._spooled(identity) if self._folder is not None else self._producer
        self._collector = Collector(self._source, output, identity, batch_events=self._batch)
        self._collector.begin()
        return True

    def _spooled(self, identity: Identity) -> Spool:
        assert self._folder is not None
        self._spool = Spool(
            self._folder,
            self._producer,
            identity,
            max_bytes=_SPOOL_BYTES,
            memory_bytes=_MEMORY_BYTES,
            in_flight_bytes=_IN_FLIGHT_BYTES,
            produced_before=self._produced_before,
        )
        return self._spool

    def _produced_before(self, before: Identity) -> int:
        """What a kernel's counters would say."""
        run = self._truth.run_of(before.host_id, before.boot_id, before.run)
        return recording(self._lives[before.boot_id].recording).kernel(run.start, run.stop) if run is not None else 0


def generate(plan: Plan, truth: Path, brokers: str, spools: Path | None = None) -> int:
    """Live all lives; returns how many messages Kafka does not have at the end."""
    client = {"bootstrap.servers": brokers}
    producer = KafkaProducer(client) if spools is not None else Patient(client)
    books = Truth(truth)
    hosts = [
        SimulatedHost(
            [life for life in plan.lives if life.host_id == host],
            books,
            producer,
            plan.batch,
            spools / host if spools is not None else None,
        )
        for host in plan.hosts
    ]
    end = end_file(truth)
    while hosts:
        if end.exists():
            for host in hosts:
                host.end()
        # Each has its turn.
        if not sum(host.step() for host in hosts):
            time.sleep(_IDLE_S)
        hosts = [host for host in hosts if not host.over]
    if isinstance(producer, Patient):
        return producer.finish()
    producer.close()
    return 0


if __name__ == "__main__":
    plan_, truth_, brokers_, *spools_ = sys.argv[1:]
    sys.exit(min(1, generate(Plan.load(Path(plan_)), Path(truth_), brokers_, *map(Path, spools_))))
