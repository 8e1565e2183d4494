"""What each run has sent or told so far: shows what is missing before a record, and at the end of a run.

What is missing is told in the place where it would have come: by a batch without events, whose first number is that of
what comes after the gap.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from tiercel._engine import Batch, encode_raw
from tiercel.collector.identity import Identity
from tiercel.collector.spool.record import Note

Losses = list[tuple[str, str, int]]


@dataclass(frozen=True, slots=True)
class Telling:
    """A batch without events that tells losses, and the books after it. `numbered`: events of the run with a number."""

    identity: Identity
    note: Note
    lost: Losses
    numbered: int

    def body(self) -> bytes:
        """As a RawBatch."""
        header = {
            "host_id": self.identity.host_id,
            "host": self.identity.host,
            "boot_id": self.identity.boot_id,
            "run": self.identity.run,
            "first_seq": self.note.next_seq,
            "time": time.time_ns(),
            "produced": self.note.produced,
            "delivered": self.numbered,
            "lost": self.lost,
        }
        return encode_raw(Batch(), 0, 0, header)


@dataclass(frozen=True, slots=True)
class Books:
    """Where the run that is being sent stands."""

    identity: Identity
    note: Note

    @classmethod
    def begin(cls, identity: Identity) -> "Books":
        """A run that has not sent anything."""
        return cls(identity, Note.of_none(identity.run))

    def before(self, note: Note, reason: str) -> Telling | None:
        """What is to be told before a record of the run."""
        missing = note.accounted_before - self.note.accounted
        if missing <= 0 and note.first_seq <= self.note.next_seq:
            return None
        numbered, told = note.numbered - note.kernel, note.told - note.own
        produced = max(self.note.produced, numbered + told)
        after = Note(note.first_seq, 0, 0, produced, numbered, told, 0)
        return Telling(self.identity, after, [("spool", reason, max(0, missing))], numbered)

    def at_end(self, ahead: Note, reason: str, produced: Callable[[Identity], int]) -> Telling | None:
        """What is to be told when the run is over.

        `ahead`: the last that is known of its records that were given up, for this `reason`; `produced`: of the run, as
        far as anybody knows.
        """
        lost: Losses = []
        note = self.note
        if ahead.accounted > note.accounted:
            lost.append(("spool", reason or "missing", ahead.accounted - note.accounted))
            note = ahead
        made = max(note.produced, produced(self.identity))
        if made > note.accounted:
            # With damage at its end nobody can tell what was written from what was not.
            what = ("spool", reason) if reason and not lost else ("collector", "killed")
            lost.append((*what, made - note.accounted))
        if not lost:
            return None
        # What never had a number is accounted for, too: nobody tells it again.
        after = Note(note.next_seq, 0, 0, made, made - note.told, note.told, 0)
        return Telling(self.identity, after, lost, note.numbered)
