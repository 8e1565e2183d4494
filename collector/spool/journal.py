"""How far Kafka has what was spooled, and the books of the run at that place: two slots that are written in turn."""

import json
import os
import struct
from dataclasses import dataclass

from tiercel._engine import checksum
from tiercel.collector.identity import Identity
from tiercel.collector.spool.folder import Folder, write_all
from tiercel.collector.spool.record import Note

_HEAD = struct.Struct("<4sIQQ")
_MAGIC = b"TSJ1"
_SLOT = 16 << 10


@dataclass(frozen=True, slots=True)
class Place:
    """The end of the last record that Kafka has: segment, offset, whose it was and the books after it."""

    segment: int
    offset: int
    identity: Identity
    note: Note


class Journal:
    """One file; OSError where it cannot be made. A slot that was torn by a crash leaves the other one."""

    def __init__(self, folder: Folder) -> None:
        self._fd = folder.open("journal", os.O_RDWR | os.O_CREAT)
        self._turn = 0
        self.place: Place | None = None
        for slot in (0, 1):
            found = self._read(slot)
            if found is not None and found[0] >= self._turn:
                self._turn, self.place = found
        # Room for both slots from the beginning: a full disk does not stop it.
        os.posix_fallocate(self._fd, 0, 2 * _SLOT)

    def write(self, place: Place) -> None:
        """Note a place; OSError."""
        told = json.dumps([
            place.segment, place.offset,
            [place.identity.host_id, place.identity.host, place.identity.boot_id, place.identity.run],
            place.note.values(),
        ]).encode()  # fmt: skip
        self._turn += 1
        head = _HEAD.pack(_MAGIC, len(told), self._turn, checksum(self._turn.to_bytes(8, "little") + told))
        write_all(self._fd, head + told, self._turn % 2 * _SLOT)
        self.place = place

    def _read(self, slot: int) -> tuple[int, Place] | None:
        data = os.pread(self._fd, _SLOT, slot * _SLOT)
        if len(data) < _HEAD.size:
            return None
        magic, size, turn, check = _HEAD.unpack_from(data)
        told = data[_HEAD.size : _HEAD.size + size]
        if magic != _MAGIC or len(told) != size or checksum(turn.to_bytes(8, "little") + told) != check:
            return None
        segment, offset, identity, note = json.loads(told)
        return turn, Place(segment, offset, Identity(*identity), Note(*note))

    def close(self) -> None:
        os.close(self._fd)
