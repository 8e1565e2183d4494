"""Where the collector puts its batches: they go to disk first and from there to Kafka, by a thread of their own.

Whoever puts never waits for the disk or for Kafka: at most `memory_bytes` wait to be written, and what is more is not
taken. What is on disk outlives the process (`kill -9` at any byte), and is sent by the next one before its own. Nothing
is forced to the platter but whole segments while Kafka is away: a host that loses power may lose what the kernel had
not written by then, which shows in the books as other losses do.
"""

import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from tiercel.collector.identity import Identity
from tiercel.collector.spool.books import Books, Telling
from tiercel.collector.spool.folder import Folder
from tiercel.collector.spool.journal import Journal
from tiercel.collector.spool.pump import Pump
from tiercel.collector.spool.record import OVERHEAD, Note
from tiercel.collector.spool.segments import FullError, Segments
from tiercel.errors import SpoolError, TiercelError
from tiercel.joints.base import Producer
from tiercel.schemas import avro

log = logging.getLogger(__name__)

_SILENCE_S = 10.0
_RETRY_S = 1.0
LEAST_BYTES = 1 << 20


class Spool:
    """Owns the thread and the folder; the producer is used by the thread alone, and closed by whoever made it.

    `produced_before`: how many events the kernel had produced in a run that was killed, 0 if nobody knows.
    SpoolError: the folder cannot be used.
    """

    def __init__(
        self,
        path: Path,
        output: Producer,
        identity: Identity,
        *,
        max_bytes: int = 1 << 30,
        max_age: float = 86_400.0,
        memory_bytes: int = 16 << 20,
        in_flight_bytes: int = 8 << 20,
        schema_id: int | None = None,
        produced_before: Callable[[Identity], int] = lambda _identity: 0,
    ) -> None:
        self._identity = identity
        self._max_age, self._memory_bytes = max_age, memory_bytes
        self._folder = Folder(path)
        try:
            journal = Journal(self._folder, identity)
            segment_bytes = min(16 << 20, max(64 << 10, max_bytes // 32))
            self._segments = Segments(self._folder, journal, max_bytes, segment_bytes)
        except OSError as error:
            self._folder.close()
            raise SpoolError(f"the spool {path} cannot be used: {error.strerror}") from None
        self._journal = journal
        self._pump = Pump(
            self._segments,
            journal,
            output,
            in_flight_bytes=in_flight_bytes,
            schema_id=schema_id,
            produced_before=produced_before,
        )
        self._put: deque[tuple[Note, bytes]] = deque()
        self._held = 0
        self._told = 0
        self._news = threading.Condition()
        self._stop = False
        self._error: BaseException | None = None
        self._refusal = ("spool", "full")
        self._write_error, self._retry_at, self._complained = "", 0.0, -_SILENCE_S
        # What was put, in batches; how often the disk refused one.
        self.taken = 0
        self.write_errors = 0
        self.refused = 0
        if self._segments.count:
            log.info(
                "batches of an earlier run wait in the spool bytes=%d segments=%d",
                self._segments.disk_bytes, self._segments.count,
            )  # fmt: skip
        self._begin(schema_id)
        self._thread = threading.Thread(target=self._run, name="spool", daemon=True)
        self._thread.start()

    def _begin(self, schema_id: int | None) -> None:
        """Write down that the run exists: what it produced before its first batch is told, too, if it is killed."""
        first = Telling(self._identity, Books.begin(self._identity).note, [], 0)
        with contextlib.suppress(OSError, FullError):
            self._segments.append(self._identity, first.note, avro.frame("raw_batch", first.body(), schema_id))
            self.taken += 1

    # The collector's side.

    def put(
        self,
        message: bytes,
        *,
        first_seq: int,
        events: int,
        kernel: int,
        produced: int,
        numbered: int,
        lost: int,
        timeout: float = 0.0,
    ) -> bool:
        """Take a batch, waiting at most `timeout` seconds for room; False: it was not taken, see `refusal`.

        `lost`: how many losses it tells. TiercelError: the spool has ended.
        """
        deadline = time.monotonic() + timeout
        with self._news:
            while self._held + len(message) > self._memory_bytes and self._put:
                self._check()
                left = deadline - time.monotonic()
                if left <= 0:
                    self.refused += 1
                    return False
                self._news.wait(min(left, 0.1))
            self._check()
            self._told += lost
            note = Note(first_seq, events, kernel, produced, numbered, self._told, lost)
            self._put.append((note, message))
            self._held += len(message)
            self.taken += 1
            self._news.notify_all()
        return True

    def refusal(self) -> tuple[str, str]:
        """Stage and reason for which a batch was not taken."""
        return self._refusal

    def poll(self) -> None:
        """Raise what ended the thread, if something did."""
        self._check()

    def flush(self, timeout: float = 10.0) -> int:
        """Wait until Kafka has everything, as long as it takes something; how many batches are neither there nor on
        disk then."""
        deadline = time.monotonic() + timeout
        sent, moved = self._pump.sent, time.monotonic()
        while time.monotonic() < deadline and self._error is None:
            if self.is_idle:
                return 0
            if self._pump.sent != sent:
                sent, moved = self._pump.sent, time.monotonic()
            if not self._put and time.monotonic() - moved > 2.0:
                break
            time.sleep(0.01)
        return len(self._put)

    def close(self, timeout: float = 5.0) -> None:
        """End the thread; what waits on disk stays there."""
        with self._news:
            self._stop = True
            self._news.notify_all()
        self._thread.join(timeout)
        if not self._thread.is_alive():
            self._segments.close()
            self._journal.close()
            self._folder.close()

    def _check(self) -> None:
        if self._error is not None:
            if isinstance(self._error, TiercelError):
                raise self._error
            raise SpoolError(f"the spool has failed: {self._error!r}") from self._error

    # Numbers, for any thread.

    @property
    def disk_bytes(self) -> int:
        """Bytes on disk."""
        return self._segments.disk_bytes

    @property
    def memory_bytes(self) -> int:
        """Bytes that wait to be written."""
        return self._held

    @property
    def records(self) -> int:
        """Batches of this run that Kafka does not have yet."""
        return max(0, self.taken - self._pump.sent)

    @property
    def in_flight(self) -> int:
        """Batches on their way to Kafka."""
        return self._pump.in_flight

    @property
    def sent(self) -> int:
        """Batches that Kafka has, of earlier runs, too."""
        return self._pump.sent

    @property
    def lost(self) -> dict[tuple[str, str], int]:
        """Events that were lost after they had been taken, by stage and reason; each was told."""
        return dict(self._pump.lost)

    @property
    def is_idle(self) -> bool:
        """Whether Kafka has everything."""
        return not self._put and self._pump.is_idle

    def oldest_age(self) -> float:
        """Seconds since the oldest segment was written to while Kafka lacks some of it, else 0."""
        return 0.0 if self._pump.is_idle else self._segments.oldest_age()

    # The thread's side.

    def _run(self) -> None:
        try:
            while not self._stop:
                moved = self._write()
                moved = self._pump.step() or moved
                self._segments.expire(self._max_age, self._pump.furthest)
                if not moved:
                    with self._news:
                        if not self._put or self._write_error:
                            self._news.wait(0.005 if self._pump.in_flight else 0.05)
        except BaseException as error:
            self._error = error
            log.error("the spool has failed: %s", error)
            with self._news:
                self._news.notify_all()

    def _write(self) -> bool:
        """Write what was put; whether something was."""
        moved = False
        while self._put and not self._stop:
            note, message = self._put[0]
            if not self._keep(note, message):
                break
            moved = True
            with self._news:
                self._put.popleft()
                self._held -= len(message)
                self._news.notify_all()
        return moved

    def _keep(self, note: Note, message: bytes) -> bool:
        """Bring one to disk, or past it to Kafka if there is no room or the disk refuses."""
        if self._write_error and time.monotonic() < self._retry_at:
            return self._pump.offer(self._identity, note, message)
        try:
            self._append(note, message)
        except FullError:
            self._complain("full", "it has as many bytes as spool_bytes allows")
        except OSError as error:
            self.write_errors += 1
            self._complain("disk", error.strerror or str(error))
        else:
            if self._write_error:
                log.info("batches go to the spool again")
            self._write_error, self._refusal = "", ("spool", "full")
            return True
        return self._pump.offer(self._identity, note, message)

    def _append(self, note: Note, message: bytes) -> None:
        """FullError or OSError if there is no room even without all that Kafka has."""
        try:
            self._segments.append(self._identity, note, message)
        except (FullError, OSError):
            if not self._pump.make_room():
                raise
            self._segments.append(self._identity, note, message)

    def _complain(self, refusal: str, reason: str) -> None:
        now = time.monotonic()
        self._refusal = ("spool", refusal)
        self._retry_at = now + _RETRY_S
        if not self._write_error or now - self._complained > 60.0:
            self._complained = now
            log.warning("the spool takes no batch path=%s reason=%s", self._folder.path, reason)
        self._write_error = reason


__all__ = ["LEAST_BYTES", "OVERHEAD", "Spool"]
