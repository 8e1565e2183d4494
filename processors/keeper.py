"""Which messages the snapshots of a worker cover, and which host's is due next. No Kafka and no clock in here.

An input offset is acknowledged when all that it led to is safe and, for every host that it changed, a snapshot that
includes it is safe, too; and never before those that came before it. So whoever reads on from what is acknowledged
meets every message that no snapshot covers.
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tiercel.processors.snapshot import Key, chunks, raw_name
from tiercel.processors.worker import Worker


@dataclass
class Record:
    """A message that was handled."""

    offset: int
    hosts: frozenset[bytes]
    message: Any
    safe: bool = False


@dataclass
class Draft:
    """A snapshot to be written, when the outputs up to its offset are safe; then `written`."""

    host_id: bytes
    offset: int
    rows: list[tuple[bytes, bytes | None]]
    slot: int
    count: int

    @property
    def size(self) -> int:
        return sum(len(value or b"") for _, value in self.rows)


@dataclass
class _Slots:
    """What lies on the topic for a host: chunks in each of our slots, and keys of writers before us."""

    generation: int = 0
    counts: list[int] = field(default_factory=lambda: [0, 0])
    foreign: set[Key] = field(default_factory=set)


@dataclass
class Written:
    """What snapshots have cost so far."""

    snapshots: int = 0
    bytes: int = 0
    pause_ns: int = 0
    """In which nothing else was done."""


class Kept:
    """One partition, from the moment that it is ours until it no longer is."""

    def __init__(self, worker: Worker, partition: int, raw_id: str, written: Written) -> None:
        self.partition = partition
        self.records: deque[Record] = deque()
        self._worker, self._raw, self._written = worker, raw_name(raw_id), written
        self._writer = secrets.token_hex(8).encode()
        # Host → its first message that no snapshot covers, and when that came; oldest first.
        self._uncovered: dict[bytes, tuple[int, float]] = {}
        self._slots: dict[bytes, _Slots] = {}

    def found(self, host_id: bytes, keys: Iterable[Key]) -> None:
        """Keys of earlier writers: they go when a snapshot of ours is safe."""
        self._slots.setdefault(host_id, _Slots()).foreign |= set(keys)

    def uncovered(self, host_id: bytes, offset: int, now: float) -> None:
        """What is known of a host is more than its snapshots say, from this offset on."""
        self._uncovered.setdefault(host_id, (offset, now))

    def handled(self, offset: int, message: Any, now: float) -> Record:
        """Note the message that the worker has handled just now; set `safe` when its outputs are."""
        record = Record(offset, frozenset(self._worker.touched), message)
        self.records.append(record)
        for host_id in record.hosts:
            self.uncovered(host_id, offset, now)
        return record

    def acknowledged(self) -> list[Any]:
        """Messages that nobody will need again, in order."""
        done = []
        while self.records:
            record = self.records[0]
            if not record.safe or any(
                host_id in self._uncovered and self._uncovered[host_id][0] <= record.offset for host_id in record.hosts
            ):
                break
            done.append(self.records.popleft().message)
        return done

    def unsafe(self, offset: int) -> bool:
        """Whether outputs of a message up to this one are not safe yet."""
        return any(not record.safe for record in self.records if record.offset <= offset)

    def due(self, before: float) -> bytes | None:
        """The host that waits longest, since `before` at least."""
        host_id, (_, since) = next(iter(self._uncovered.items()), (b"", (0, before + 1)))
        return host_id if since <= before else None

    def waits(self, host_id: bytes) -> bool:
        """Whether it has messages that no snapshot covers."""
        return host_id in self._uncovered

    def waiting(self) -> int:
        """Hosts with messages that no snapshot covers."""
        return len(self._uncovered)

    def oldest(self) -> float | None:
        """When the first message came that no snapshot covers."""
        return next((since for _, since in self._uncovered.values()), None)

    def draft(self, host_id: bytes) -> Draft:
        """The host as it is now; of one of whom nothing is known any more, what takes it away.

        SnapshotError if it is too large.
        """
        slots = self._slots.setdefault(host_id, _Slots())
        snapshot = self._worker.snapshot(self.partition, host_id, self._uncovered[host_id][0])
        if snapshot is None:
            rows: list[tuple[bytes, bytes | None]] = [(key.pack(), None) for key in self._keys(host_id, slots)]
            del self._slots[host_id]
            return Draft(host_id, self.records[-1].offset if self.records else -1, rows, 0, 0)
        slots.generation += 1
        slot = slots.generation % 2
        made = chunks(snapshot, slots.generation)
        rows = [
            (Key(self._raw, self._writer, slot, number, host_id).pack(), chunk) for number, chunk in enumerate(made)
        ]
        return Draft(host_id, snapshot.offset, rows, slot, len(made))

    def written(self, draft: Draft) -> list[bytes]:
        """Note that a draft is safe; returns keys on the topic that say nothing any more."""
        self._written.snapshots += 1
        self._written.bytes += draft.size
        entry = self._uncovered.pop(draft.host_id, None)
        if entry is not None:
            # What came while it was being written counts from its own first message on.
            later = [r.offset for r in self.records if r.offset > draft.offset and draft.host_id in r.hosts]
            if later:
                self._uncovered[draft.host_id] = later[0], entry[1]
                self._uncovered = dict(sorted(self._uncovered.items(), key=lambda item: item[1][1]))
        slots = self._slots.get(draft.host_id)
        if slots is None or not draft.count:
            return []
        old = [
            Key(self._raw, self._writer, draft.slot, number, draft.host_id)
            for number in range(draft.count, slots.counts[draft.slot])
        ]
        slots.counts[draft.slot] = draft.count
        gone = [*old, *slots.foreign]
        slots.foreign = set()
        return [key.pack() for key in gone]

    def _keys(self, host_id: bytes, slots: _Slots) -> list[Key]:
        own = [
            Key(self._raw, self._writer, slot, number, host_id)
            for slot, count in enumerate(slots.counts)
            for number in range(count)
        ]
        return [*own, *slots.foreign]
