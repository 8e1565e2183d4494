"""Which rule set counts for which raw message: what the records of the topic tiercel.rules say, and how one is added.

A partition's record is a list of (raw offset, version): from that offset on, until the next, that version. It is
written before a version is used, so whoever works on the same messages again uses the same rules for each of them.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from itertools import pairwise

MAX_ENTRIES = 256
"""Of one partition. Entries that no message can need again go when another is added."""
VERSION = re.compile(r"[0-9a-f]{64}")
NEVER = 1 << 63


@dataclass(frozen=True)
class Span:
    """A version, and the offset before which it counts: that of the next entry, or NEVER."""

    version: str
    until: int


Entry = tuple[int, str]


@dataclass
class Rollout:
    """The records of all partitions of one raw topic."""

    entries: dict[int, tuple[Entry, ...]] = field(default_factory=dict)

    def at(self, partition: int, offset: int) -> Span | None:
        """What counts for a message; None if nothing was recorded for the partition yet.

        Before the first entry nothing else is known, so that counts.
        """
        entries = self.entries.get(partition, ())
        for (_, version), (until, _) in pairwise(entries):
            if offset < until:
                return Span(version, until)
        return Span(entries[-1][1], NEVER) if entries else None

    def adding(self, partition: int, offset: int, version: str, since: int) -> tuple[Entry, ...] | None:
        """The partition's entries with one more; those that end before `since` are left out.

        None if there is no room, or an entry stands at this offset or later: what is recorded is never changed.
        """
        entries = self.entries.get(partition, ())
        if entries and entries[-1][0] >= offset:
            return None
        kept = [entry for entry, following in pairwise((*entries, (offset, version))) if following[0] > since]
        return None if len(kept) >= MAX_ENTRIES else (*kept, (offset, version))

    def leave_out(self, partition: int, end: int) -> None:
        """Forget what is said of messages from `end` on, the next that the partition will have: nobody has met them."""
        entries = self.entries.get(partition, ())
        if entries and entries[-1][0] >= end:
            self.entries[partition] = tuple(entry for entry in entries if entry[0] < end)

    def versions(self) -> set[str]:
        """All that are named."""
        return {version for entries in list(self.entries.values()) for _, version in entries}


def pack(entries: tuple[Entry, ...]) -> bytes:
    """A partition's record as a message."""
    return json.dumps(entries).encode()


def unpack(message: bytes) -> tuple[Entry, ...]:
    """What `pack` made; ValueError if it is none."""
    try:
        rows = json.loads(message)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(rows, list) or not 0 < len(rows) <= MAX_ENTRIES:
        raise ValueError(f"it is no list of 1 to {MAX_ENTRIES} entries")
    entries: list[Entry] = []
    for row in rows:
        match row:
            case [int(offset), str(version)] if not isinstance(offset, bool) and VERSION.fullmatch(version):
                if not (entries[-1][0] if entries else -1) < offset < NEVER:
                    raise ValueError("its offsets do not grow")
                entries.append((offset, version))
            case _:
                raise ValueError("an entry is no offset with a version")
    return tuple(entries)
