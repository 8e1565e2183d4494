"""The numbers of a host's events: what has been seen of each of its runs, and what a new batch is beside that.

It goes by what the messages say alone, never by a clock: whoever sees the same messages finds the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Literal

MAX_HOLES = 16
"""Of a run; the oldest is closed when another is found."""
MAX_EMPTY = 64
"""Batches without events that stand between the same two numbers and are known again."""
MAX_TOLD = 10_000_000
"""Numbers between two batches that need not be the kernel's: processes and descriptors that a collector tells of."""
END = 1 << 64

Kind = Literal["next", "gap", "late", "repeat"]


class UnexplainedError(ValueError):
    """Numbers that the batch's own totals contradict."""


def given_up(lost: Iterable[tuple[str, str, int]]) -> int:
    """Events that a batch without any tells to be lost and that had numbers: those that a spool had taken.

    What it did not take, for want of room, was never numbered.
    """
    return sum(
        count
        for stage, reason, count in lost
        if (stage == "spool" and reason not in _NOT_TAKEN) or (stage, reason) == ("broker", "refused")
    )


_NOT_TAKEN = {"full", "disk"}


def digest(body: bytes) -> bytes:
    """What an empty batch is known by."""
    return blake2b(body, digest_size=8).digest()


@dataclass
class Run:
    """One run of a collector, as far as its batches have come.

    Numbers below `next` have been seen, but for `holes` (first, end). `delivered` is the batches' own total.
    """

    boot_id: str
    run: int
    next: int
    delivered: int = 0
    holes: list[tuple[int, int]] = field(default_factory=list)
    empty: list[bytes] = field(default_factory=list)

    def place(self, first: int, count: int) -> Kind:
        """What a batch of these numbers is. UnexplainedError if a part of it was seen."""
        if first + count > END:
            raise UnexplainedError(f"numbers from {first} on go beyond what there can be")
        if first < self.run:
            raise UnexplainedError(f"number {first} is before the first of its run {self.run}")
        if first >= self.next:
            return "next" if first == self.next else "gap"
        if any(start <= first and first + count <= end for start, end in self.holes) and count:
            return "late"
        if first + count > self.next or any(start < first + count and first < end for start, end in self.holes):
            raise UnexplainedError(f"numbers {first} to {first + count - 1} were seen in part")
        return "repeat"

    def missing(self, first: int, delivered: int, kernel: int, told: int = 0) -> int:
        """Kernel events between what was seen and a batch that begins at `first` and has `kernel` of them.

        Those that the batch has `told` to be lost are in the ledger by that, and left out here. UnexplainedError if the
        totals do not go with the numbers.
        """
        lost = delivered - kernel - self.delivered
        if not 0 <= lost <= first - self.next <= lost + MAX_TOLD:
            raise UnexplainedError(
                f"its numbers begin at {first} instead of {self.next}, which its totals do not explain"
            )
        return max(0, lost - told)

    def take(self, first: int, count: int, delivered: int) -> None:
        """Note a batch that was worked on."""
        if first < self.next:
            self._fill(first, first + count)
            return
        if first > self.next:
            self.holes = [*self.holes, (self.next, first)][-MAX_HOLES:]
        if count or first > self.next:
            self.empty.clear()
        self.next, self.delivered = first + count, delivered

    def take_empty(self, body: bytes) -> None:
        """Note a batch without events, after `take`."""
        self.empty = [*self.empty, digest(body)][-MAX_EMPTY:]

    def _fill(self, first: int, end: int) -> None:
        parts = [
            part
            for start, stop in self.holes
            for part in ([(start, first), (end, stop)] if start <= first and end <= stop else [(start, stop)])
        ]
        self.holes = [(start, stop) for start, stop in parts if start < stop][-MAX_HOLES:]

    def row(self) -> dict[str, Any]:
        """As JSON has it; `of_row` reads it."""
        return {**vars(self), "empty": [known.hex() for known in self.empty]}

    @classmethod
    def of_row(cls, row: Any) -> Run:
        """ValueError if it is none."""
        match row:
            case {
                "boot_id": str(boot_id),
                "run": int(run),
                "next": int(following),
                "delivered": int(delivered),
                "holes": list(holes),
                "empty": list(empty),
            } if 0 <= run <= following <= END and 0 <= delivered < END and len(boot_id) <= 4096:
                pairs = [(int(start), int(end)) for start, end in holes[:MAX_HOLES]]
                if not all(0 <= start < end <= following for start, end in pairs):
                    raise ValueError("a hole that cannot be")
                known = [bytes.fromhex(text) for text in empty[:MAX_EMPTY]]
                return cls(boot_id, run, following, delivered, pairs, known)
        raise ValueError("what it says of a run is none")
