"""What a sink is, and the loop that feeds it from a joint: read, gather, write, commit."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from tiercel.joints.base import Consumer, Message

_AT_ONCE = 32


@dataclass
class Stored:
    """What a sink has written so far; `events` counts each event once, however often it came."""

    batches: int = 0
    events: int = 0
    alerts: int = 0
    repeats: int = 0
    unreadable: int = 0

    def __add__(self, other: "Stored") -> "Stored":
        return Stored(*(mine + theirs for mine, theirs in zip(vars(self).values(), vars(other).values(), strict=True)))


class Sink(Protocol):
    """Takes messages of the topics of events and alerts. One thread."""

    stored: Stored

    def assign(self, partitions: set[int]) -> None:
        """These partitions are read from now on: find out what of them is there already."""
        ...

    def write(self, messages: Iterable[Message]) -> Stored:
        """Store all of it; when this returns it is safe. What is there already is left out."""
        ...

    def close(self) -> None: ...


class Gatherer:
    """Collects messages until an insert is worth its while: large ones under load, quick ones when it is quiet.

    Bytes tell when it is large: an alert is a hundredth of a batch, and many of them make no insert worth its while.
    """

    def __init__(self, *, delay: float = 1.0, max_bytes: int = 16 << 20, max_messages: int = 10_000) -> None:
        self.messages: list[Message] = []
        self._delay, self._max_bytes, self._max_messages = delay, max_bytes, max_messages
        self._bytes = 0
        self._since = 0.0

    def add(self, messages: Iterable[Message]) -> None:
        for message in messages:
            if not self.messages:
                self._since = time.monotonic()
            self.messages.append(message)
            self._bytes += len(message.value)

    def due(self) -> bool:
        if not self.messages:
            return False
        full = self._bytes >= self._max_bytes or len(self.messages) >= self._max_messages
        return full or time.monotonic() - self._since >= self._delay

    def room(self) -> int:
        """Messages to ask for next: few at once, as only then their bytes are known."""
        return max(1, min(_AT_ONCE, self._max_messages - len(self.messages)))

    def take(self) -> list[Message]:
        taken, self.messages, self._bytes = self.messages, [], 0
        return taken


def drive(
    sink: Sink,
    consumer: Consumer,
    stop: Callable[[], bool],
    *,
    gatherer: Gatherer | None = None,
    wrote: Callable[[Stored], None] | None = None,
) -> None:
    """Feed the sink until `stop`; what was read by then is written, and committed after that."""
    gathered = gatherer or Gatherer()
    while True:
        ending = stop()
        messages = consumer.read(gathered.room(), 0.0 if ending else 0.05)
        gathered.add(messages)
        if gathered.due() or (ending and gathered.messages):
            taken = gathered.take()
            stored = sink.write(taken)
            consumer.commit(taken)
            if wrote is not None:
                wrote(stored)
        elif ending and not messages:
            return
