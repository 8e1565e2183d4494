"""The events of one life of a host, as what a collector drains."""

import time

from tiercel._engine import Batch
from tiercel.collector.sources import Loss
from tiercel.testing.fleet.plan import Life
from tiercel.testing.fleet.recording import recording
from tiercel.testing.fleet.truth import Run, Truth


class LifeSource:
    """See `sources.Source`. Gives whole batches or nothing, so that two runs of one plan have the same batches."""

    def __init__(self, life: Life, run: Run, truth: Truth, batch: int) -> None:
        self._life, self._run, self._truth, self._batch = life, run, truth, batch
        self._recording = recording(life.recording)
        self._place = run.start
        self._begun = time.monotonic() + life.phase
        self._produced = 0
        self._over = False

    def read(self, batch: Batch, limit: int) -> int:
        stop = min(self._place + self._batch, self._life.events)
        if self._over or stop == self._place or limit < stop - self._place or not self._due(stop):
            return 0
        part = self._recording.part(self._place, stop, number=self._life.number, begin=self._life.begin)
        self._truth.produced(self._run, stop)
        batch.extend(part)
        count, self._place = stop - self._place, stop
        self._produced += part.kernel_events
        return count

    def _due(self, stop: int) -> bool:
        return not self._life.rate or stop - self._run.start <= self._life.rate * (time.monotonic() - self._begun)

    def produced(self) -> int:
        return self._produced

    def losses(self) -> list[Loss]:
        return []

    def shed(self) -> list[Loss]:
        return []

    def snapshot(self, batch: Batch) -> None:
        """The lists of the recording come before its first event by themselves."""

    def retell(self) -> None:
        """Nobody can be asked any more."""

    def wait(self, timeout: float) -> None:
        """The generator has a loop of its own, for many hosts."""

    def finished(self) -> bool:
        return self._over or self._place >= self._life.events

    def stop(self) -> None:
        """Nothing more happens on this host."""
        self._over = True

    def close(self) -> None: ...
