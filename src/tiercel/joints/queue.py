"""The joint of one process: bounded queues that carry the same bytes as Kafka would. Threads on both sides."""

import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence

from tiercel.joints.base import Done, Message


class Queue:
    """All topics of one process, a single partition each. Consumers see what is sent after they were made.

    `first_offset` numbers the first message of each topic: a store that outlives the process wants numbers that go on.
    """

    def __init__(self, *, max_messages: int = 1024, max_bytes: int = 64 << 20, first_offset: int = 0) -> None:
        self.max_messages = max_messages
        self.max_bytes = max_bytes
        self._changed = threading.Condition()
        self._consumers: list[QueueConsumer] = []
        self._next: dict[str, int] = {}
        self._first_offset = first_offset
        self._closed = False

    def producer(self) -> "QueueProducer":
        return QueueProducer(self)

    def consumer(self, topics: Sequence[str], *, lossy: bool = False) -> "QueueConsumer":
        """A reader of these topics; a `lossy` one loses its oldest messages rather than hold up the producer."""
        with self._changed:
            consumer = QueueConsumer(self, topics, lossy)
            self._consumers.append(consumer)
            return consumer

    def close(self) -> None:
        """No more will be sent: iteration ends once what is there has been read."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class QueueProducer:
    """See `base.Producer`. A message is safe as soon as it lies in the queue."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue

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
        queue = self._queue
        with queue._changed:
            readers = [c for c in queue._consumers if topic in c.topics]
            if not queue._changed.wait_for(lambda: all(c._has_room(len(value)) for c in readers), timeout):
                return False
            offset = queue._next.setdefault(topic, queue._first_offset)
            queue._next[topic] = offset + 1
            for reader in readers:
                reader._put(Message(topic, 0, offset, key, value))
            queue._changed.notify_all()
        if done is not None:
            done(None)
        return True

    def poll(self) -> None:
        """Nothing is ever under way."""

    def flush(self, timeout: float = 10.0) -> int:
        return 0

    def close(self) -> None:
        """The queue outlives its producers; `Queue.close` ends it."""


class QueueConsumer:
    """See `base.Consumer`. What was given is gone: there is nothing to commit."""

    def __init__(self, queue: Queue, topics: Sequence[str], lossy: bool) -> None:
        self.topics = frozenset(topics)
        self.dropped = 0
        self._queue = queue
        self._lossy = lossy
        self._messages: deque[Message] = deque()
        self._bytes = 0
        self._paused = False

    def pause(self, wanted: bool) -> None:
        """What comes waits, and then whoever sends it."""
        self._paused = wanted

    def read(self, limit: int = 500, timeout: float = 1.0) -> list[Message]:
        with self._queue._changed:
            self._queue._changed.wait_for(lambda: (self._messages and not self._paused) or self._queue._closed, timeout)
            if self._paused:
                return []
            taken = [self._messages.popleft() for _ in range(min(limit, len(self._messages)))]
            self._bytes -= sum(len(m.value) for m in taken)
            self._queue._changed.notify_all()
            return taken

    def __iter__(self) -> Iterator[Message]:
        while True:
            messages = self.read(1)
            yield from messages
            if not messages and self._queue._closed:
                return

    def commit(self, messages: Iterable[Message]) -> None:
        """Nothing to note."""

    def waiting(self) -> int:
        """Messages that lie here."""
        return len(self._messages)

    def close(self) -> None:
        with self._queue._changed:
            if self in self._queue._consumers:
                self._queue._consumers.remove(self)
            self._queue._changed.notify_all()

    def _has_room(self, size: int) -> bool:
        # A single message larger than the limit still passes through an empty queue.
        fits = len(self._messages) < self._queue.max_messages and self._bytes + size <= self._queue.max_bytes
        return fits or self._lossy or not self._messages

    def _put(self, message: Message) -> None:
        self._messages.append(message)
        self._bytes += len(message.value)
        while self._lossy and (len(self._messages) > self._queue.max_messages or self._bytes > self._queue.max_bytes):
            self._bytes -= len(self._messages.popleft().value)
            self.dropped += 1


def drained(consumers: Iterable[QueueConsumer], timeout: float) -> bool:
    """Wait until nothing lies in these consumers' queues."""
    deadline = time.monotonic() + timeout
    waiting = list(consumers)
    while any(c.waiting() for c in waiting):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True
