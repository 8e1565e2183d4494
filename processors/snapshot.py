"""A host's state as messages of the topic tiercel.snapshots: made in chunks, read back as hostile.

Key: RAW-TOPIC / WRITER / SLOT / CHUNK / HOST. A writer, one for each time that a worker got a partition, alternates
between two slots, so a snapshot that is written half leaves the one before it whole; and a worker that has lost its
partition and does not know it yet writes over nothing of its successor.
"""

from __future__ import annotations

import json
import re
import struct
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from tiercel.processors.sequence import Run

CHUNK = 512 << 10
MAX_CHUNKS = 4096
MAX_HOST_ID = 255
MAX_RUNS = 4
"""Runs of a host that are remembered."""

_MAGIC = b"TSNP"
VERSION = 1
# Magic, version, chunk, chunks, raw offset that it stands for, the first that no snapshot before it covers, generation.
_HEAD = struct.Struct("<4sHHHqqQ16s")
_HEX = re.compile(rb"[0-9a-f]{16}")


def raw_name(raw_id: str) -> bytes:
    """How keys name the raw topic whose offsets are meant; Kafka's own id of it may have any character."""
    return blake2b(raw_id.encode(), digest_size=8).hexdigest().encode()


class SnapshotError(ValueError):
    """Why these are no chunks of a snapshot that can be used."""


@dataclass(frozen=True)
class Key:
    raw_id: bytes
    writer: bytes
    slot: int
    chunk: int
    host_id: bytes

    def pack(self) -> bytes:
        return b"%s/%s/%d/%d/%s" % (self.raw_id, self.writer, self.slot, self.chunk, self.host_id)

    @classmethod
    def unpack(cls, key: bytes) -> Key:
        """SnapshotError if it is none."""
        parts = key.split(b"/", 4)
        if (
            len(parts) != 5
            or not _HEX.fullmatch(parts[0])
            or not _HEX.fullmatch(parts[1])
            or parts[2] not in (b"0", b"1")
            or not (parts[3].isdigit() and len(parts[3]) <= 4 and int(parts[3]) < MAX_CHUNKS)
            or not 0 < len(parts[4]) <= MAX_HOST_ID
        ):
            raise SnapshotError("the key is none of a snapshot")
        return cls(parts[0], parts[1], int(parts[2]), int(parts[3]), parts[4])


@dataclass(frozen=True)
class Head:
    """What every chunk says of the whole."""

    chunk: int
    chunks: int
    offset: int
    since: int
    generation: int
    checksum: bytes

    @classmethod
    def of(cls, chunk: bytes) -> Head:
        """SnapshotError if it is none, or of a version that is not known here."""
        if len(chunk) < _HEAD.size or len(chunk) > _HEAD.size + CHUNK:
            raise SnapshotError("a chunk is cut short or too long")
        magic, version, *rest = _HEAD.unpack_from(chunk)
        if magic != _MAGIC:
            raise SnapshotError("a chunk begins with something else")
        if version != VERSION:
            raise SnapshotError(f"its version is {version}; this is a Tiercel that knows version {VERSION}")
        head = cls(*rest)
        if not 0 <= head.chunk < head.chunks <= MAX_CHUNKS or not 0 <= head.since <= head.offset:
            raise SnapshotError("a chunk contradicts itself")
        return head


@dataclass
class Snapshot:
    """What a worker knows of a host after the message at `offset`; `states` are the engine's, None: nothing is kept."""

    partition: int
    host_id: bytes
    offset: int
    since: int
    pending: int
    runs: list[tuple[Run, bytes | None]]
    twins: int = 0

    def pack(self) -> bytes:
        """All of it as bytes."""
        head = json.dumps(
            {
                "partition": self.partition,
                "host_id": self.host_id.hex(),
                "offset": self.offset,
                "since": self.since,
                "pending": self.pending,
                "twins": self.twins,
                "runs": [{**run.row(), "bytes": -1 if state is None else len(state)} for run, state in self.runs],
            }
        ).encode()
        return b"".join([struct.pack("<I", len(head)), head, *(state or b"" for _, state in self.runs)])

    @classmethod
    def unpack(cls, data: bytes) -> Snapshot:
        """SnapshotError if it is none; what the engine makes of the states is another question."""
        try:
            (length,) = struct.unpack_from("<I", data)
            if length > min(len(data) - 4, 1 << 20):
                raise SnapshotError("it is cut short")
            return cls._of(json.loads(data[4 : 4 + length]), data[4 + length :])
        except SnapshotError:
            raise
        except (ValueError, TypeError, struct.error, RecursionError) as error:
            raise SnapshotError(f"it cannot be read: {' '.join(str(error).split())[:200]}") from None

    @classmethod
    def _of(cls, head: Any, states: bytes) -> Snapshot:
        match head:
            case {
                "partition": int(partition),
                "host_id": str(host_id),
                "offset": int(offset),
                "since": int(since),
                "pending": int(pending),
                "twins": int(twins),
                "runs": [*rows],
            } if len(rows) <= MAX_RUNS and 0 <= since <= offset and pending >= 0 and twins >= 0:
                runs: list[tuple[Run, bytes | None]] = []
                at = 0
                for row in rows:
                    run, size = Run.of_row(row), int(row["bytes"])
                    if not -1 <= size <= len(states) - at:
                        raise SnapshotError("a state in it is cut short")
                    runs.append((run, None if size < 0 else states[at : at + size]))
                    at += max(0, size)
                if at != len(states):
                    raise SnapshotError("something follows its end")
                return cls(partition, bytes.fromhex(host_id), offset, since, pending, runs, twins)
        raise SnapshotError("its head is none")


def _checksum(host_id: bytes, data: bytes, offset: int, generation: int) -> bytes:
    hash_ = blake2b(data, digest_size=16)
    hash_.update(struct.pack("<qQ", offset, generation) + host_id)
    return hash_.digest()


def chunks(snapshot: Snapshot, generation: int) -> list[bytes]:
    """The messages of a snapshot, in order. SnapshotError if there would be too many."""
    data = snapshot.pack()
    checksum = _checksum(snapshot.host_id, data, snapshot.offset, generation)
    parts = [data[at : at + CHUNK] for at in range(0, len(data), CHUNK)]
    if len(parts) > MAX_CHUNKS:
        raise SnapshotError(f"it would have {len(data)} bytes, more than {MAX_CHUNKS * CHUNK}")
    head = (snapshot.offset, snapshot.since, generation, checksum)
    return [_HEAD.pack(_MAGIC, VERSION, i, len(parts), *head) + part for i, part in enumerate(parts)]


def joined(partition: int, host_id: bytes, parts: dict[int, bytes]) -> Snapshot:
    """The snapshot of these chunks by number. SnapshotError if they are not all, damaged, or of something else."""
    heads = {number: Head.of(part) for number, part in parts.items()}
    first = next(iter(heads.values()), None)
    if first is None:
        raise SnapshotError("it has no chunks")
    # A larger snapshot that was in this slot before may have left chunks behind.
    mine = {n: parts[n] for n, head in heads.items() if head.generation == max(h.generation for h in heads.values())}
    first = heads[next(iter(mine))]
    if any(heads[n].checksum != first.checksum or heads[n].chunk != n for n in mine):
        raise SnapshotError("its chunks are of several")
    if len(mine) != first.chunks:
        raise SnapshotError(f"{first.chunks - len(mine)} of its {first.chunks} chunks are missing")
    data = b"".join(mine[number][_HEAD.size :] for number in range(first.chunks))
    if _checksum(host_id, data, first.offset, first.generation) != first.checksum:
        raise SnapshotError("its checksum is another")
    snapshot = Snapshot.unpack(data)
    if (snapshot.partition, snapshot.host_id) != (partition, host_id):
        raise SnapshotError("it is that of another host or partition")
    if (snapshot.offset, snapshot.since) != (first.offset, first.since):
        raise SnapshotError("its chunks tell another offset")
    return snapshot
