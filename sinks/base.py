"""What a sink is."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from tiercel.joints.base import Message
from tiercel.sinks.counters import SinkCounters


@dataclass
class Stored:
    """What a sink has written so far; `events` counts each event once, however often it came."""

    batches: int = 0
    events: int = 0
    alerts: int = 0
    repeats: int = 0
    unreadable: int = 0
    refused: int = 0

    def __add__(self, other: "Stored") -> "Stored":
        return Stored(*(mine + theirs for mine, theirs in zip(vars(self).values(), vars(other).values(), strict=True)))


class Sink(Protocol):
    """Takes messages of the topics of events and alerts; that of ClickHouse raw batches as well. One thread."""

    stored: Stored
    counters: SinkCounters

    def assign(self, partitions: set[int]) -> None:
        """These partitions alone are read from now on: with the next write, find out what of them is there."""
        ...

    def write(self, messages: Iterable[Message]) -> Stored:
        """Store all of it; when this returns it is safe. What is there already is left out.

        AwayError: some of it may be stored; all of it may be written again, later.
        """
        ...

    def close(self) -> None: ...
