"""The topic of alerts to sinks: each sink reads it as a consumer group of its own, so that Kafka is its queue.

A sink that is slow or away delays and costs no other one, loses nothing that the topic still has, and goes on where
it was. Offsets are committed for alerts that were delivered, refused or dropped: after a crash the others come again.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Mapping
from typing import Any

from tiercel.errors import KafkaError, RegistryAwayError, SchemaError
from tiercel.joints import kafka as joint
from tiercel.joints.base import Message
from tiercel.schemas import topics
from tiercel.sinks.alerts.base import Alert
from tiercel.sinks.alerts.lane import Lane

log = logging.getLogger(__name__)

_COMMIT_S = 0.5
_AT_ONCE = 32
_REGISTRY_S = 1.0
_REMEMBERED = 100_000


def group_of(sink: str) -> str:
    """The consumer group of a sink."""
    return f"tiercel-forward-{sink}"


class Forward:
    """One lane fed from Kafka. Runs from construction until `close`; `ended` is set if it ends by itself."""

    def __init__(
        self,
        lane: Lane,
        client: dict[str, Any],
        ended: threading.Event,
        *,
        writers: Mapping[int, str] | None = None,
        from_now: bool = False,
    ) -> None:
        self.lane = lane
        self.error: BaseException | None = None
        self.repeats = self.unreadable = self.left = 0
        self._client, self._writers, self._ended = client, writers, ended
        self._group = group_of(lane.name)
        self._stop = threading.Event()
        self._deadline = 0.0
        self._assigned = False
        # Why alerts wait, and until when (monotonic).
        self._waits: str | None = None
        self._ask_again = 0.0
        self._seen: dict[str, None] = {}
        self._next: dict[int, int] = {}
        self._settled: dict[int, Message] = {}
        self._lock = threading.Lock()
        if from_now:
            joint.begin_now(client, self._group, topics.ALERTS)
        self._consumer = joint.KafkaConsumer(
            client, self._group, [topics.ALERTS], assigned=self._assign, revoked=self._revoke
        )
        self._thread = threading.Thread(target=self._run, name=f"forward-{lane.name}", daemon=True)
        self._thread.start()

    def stop(self, deadline: float) -> None:
        """Read no more, and deliver what was read until `deadline` (monotonic)."""
        self._deadline = deadline
        self._stop.set()
        self.lane.finish(deadline)

    def close(self, deadline: float) -> None:
        """`stop`, wait for that and commit; what is left comes again at the next start."""
        self.stop(deadline)
        # Committing and leaving the group take a moment, too.
        self._thread.join(max(0.0, deadline - time.monotonic()) + 3.0)

    def over(self) -> bool:
        """Whether it has ended."""
        return not self._thread.is_alive() or self.error is not None or self.lane.gone.is_set()

    def lag(self) -> int:
        """Alerts that wait in Kafka, as of a second ago. From any thread."""
        return sum(self._consumer.lags.values())

    def unready(self) -> str | None:
        """Why nothing is forwarded; None if all is well."""
        if self.over():
            return f"forwarding to {self.lane.name} has ended"
        return self._waits if self._assigned else f"forwarding to {self.lane.name}: no partitions were assigned yet"

    def report(self) -> str:
        """What became of the alerts, on a line."""
        extra = {"repeats left out": self.repeats, "not readable": self.unreadable, "left for the next": self.left}
        return ", ".join([self.lane.tally.text(), *(f"{count:,} {what}" for what, count in extra.items() if count)])

    def _run(self) -> None:
        try:
            self._feed()
            self._end()
        except BaseException as error:
            self.error = error
            self.left = self.lane.close(0.0, keep=True)
        self._ended.set()

    def _feed(self) -> None:
        lane, consumer = self.lane, self._consumer
        committed = time.monotonic()
        waiting: deque[Message] = deque()
        while not self._stop.is_set() and not lane.gone.is_set():
            room = lane.room()
            consumer.pause(not room or bool(waiting))
            waiting += consumer.read(max(1, min(room, _AT_ONCE)), 0.1)
            self._take_all(waiting)
            if time.monotonic() - committed >= _COMMIT_S:
                committed = time.monotonic()
                self._commit()

    def _end(self) -> None:
        self.left = self.lane.close(self._deadline, keep=True)
        self._commit()
        self._consumer.close()

    def _take_all(self, waiting: deque[Message]) -> None:
        """Take them in order, as far as their schemas are known; the others wait for the registry, and stay here."""
        if time.monotonic() < self._ask_again:
            return
        while waiting:
            try:
                self._take(waiting[0])
            except RegistryAwayError as error:
                self._ask_again = time.monotonic() + _REGISTRY_S
                if self._waits is None:
                    log.error("%s; alerts whose schema it must tell wait sink=%s", error, self.lane.name)
                self._waits = str(error)
                return
            waiting.popleft()
            self._waits = None

    def _take(self, message: Message) -> None:
        partition, offset = message.partition, message.offset
        alert, reason = self._read(message)
        expected = self._next.get(partition)
        if expected is not None and offset > expected:
            # Older than the topic keeps: this sink was away for too long.
            self.lane.lose(offset - expected, "expired")
        self._next[partition] = offset + 1

        def settled() -> None:
            with self._lock:
                self._settled[partition] = message

        if alert is None:
            self.unreadable += 1
            log.warning("alert not readable place=%s/%d/%d reason=%s", *message[:3], reason)
            self.lane.pass_by(settled)
            return
        if alert.id in self._seen:
            self.repeats += 1
            self.lane.pass_by(settled)
            return
        self._seen[alert.id] = None
        if len(self._seen) > _REMEMBERED:
            del self._seen[next(iter(self._seen))]
        self.lane.offer(alert, settled, bounded=False)

    def _read(self, message: Message) -> tuple[Alert | None, str]:
        try:
            return Alert.of(message.value, self._writers), ""
        except SchemaError as error:
            return None, str(error)

    def _commit(self) -> None:
        with self._lock:
            messages, self._settled = list(self._settled.values()), {}
        self._consumer.commit(messages)

    def _assign(self, partitions: set[int]) -> None:
        """These are read from now on, each where the group left off: what is gone by then is missed."""
        try:
            self._next = joint.committed(self._client, self._group, topics.ALERTS)
        except KafkaError as error:
            self._next = {}
            log.warning("cannot tell whether alerts expired sink=%s reason=%s", self.lane.name, error)
        self._assigned = True
        log.info("partitions assigned sink=%s partitions=%s", self.lane.name, ",".join(map(str, sorted(partitions))))

    def _revoke(self, _partitions: set[int]) -> None:
        """The next owner need not repeat what is settled."""
        self._commit()
