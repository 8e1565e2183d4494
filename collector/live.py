"""Events of this host's kernel: the rings of the live probe, drained in the order of time."""

import logging
import time
from collections.abc import Iterable
from typing import Protocol

from tiercel._engine import Batch, RingReader
from tiercel.collector.describer import Describer
from tiercel.collector.heal import Healer, Marks, Question
from tiercel.collector.sources import Loss
from tiercel.schemas.shedding import STAGE

log = logging.getLogger(__name__)


class Probe(Marks, Protocol):
    """The part of `tiercel.probe.core.Probe` that is used here."""

    @property
    def ring_fds(self) -> list[int]: ...

    @property
    def ring_bytes(self) -> int: ...

    def produced(self) -> int: ...

    def drops(self) -> dict[str, int]: ...

    def shed(self) -> dict[str, int]: ...

    def set_wanted(self, names: Iterable[str]) -> None: ...

    def forget(self) -> None: ...

    def close(self) -> None: ...


class LiveSource:
    """The kernel's events as the probe writes them, in the order of their time, and before those of tasks that nobody
    announced what /proc says of these. `heal_ms` of each second at most go into that.
    """

    # A record is reserved with its time already taken: another CPU's may come this much later and still go before it.
    _SETTLE_NS = 2_000_000

    def __init__(
        self, probe: Probe, *, heal_ms: int = 200, offset: int | None = None, describer: Describer | None = None
    ) -> None:
        self._probe = probe
        self._reader = RingReader(probe.ring_fds, probe.ring_bytes)
        # One offset for the whole run: times of a run never step back when the wall clock is set.
        self._offset = offset if offset is not None else clock_offset()
        self.healer = Healer(probe, self._offset, heal_ms / 1000, describer=describer)
        self._stopped = False
        self._idle = False

    def read(self, batch: Batch, limit: int) -> int:
        now = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        until = now if self._stopped else now - self._SETTLE_NS
        start = len(batch)
        count = self._reader.drain(batch, until=until, clock_offset=self._offset, limit=limit)
        questions = self._reader.questions()
        if questions or self.healer.waiting:
            events = Batch()
            events.extend(batch, start)
            batch.truncate(start)
            self.healer.splice(
                batch,
                events,
                [Question(index - start, tid, pid, whole, at) for index, tid, pid, whole, at in questions],
            )
        self._idle = count == 0
        return count

    def produced(self) -> int:
        return self._probe.produced()

    def fill(self) -> list[int]:
        """Bytes that wait in each ring; RuntimeError while another thread drains them."""
        return self._reader.fill()

    def losses(self) -> list[Loss]:
        drops = [(STAGE, reason, total) for reason, total in self._probe.drops().items()]
        return [*drops, ("collector", "bad_record", self._reader.bad_records)]

    def shed(self) -> list[Loss]:
        return [(STAGE, reason, total) for reason, total in self._probe.shed().items()]

    def snapshot(self, batch: Batch) -> None:
        self.healer.describer.snapshot(batch, self._probe.mark_known)

    def retell(self) -> None:
        self._probe.forget()
        self.healer.forget()

    def wait(self, timeout: float) -> None:
        time.sleep(min(timeout, 0.005))

    def finished(self) -> bool:
        return self._stopped and self._idle

    def stop(self) -> None:
        if not self._stopped:
            self._probe.set_wanted(set())
            # What was already inside a program when the bits went out is in the rings after this.
            time.sleep(0.01)
            self._stopped = True
            counts = " ".join(f"{name}={count}" for name, count in sorted(self.healer.counts.items()))
            log.info("processes that nobody had announced %s", counts or "none")

    def close(self) -> None:
        self._reader.close()
        self._probe.close()


def clock_offset() -> int:
    """UTC minus CLOCK_BOOTTIME in ns: the tightest of a few readings."""
    readings = []
    for _ in range(8):
        before = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        utc = time.time_ns()
        after = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        readings.append((after - before, utc - (before + after) // 2))
    return min(readings)[1]
