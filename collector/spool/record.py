"""A batch as it lies in a segment: length, checksum, the numbers by which losses are reckoned, the message.

4s magic · u32 length of what follows the checksum · u64 xxh3 of that · numbers · message
"""

import struct
from dataclasses import dataclass

from tiercel._engine import checksum

MAGIC = b"TSR1"
_HEAD = struct.Struct("<4sIQ")
_NUMBERS = struct.Struct("<7Q")
OVERHEAD = _HEAD.size + _NUMBERS.size
# Nothing that Kafka takes is larger; a length beyond it is damage.
MOST_BYTES = 8 << 20


@dataclass(frozen=True, slots=True)
class Note:
    """The books of a run as they stand after a batch. All but `first_seq`, `events` and `kernel` only grow.

    `kernel`: events of kernel origin in the batch; `numbered`: those of the run up to its end; `told`: losses that the
    run has told up to its end, `own` of them in the batch.
    """

    first_seq: int
    events: int
    kernel: int
    produced: int
    numbered: int
    told: int
    own: int

    @classmethod
    def of_none(cls, run: int) -> "Note":
        """Before the first batch of a run."""
        return cls(run, 0, 0, 0, 0, 0, 0)

    @property
    def next_seq(self) -> int:
        """The number after the last of the batch."""
        return self.first_seq + self.events

    @property
    def accounted(self) -> int:
        """Events that the run has sent or told to be lost, up to the end of the batch."""
        return self.numbered + self.told

    @property
    def accounted_before(self) -> int:
        """The same up to its beginning."""
        return self.accounted - self.kernel - self.own

    def values(self) -> tuple[int, ...]:
        return (self.first_seq, self.events, self.kernel, self.produced, self.numbered, self.told, self.own)


class DamagedError(Exception):
    """Bytes that are no whole record."""


def pack(note: Note, message: bytes) -> bytes:
    """The bytes of a record."""
    rest = _NUMBERS.pack(*note.values()) + message
    return _HEAD.pack(MAGIC, len(rest), checksum(rest)) + rest


HEAD_BYTES = _HEAD.size


def length(head: bytes) -> int:
    """Bytes of the whole record that begins so; DamagedError."""
    if len(head) < HEAD_BYTES:
        raise DamagedError
    magic, size, _ = _HEAD.unpack_from(head)
    if magic != MAGIC or not _NUMBERS.size <= size <= MOST_BYTES:
        raise DamagedError
    return HEAD_BYTES + int(size)


def unpack(record: bytes) -> tuple[Note, bytes]:
    """Numbers and message of a record; DamagedError."""
    if length(record) != len(record):
        raise DamagedError
    rest = record[HEAD_BYTES:]
    if checksum(rest) != _HEAD.unpack_from(record)[2]:
        raise DamagedError
    return Note(*_NUMBERS.unpack_from(rest)), rest[_NUMBERS.size :]
