"""Events of this host's kernel: the rings of the live probe, drained in the order of time."""

import time
from collections.abc import Iterable
from typing import Protocol

from tiercel._engine import Batch, RingReader
from tiercel.collector import proc
from tiercel.collector.sources import Loss


class Probe(Protocol):
    """The part of `tiercel.probe.core.Probe` that is used here."""

    @property
    def ring_fds(self) -> list[int]: ...

    @property
    def ring_bytes(self) -> int: ...

    def produced(self) -> int: ...

    def drops(self) -> dict[str, int]: ...

    def set_wanted(self, names: Iterable[str]) -> None: ...

    def close(self) -> None: ...


class LiveSource:
    """The kernel's events as the probe writes them, in the order of their time."""

    # A record is reserved with its time already taken: another CPU's may come this much later and still go before it.
    _SETTLE_NS = 2_000_000

    def __init__(self, probe: Probe) -> None:
        self._probe = probe
        self._reader = RingReader(probe.ring_fds, probe.ring_bytes)
        # One offset for the whole run: times of a run never step back when the wall clock is set.
        self._offset = _clock_offset()
        self._stopped = False
        self._idle = False

    def read(self, batch: Batch, limit: int) -> int:
        now = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        until = now if self._stopped else now - self._SETTLE_NS
        count = self._reader.drain(batch, until=until, clock_offset=self._offset, limit=limit)
        self._idle = count == 0
        return count

    def produced(self) -> int:
        return self._probe.produced()

    def losses(self) -> list[Loss]:
        drops = [("ring", reason, total) for reason, total in sorted(self._probe.drops().items())]
        return [*drops, ("collector", "bad_record", self._reader.bad_records)]

    def snapshot(self, batch: Batch) -> None:
        proc.snapshot(batch)

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

    def close(self) -> None:
        self._reader.close()
        self._probe.close()


def _clock_offset() -> int:
    """UTC minus CLOCK_BOOTTIME in ns: the tightest of a few readings."""
    readings = []
    for _ in range(8):
        before = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        utc = time.time_ns()
        after = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        readings.append((after - before, utc - (before + after) // 2))
    return min(readings)[1]
