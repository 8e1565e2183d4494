"""Events of a capture file, as a source: for hosts without BPF, and for benches."""

import gzip
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, cast

from tiercel._engine import Batch, CaptureReader
from tiercel.collector.sources import Loss
from tiercel.errors import CaptureError


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

    def shed(self) -> list[Loss]:
        return []

    def snapshot(self, batch: Batch) -> None:
        """The lists of the capture come before its first event by themselves."""

    def retell(self) -> None:
        """Nobody can be asked any more."""

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
