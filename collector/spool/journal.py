"""What outlives every segment: how far Kafka has what was spooled, the books of the run at that place, who writes, and
what was given up and not told yet. Two slots that are written in turn.
"""

import contextlib
import json
import os
import struct
from dataclasses import dataclass

from tiercel._engine import checksum
from tiercel.collector.identity import Identity
from tiercel.collector.spool.folder import Folder, write_all
from tiercel.collector.spool.record import Note

_HEAD = struct.Struct("<4sIQQ")
_MAGIC = b"TSJ2"
_SLOT = 16 << 10


@dataclass(frozen=True, slots=True)
class Place:
    """The end of the last record that Kafka has: segment, offset, whose it was and the books after it."""

    segment: int
    offset: int
    identity: Identity
    note: Note


@dataclass(frozen=True, slots=True)
class GivenUp:
    """Records of a run that cannot be sent any more: the last segment of them, the furthest books that are known of
    them, and why."""

    segment: int
    note: Note
    reason: str


class Journal:
    """One file; OSError where it cannot be made. A slot that was torn by a crash leaves the other one.

    `given_up` is by run, the oldest first. The run that wrote before is in it, without a reason: maybe nothing of it
    came to the disk.
    """

    def __init__(self, folder: Folder, writer: Identity) -> None:
        self._fd = folder.open("journal", os.O_RDWR | os.O_CREAT)
        self._turn = 0
        self.place: Place | None = None
        self.given_up: dict[Identity, GivenUp] = {}
        before: tuple[Identity, int] | None = None
        for slot in (0, 1):
            found = self._read(slot)
            if found is not None and found[0] >= self._turn:
                self._turn, (before, self.place, self.given_up) = found
        if before is not None and (self.place is None or self.place.identity != before[0]):
            self.given_up.setdefault(before[0], GivenUp(before[1], Note.of_none(before[0].run), ""))
        # Its segments will be those after all that there are.
        self._writer = writer, max(self.furthest, 0, *folder.segments())
        # Room for both slots from the beginning: a full disk does not stop it.
        os.posix_fallocate(self._fd, 0, 2 * _SLOT)
        self.write()

    @property
    def furthest(self) -> int:
        """The last segment that it names; 0: none."""
        sent = self.place.segment if self.place is not None else 0
        return max(sent, 0, *(part.segment for part in self.given_up.values()))

    def write(self) -> None:
        """Note all that it has; OSError. Of what was given up, the newest that there is room for."""
        rows = [[_row(run), part.segment, part.note.values(), part.reason] for run, part in self.given_up.items()]
        while len(told := self._encoded(rows)) > _SLOT - _HEAD.size:
            del rows[0]
        self._turn += 1
        head = _HEAD.pack(_MAGIC, len(told), self._turn, checksum(self._turn.to_bytes(8, "little") + told))
        write_all(self._fd, head + told, self._turn % 2 * _SLOT)

    def give_up(self, run: Identity, part: GivenUp) -> None:
        """Note it before it is taken away, if the disk lets us."""
        self.given_up[run] = part
        with contextlib.suppress(OSError):
            self.write()

    def _encoded(self, rows: list[list[object]]) -> bytes:
        place = self.place
        at = [place.segment, place.offset, _row(place.identity), place.note.values()] if place is not None else None
        return json.dumps([[_row(self._writer[0]), self._writer[1]], at, rows]).encode()

    def _read(self, slot: int) -> tuple[int, tuple[tuple[Identity, int], Place | None, dict[Identity, GivenUp]]] | None:
        data = os.pread(self._fd, _SLOT, slot * _SLOT)
        if len(data) < _HEAD.size:
            return None
        magic, size, turn, check = _HEAD.unpack_from(data)
        told = data[_HEAD.size : _HEAD.size + size]
        if magic != _MAGIC or len(told) != size or checksum(turn.to_bytes(8, "little") + told) != check:
            return None
        writer, at, rows = json.loads(told)
        place = Place(at[0], at[1], Identity(*at[2]), Note(*at[3])) if at is not None else None
        given_up = {Identity(*run): GivenUp(segment, Note(*note), why) for run, segment, note, why in rows}
        return turn, ((Identity(*writer[0]), writer[1]), place, given_up)

    def close(self) -> None:
        os.close(self._fd)


def _row(identity: Identity) -> list[object]:
    return [identity.host_id, identity.host, identity.boot_id, identity.run]
