"""Collects messages until an insert is worth its while, and keeps those being written until they are stored."""

import time
from collections.abc import Iterable
from typing import Self

from tiercel import config
from tiercel.joints.base import Message
from tiercel.schemas import topics
from tiercel.sinks.counters import SinkCounters

_AT_ONCE = 32
# Inserts saved up while it was quiet; the lower half is kept for alerts.
_SAVED = 10.0


class Gatherer:
    """Large inserts under load, quick ones when it is quiet.

    What comes waits for `linger` seconds, and then for its turn: there are `inserts_per_minute`, some of them saved
    up while it is quiet. Bytes and rows tell when one is full, which needs no turn: an alert is a hundredth of a
    batch, and many of them make no insert worth its while. Rows of messages are guessed from those before them.
    """

    def __init__(
        self,
        *,
        linger: float = 0.1,
        inserts_per_minute: float = 60.0,
        max_bytes: int = 16 << 20,
        max_rows: int = 500_000,
        max_messages: int = 10_000,
        counters: SinkCounters | None = None,
    ) -> None:
        self.messages: list[Message] = []
        self.flight: list[Message] = []
        self._linger, self._per_second = linger, inserts_per_minute / 60
        self._max_bytes, self._max_rows, self._max_messages = max_bytes, max_rows, max_messages
        self._counters = counters or SinkCounters()
        self._bytes, self._largest = 0, 0.0
        self._alerts = False
        self._since = 0.0
        self._turns, self._counted = _SAVED, time.monotonic()
        self._rows_per_byte = 0.0

    @classmethod
    def configured(cls, limits: config.Sink, counters: SinkCounters) -> Self:
        """As the configuration has it."""
        return cls(
            linger=limits.linger_ms / 1000,
            inserts_per_minute=limits.inserts_per_minute,
            max_bytes=limits.batch_bytes,
            max_rows=limits.batch_rows,
            counters=counters,
        )

    def add(self, messages: Iterable[Message]) -> None:
        for message in messages:
            if not self.messages:
                self._since = time.monotonic()
            self.messages.append(message)
            size = len(message.value)
            self._bytes += size
            self._largest = max(size, self._largest * 0.99)
            self._alerts = self._alerts or message.topic == topics.ALERTS
        self._tell()

    def full(self) -> bool:
        """Whether no more should be added."""
        return (
            self._bytes >= self._max_bytes
            or len(self.messages) >= self._max_messages
            or self._bytes * self._rows_per_byte >= self._max_rows
        )

    def due(self) -> bool:
        if not self.messages:
            return False
        if self.full():
            return True
        now = time.monotonic()
        self._turns = min(_SAVED, self._turns + (now - self._counted) * self._per_second)
        self._counted = now
        return now - self._since >= self._linger and self._turns >= (1.0 if self._alerts else _SAVED / 2 + 1)

    def room(self) -> int:
        """Messages to ask for next: few at once, as only then their bytes are known."""
        fitting = int((self._max_bytes - self._bytes) / self._largest) if self._largest else _AT_ONCE
        return max(1, min(_AT_ONCE, self._max_messages - len(self.messages), fitting))

    def take(self) -> list[Message]:
        """What is to be written now; it stays in `flight` until `done`."""
        self.flight, self.messages, self._bytes = self.messages, [], 0
        self._turns = max(0.0, self._turns - 1)
        self._alerts = False
        return self.flight

    def done(self, rows: int = 0) -> None:
        """What was taken is stored, and was so many rows."""
        size = sum(len(message.value) for message in self.flight)
        if size and rows:
            self._rows_per_byte = rows / size
        self.flight = []
        self._tell()

    def drop(self, partitions: set[int]) -> None:
        """Forget messages of partitions that somebody else reads from now on: they come there again."""
        self.flight = [message for message in self.flight if message.partition not in partitions]
        self.messages = [message for message in self.messages if message.partition not in partitions]
        self._bytes = sum(len(message.value) for message in self.messages)
        self._alerts = any(message.topic == topics.ALERTS for message in self.messages)
        self._tell()

    def _tell(self) -> None:
        counters = self._counters
        counters.waiting_messages = len(self.messages) + len(self.flight)
        counters.waiting_bytes = self._bytes
        if not self.flight:
            counters.oldest = self._since if self.messages else None
