"""Where a collector's events come from: the live probe, or a capture file (for hosts without BPF, and for benches)."""

import gzip
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO, Protocol, cast

from tiercel._engine import Batch, CaptureReader, RingReader
from tiercel.collector import proc
from tiercel.errors import CaptureError

Loss = tuple[str, str, int]


class Source(Protocol):
    """What `Collector` drains. One thread."""

    def read(self, batch: Batch, limit: int) -> int:
        """Append at most `limit` of the events that are there, and return how many; never waits."""
        ...

    def produced(self) -> int:
        """Events of kernel origin there have been so far, lost ones included."""
        ...

    def losses(self) -> list[Loss]:
        """(stage, reason, total so far)."""
        ...

    def snapshot(self, batch: Batch) -> None:
        """Append what the host is before its first event."""
        ...

    def wait(self, timeout: float) -> None:
        """Wait until there may be events."""
        ...

    def finished(self) -> bool:
        """Whether no event will ever come again."""
        ...

    def stop(self) -> None:
        """Produce no more; what was produced can still be read."""
        ...

    def close(self) -> None: ...


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


class CaptureSource:
    """A capture file (plain or gzip), played at `rate` events a second; 0: as fast as they are taken.

    With `repeat` the file is played again and again. `transform` gets each batch read and the number of the round, and
    gives the batch to send (amplification, in benches).
    """

    _CHUNK = 1 << 20

    def __init__(
        self,
        path: Path,
        *,
        rate: float = 0.0,
        repeat: bool = False,
        transform: Callable[[Batch, int], Batch] | None = None,
    ) -> None:
        self._path = path
        self._rate = rate
        self._repeat = repeat
        self._transform = transform
        self._round = 0
        self._produced = 0
        self._begun = time.monotonic()
        self._file = _open(path)
        self._reader = CaptureReader()
        self._fed_all = False
        self._stopped = False
        self._pending = Batch()
        self._taken = 0

    def read(self, batch: Batch, limit: int) -> int:
        if self._rate:
            limit = min(limit, int(self._rate * (time.monotonic() - self._begun)) - self._produced)
        if limit <= 0 or self.finished():
            return 0
        if self._taken == len(self._pending) and not self._refill():
            return 0
        stop = min(len(self._pending), self._taken + limit)
        before = batch.kernel_events
        batch.extend(self._pending, self._taken, stop)
        count, self._taken = stop - self._taken, stop
        self._produced += batch.kernel_events - before
        return count

    def _refill(self) -> bool:
        while True:
            found = self._reader.next(4096)
            if found is not None and len(found):
                self._pending = found if self._transform is None else self._transform(found, self._round)
                self._taken = 0
                return True
            if self._fed_all:
                if not self._repeat:
                    self._stopped = True
                    return False
                self._round += 1
                self._file = _open(self._path)
                self._reader, self._fed_all = CaptureReader(), False
            self._feed()

    def _feed(self) -> None:
        try:
            data = self._file.read(self._CHUNK)
            if data:
                self._reader.feed(data)
            else:
                self._file.close()
                self._fed_all = True
                self._reader.finish()
        except (ValueError, EOFError, OSError) as error:
            raise CaptureError(f"{self._path}: {error}") from None

    def produced(self) -> int:
        return self._produced

    def losses(self) -> list[Loss]:
        return []

    def snapshot(self, batch: Batch) -> None:
        """The lists of the capture come before its first event by themselves."""

    def wait(self, timeout: float) -> None:
        if self._rate:
            time.sleep(min(timeout, 0.005))

    def finished(self) -> bool:
        return self._stopped

    def stop(self) -> None:
        self._stopped = True

    def close(self) -> None:
        self._file.close()


def _open(path: Path) -> BinaryIO:
    try:
        file = path.open("rb")
        gzipped = file.read(2) == b"\x1f\x8b"
        file.seek(0)
    except OSError as error:
        raise CaptureError(f"{path}: {error.strerror}") from None
    return cast("BinaryIO", gzip.GzipFile(fileobj=file)) if gzipped else file
