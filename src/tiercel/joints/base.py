"""The two objects that every joint offers; stages know nothing else of what lies between them."""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, Protocol

Done = Callable[[str | None], None]


class Message(NamedTuple):
    """One message as it came out of a joint."""

    topic: str
    partition: int
    offset: int
    key: bytes
    value: bytes


class Producer(Protocol):
    """Takes messages; may be called by one thread."""

    def send(
        self,
        topic: str,
        key: bytes,
        value: bytes,
        partition: int | None = None,
        *,
        timeout: float = 0.0,
        done: Done | None = None,
    ) -> bool:
        """Take a message, waiting at most `timeout` seconds for room; False: there was none and it was not taken.

        `done` is called once for a message that was taken: with None when it is safe, else with the reason why it
        never will be.
        """
        ...

    def poll(self) -> None:
        """Let finished deliveries call their `done`."""
        ...

    def flush(self, timeout: float = 10.0) -> int:
        """Wait until all that was taken is safe; returns how many messages are not after `timeout` seconds."""
        ...

    def close(self) -> None: ...


class Consumer(Protocol):
    """Gives messages in the order of their partition; may be called by one thread."""

    def read(self, limit: int = 500, timeout: float = 1.0) -> list[Message]:
        """Up to `limit` messages, waiting at most `timeout` seconds for the first; the assignment hooks run in here."""
        ...

    def __iter__(self) -> Iterator[Message]:
        """Messages until the joint is closed."""
        ...

    def pause(self, wanted: bool) -> None:
        """Whether `read`, which must go on being called, gives nothing: a slow reader stays a member of its group."""
        ...

    def commit(self, messages: Iterable[Message]) -> None:
        """Note that these messages, and those before them in their partitions, need not be given again."""
        ...

    def close(self) -> None: ...
