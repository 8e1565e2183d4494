"""The records on disk as one queue: appended at one end, read and taken away at the other. One thread."""

import contextlib
import logging
import os
import time
from dataclasses import dataclass
from typing import NamedTuple

from tiercel.collector.identity import Identity
from tiercel.collector.spool import record
from tiercel.collector.spool.folder import Folder, write_all
from tiercel.collector.spool.journal import GivenUp, Journal
from tiercel.collector.spool.record import DamagedError, Note

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Segment:
    """`newest`: monotonic time of its last record. `last`: the books after that, where this process wrote it."""

    bytes: int
    newest: float
    identity: Identity | None = None
    last: Note | None = None


class Found(NamedTuple):
    """A record that was read, and where it ends."""

    identity: Identity
    note: Note
    message: bytes
    segment: int
    end: int


class FullError(Exception):
    """The segments have as many bytes as they may."""


class Segments:
    """Those of a folder. What cannot be read is left out, and `missing` says why: by the books it shows how much."""

    def __init__(self, folder: Folder, journal: Journal, max_bytes: int, segment_bytes: int) -> None:
        self._folder, self._journal = folder, journal
        self._max_bytes, self._segment_bytes = max_bytes, segment_bytes
        self._segments: dict[int, Segment] = {}
        now, wall = time.monotonic(), time.time()
        for number, size in folder.segments().items():
            age = 0.0
            with contextlib.suppress(OSError):
                age = max(0.0, wall - folder.age(number))
            self._segments[number] = Segment(size, now - age)
        self._writing, self._write_fd, self._end = 0, -1, 0
        self._reading, self._offset, self._read_fd = 0, 0, -1
        self._identity: Identity | None = None
        self.missing = ""
        # What was given up and is not told yet, by run.
        self.given_up = dict(journal.given_up)

    @property
    def disk_bytes(self) -> int:
        """Bytes of all segments."""
        return sum(segment.bytes for segment in self._segments.values())

    @property
    def count(self) -> int:
        """How many segments there are."""
        return len(self._segments)

    def oldest_age(self) -> float:
        """Seconds since the last write to the oldest segment; 0 if there is none."""
        first = next(iter(self._segments.values()), None)
        return time.monotonic() - first.newest if first is not None else 0.0

    def is_read(self) -> bool:
        """Whether every record was read."""
        last = next(reversed(self._segments), 0)
        return not last or (self._reading, self._offset) >= (last, self._segments[last].bytes)

    @property
    def end(self) -> tuple[int, int]:
        """The place after the last record."""
        last = next(reversed(self._segments), self._reading)
        return last, self._segments[last].bytes if last in self._segments else self._offset

    # Writing.

    def append(self, identity: Identity, note: Note, message: bytes) -> None:
        """Write a record; FullError, or OSError, and then nothing of it is there, and the segment is closed.

        What Kafka has of it would otherwise keep its place until the segment is as large as it may be.
        """
        data = record.pack(note, message)
        if self.disk_bytes + len(data) > self._max_bytes:
            self.close_segment()
            raise FullError
        if self._write_fd >= 0 and self._end + len(data) > self._segment_bytes:
            self.close_segment()
        if self._write_fd < 0:
            number = max(self._reading, self._journal.furthest, *self._segments) + 1
            self._write_fd, self._end = self._folder.begin(number, identity)
            self._writing = number
            self._segments[number] = Segment(self._end, time.monotonic(), identity)
        try:
            write_all(self._write_fd, data, self._end)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._write_fd, self._end)
            number = self._writing
            self.close_segment()
            if self._segments[number].last is None:
                self._remove(number)
            raise
        self._end += len(data)
        segment = self._segments[self._writing]
        segment.bytes, segment.newest, segment.last = self._end, time.monotonic(), note

    def close_segment(self) -> None:
        """Begin another with the next record; what waits for Kafka is on the disk itself then, if that takes it."""
        if self._write_fd >= 0:
            if not self.is_read():
                with contextlib.suppress(OSError):
                    os.fdatasync(self._write_fd)
            os.close(self._write_fd)
        self._write_fd, self._writing = -1, 0

    # Reading.

    def seek(self, segment: int, offset: int) -> None:
        """Read on from the end of a record."""
        self._close_reading()
        self._reading, self._offset = segment, offset

    def next(self) -> Found | None:
        """The next record, if there is one."""
        while True:
            segment = self._segments.get(self._reading)
            if segment is None or self._offset >= segment.bytes:
                following = next((number for number in self._segments if number > self._reading), None)
                if following is None:
                    return None
                if following > self._reading + 1 and self._reading:
                    self.missing = self.missing or "missing"
                self.seek(following, 0)
                continue
            try:
                self._open_reading(segment)
                if self._offset >= segment.bytes:
                    continue
                return self._read(segment)
            except DamagedError:
                reason = "a record is damaged"
            except ValueError as error:
                reason = str(error)
            except OSError as error:
                reason = error.strerror or str(error)
            later = next((other for at, other in self._segments.items() if at > self._reading), None)
            torn = segment.last is None and (later is None or later.last is not None) and self._is_tail(segment)
            log.warning(
                "part of a spool segment cannot be sent segment=%d offset=%d bytes=%d reason=%s",
                self._reading, self._offset, segment.bytes - self._offset, "its end is torn" if torn else reason,
            )  # fmt: skip
            if not torn:
                self.missing = "corrupt"
                self._give_up(self._reading, segment)
            self._drop(self._reading, aside=not torn)

    def _open_reading(self, segment: Segment) -> None:
        if self._read_fd < 0:
            self._read_fd, self._identity, first = self._folder.read(self._reading)
            self._offset = max(self._offset, first)
            if segment.identity not in (None, self._identity):
                raise ValueError("its head is of another run")
            segment.identity = self._identity

    def _read(self, segment: Segment) -> Found:
        assert self._identity is not None
        size = record.length(os.pread(self._read_fd, record.HEAD_BYTES, self._offset))
        if self._offset + size > segment.bytes:
            raise DamagedError
        note, message = record.unpack(os.pread(self._read_fd, size, self._offset))
        self._offset += size
        return Found(self._identity, note, message, self._reading, self._offset)

    def _is_tail(self, segment: Segment) -> bool:
        """Whether what is left of a segment is less than its next record would have been: a writer was killed there."""
        if self._read_fd < 0:
            return segment.bytes < 1024  # not even its head
        with contextlib.suppress(OSError):
            rest = os.pread(self._read_fd, record.HEAD_BYTES, self._offset)
            try:
                return self._offset + record.length(rest) > segment.bytes
            except DamagedError:
                return len(rest) < record.HEAD_BYTES
        return False

    # Taking away.

    def release(self, segment: int, offset: int) -> int:
        """Kafka has all up to this place: take away segments that nobody needs any more; how many went."""
        gone = 0
        for number in list(self._segments):
            whole = number < segment or (number == segment and offset >= self._segments[number].bytes)
            if not whole:
                break
            if number != self._writing:
                self._remove(number)
                gone += 1
        return gone

    def expire(self, max_age: float, beyond: int) -> int:
        """Give up segments after `beyond` that had no record for so many seconds; how many were given up."""
        given_up = 0
        for number, segment in list(self._segments.items()):
            if number <= beyond:
                continue
            if time.monotonic() - segment.newest <= max_age:
                break
            if (self._reading, self._offset) < (number, segment.bytes):
                self._look_ahead(number, segment)
                self.missing = "expired"
                given_up += 1
                self._give_up(number, segment)
            self._drop(number)
        return given_up

    def _look_ahead(self, number: int, segment: Segment) -> None:
        """Find the books after the last whole record of a segment that was not written by this process."""
        if segment.last is not None:
            return
        keep = (self._reading, self._offset)
        try:
            self.seek(number, 0)
            self._open_reading(segment)
            while self._offset < segment.bytes:
                found = self._read(segment)
                segment.identity, segment.last = found.identity, found.note
        except (DamagedError, ValueError, OSError):
            pass
        finally:
            self.seek(*keep)

    def _give_up(self, number: int, segment: Segment) -> None:
        """Note for good what is known of a segment that will not be sent."""
        run = segment.identity
        if run is not None:
            last = max(segment.last or Note.of_none(run.run), *self._known_of(run), key=lambda note: note.accounted)
            self.given_up[run] = part = GivenUp(number, last, self.missing)
            self._journal.give_up(run, part)

    def _known_of(self, run: Identity) -> list[Note]:
        return [self.given_up[run].note] if run in self.given_up else [Note.of_none(run.run)]

    def _drop(self, number: int, *, aside: bool = False) -> None:
        segment = self._segments[number]
        if number == self._writing:
            self.close_segment()
        self._remove(number, aside=aside)
        if number == self._reading:
            self.seek(number, segment.bytes)

    def _remove(self, number: int, *, aside: bool = False) -> None:
        if number == self._reading:
            self._close_reading()
        del self._segments[number]
        if aside:
            self._folder.set_aside(number)
        else:
            self._folder.remove(number)

    def _close_reading(self) -> None:
        if self._read_fd >= 0:
            os.close(self._read_fd)
        self._read_fd = -1

    def close(self) -> None:
        self._close_reading()
        self.close_segment()
