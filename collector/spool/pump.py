"""Sends records to Kafka in order, a bounded part at a time; takes them away once Kafka has them. One thread."""

import logging
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass

from tiercel.collector.identity import Identity
from tiercel.collector.spool.books import Books, Telling
from tiercel.collector.spool.journal import Journal, Place
from tiercel.collector.spool.record import Note
from tiercel.collector.spool.segments import Found, Segments
from tiercel.errors import KafkaError
from tiercel.joints.base import Producer
from tiercel.schemas import avro, topics

log = logging.getLogger(__name__)

_LONGEST_PAUSE_S = 10.0
# Words of refusals that concern one message and would be said again; all others pass.
_POISONED = ("too large", "invalid", "corrupt")


@dataclass(slots=True)
class _Sent:
    """A message that Kafka may have, and the place that is reached with it."""

    place: Place
    message: bytes
    size: int
    telling: Telling | None = None
    ends: bool = False
    """The run is over with it."""
    done: bool = False
    error: str | None = None


class Pump:
    """`step` as often as there is something to do."""

    def __init__(
        self,
        segments: Segments,
        journal: Journal,
        output: Producer,
        *,
        in_flight_bytes: int,
        schema_id: int | None,
        produced_before: Callable[[Identity], int],
    ) -> None:
        self._segments, self._journal, self._output = segments, journal, output
        self._in_flight_bytes, self._schema_id = in_flight_bytes, schema_id
        self._produced_before = produced_before
        self._in_flight: deque[_Sent] = deque()
        self._bytes = 0
        self._found: Found | None = None
        self._resume_at, self._pause = 0.0, 0.5
        place = journal.place
        self._books = Books(place.identity, place.note) if place is not None else None
        if place is not None:
            segments.seek(place.segment, place.offset)
        self.lost: Counter[tuple[str, str]] = Counter()
        self.sent = 0
        self.journal_error = ""

    @property
    def in_flight(self) -> int:
        """Messages on their way."""
        return len(self._in_flight)

    @property
    def is_idle(self) -> bool:
        """Whether Kafka has everything."""
        return not self._in_flight and self._found is None and self._segments.is_read()

    @property
    def furthest(self) -> int:
        """The last segment of which something is on its way."""
        return self._in_flight[-1].place.segment if self._in_flight else 0

    def step(self) -> bool:
        """Send what may be sent and note what has arrived; whether anything moved."""
        moved = False
        while self._has_room():
            found = self._found or self._segments.next()
            if found is None:
                break
            self._found = found
            if not self._send_record(found):
                break
            self._found = None
            moved = True
        self._output.poll()
        return self._settle() or moved

    def offer(self, identity: Identity, note: Note, message: bytes) -> bool:
        """Send a record that no disk takes, if all that came before is on its way."""
        if self._found is not None or not self._segments.is_read() or not self._has_room():
            return False
        segment, offset = self._segments.end
        if not self._announce(identity, note, segment + 1):
            return False
        return self._send(_Sent(Place(segment, offset, identity, note), message, len(message)))

    def make_room(self) -> bool:
        """Take away what Kafka has already, where there was no reason to before; whether there was something."""
        place = self._journal.place
        return place is not None and self._segments.release(place.segment, place.offset) > 0

    def _has_room(self) -> bool:
        failed = any(item.error for item in self._in_flight)
        return self._bytes < self._in_flight_bytes and not failed and time.monotonic() >= self._resume_at

    def _send_record(self, found: Found) -> bool:
        if not self._announce(found.identity, found.note, found.segment):
            return False
        place = Place(found.segment, found.end, found.identity, found.note)
        return self._send(_Sent(place, found.message, len(found.message)))

    def _announce(self, identity: Identity, note: Note, segment: int) -> bool:
        """Tell what is missing before this record; whether there is nothing left to be told."""
        books = self._books
        if books is not None and books.identity != identity:
            if not self._end(books):
                return False
            self._segments.missing = ""
            self._books = books = None
        if identity in self._segments.given_up and not self._segments.given_up[identity].reason:
            del self._segments.given_up[identity]
            self._journal.given_up.pop(identity, None)
        # Of some nothing was sent, as nothing is left.
        over = [run for run, part in self._segments.given_up.items() if run != identity and part.segment < segment]
        if not all(self._end(Books.begin(run)) for run in over):
            return False
        if books is None:
            books = self._books = Books.begin(identity)
        telling = books.before(note, self._segments.missing or "missing")
        if telling is not None:
            if not self._tell(telling):
                return False
            self._segments.missing = ""
        return True

    def _end(self, books: Books) -> bool:
        """Tell what is missing of a run that is over; whether that was done."""
        given_up = self._segments.given_up.get(books.identity)
        ahead, reason = (given_up.note, given_up.reason) if given_up is not None else (books.note, "")
        telling = books.at_end(ahead, reason or self._segments.missing, self._produced_before)
        if telling is not None and not self._tell(telling, ends=True):
            return False
        self._segments.given_up.pop(books.identity, None)
        if telling is None:
            self._journal.given_up.pop(books.identity, None)
        return True

    def _tell(self, telling: Telling, *, ends: bool = False) -> bool:
        # Nothing is on its way of what comes after it: the place is the end of what is.
        last = self._in_flight[-1].place if self._in_flight else self._journal.place
        segment, offset = (last.segment, last.offset) if last is not None else (0, 0)
        message = avro.frame("raw_batch", telling.body(), self._schema_id)
        place = Place(segment, offset, telling.identity, telling.note)
        if not self._send(_Sent(place, message, len(message), telling, ends)):
            return False
        for stage, reason, count in telling.lost:
            self.lost[stage, reason] += count
        log.warning("events lost, and told: %s", ", ".join(f"{s}/{r}={n}" for s, r, n in telling.lost))
        return True

    def _send(self, item: _Sent, *, again: bool = False) -> bool:
        def done(error: str | None) -> None:
            # In this order: whose callback it is may be another thread, where several share a producer.
            item.error = error
            item.done = True

        try:
            if not self._output.send(
                topics.RAW, item.place.identity.host_id.encode(), item.message, timeout=0.0, done=done
            ):
                return False
        except KafkaError as error:
            if not again and not _is_poisoned(str(error)):
                # It was not taken, and nothing may come before it.
                self._wait()
                return False
            item.error = str(error)
            item.done = True
        if not again:
            self._in_flight.append(item)
            self._bytes += item.size
            self._books = Books(item.place.identity, item.place.note)
        return True

    def _settle(self) -> bool:
        """Note what has arrived, in order; what was refused is sent again, or told to be lost."""
        place: Place | None = None
        while self._in_flight and self._in_flight[0].done and self._in_flight[0].error is None:
            item = self._in_flight.popleft()
            self._bytes -= item.size
            self.sent += item.telling is None
            place = item.place
            if item.ends:
                self._journal.given_up.pop(place.identity, None)
        if place is not None:
            self._pause = 0.5
            self._journal.place = place
            try:
                self._journal.write()
                self.journal_error = ""
            except OSError as error:
                self.journal_error = error.strerror or str(error)
            self._segments.release(place.segment, place.offset)
        if self._in_flight and all(item.done for item in self._in_flight) and self._in_flight[0].error is not None:
            self._mend()
        return place is not None

    def _mend(self) -> None:
        """The first of those on their way was refused, and all others have their answer."""
        if time.monotonic() < self._resume_at:
            return
        self._wait()
        first, reason = self._in_flight[0], self._in_flight[0].error or ""
        if "fatal" in reason.lower():
            raise KafkaError(f"Kafka's client is broken: {reason}")
        if _is_poisoned(reason) or any(item.error is None for item in self._in_flight):
            # Sent now it would come after what has arrived, and be taken for a repeat.
            if first.telling is None:
                self._give_up(first)
            self._again(first)
            return
        for item in self._in_flight:
            if not self._again(item) or item.error is not None:
                return

    def _wait(self) -> None:
        """Before another attempt, longer each time."""
        self._resume_at = time.monotonic() + self._pause
        self._pause = min(_LONGEST_PAUSE_S, self._pause * 2)

    def _give_up(self, item: _Sent) -> None:
        note, identity = item.place.note, item.place.identity
        log.error("Kafka refuses a batch for good, its events are lost, and told reason=%s", item.error)
        after = Note(note.next_seq, 0, 0, note.produced, note.numbered, note.told, 0)
        lost = [("broker", "refused", note.kernel + note.own)]
        item.telling = Telling(identity, after, lost, note.numbered)
        self.lost["broker", "refused"] += note.kernel + note.own
        item.message = avro.frame("raw_batch", item.telling.body(), self._schema_id)

    def _again(self, item: _Sent) -> bool:
        reason, item.done, item.error = item.error, False, None
        if not self._send(item, again=True):
            item.done, item.error = True, reason
            return False
        return True


def _is_poisoned(reason: str) -> bool:
    return any(word in reason.lower() for word in _POISONED)
