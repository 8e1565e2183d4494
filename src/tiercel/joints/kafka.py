"""The joint of a fleet: confluent-kafka, with murmur2 keys, idempotent sends and commits by hand."""

import logging
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import confluent_kafka as ck
from confluent_kafka.admin import AdminClient

from tiercel.errors import KafkaError
from tiercel.joints.base import Done, Message

log = logging.getLogger(__name__)


class MissingTopicError(KafkaError):
    """A topic is not there, or may not be seen."""


class AwayError(KafkaError):
    """No broker answers."""


Assigned = Callable[[set[int]], None]
# A member of a group that was killed, and so did not say goodbye, holds its partitions until this is over.
SESSION_SECONDS = 8
_HEARTBEAT_MS = 2000


def check(client: dict[str, Any], topics: Sequence[str], timeout: float = 10.0) -> dict[str, int]:
    """Partitions of each topic; one clear KafkaError if no broker answers or a topic is missing."""
    found = _metadata(client, timeout).topics
    missing = [topic for topic in topics if topic not in found or found[topic].error]
    if missing:
        raise MissingTopicError(
            f"Kafka at {client.get('bootstrap.servers')} has no topic {', '.join(missing)}, or it may not be read here"
        )
    return {topic: len(found[topic].partitions) for topic in topics}


# What a broker, or its certificate, will say again: to wait does not help.
_REFUSALS = {ck.KafkaError._SSL, ck.KafkaError._AUTHENTICATION}
# With TLS 1.3 a client hears only afterwards, as a broken connection, that its certificate was not taken.
_REFUSED = re.compile(
    r"alert (?:bad|unsupported|revoked|expired|unknown) |alert certificate|alert unknown ca|alert handshake"
)


def _refuses(error: ck.KafkaError) -> bool:
    return error.code() in _REFUSALS or _REFUSED.search(error.str()) is not None


def _metadata(client: dict[str, Any], timeout: float) -> Any:
    """What the brokers say of themselves and their topics; AwayError, or KafkaError with what is wrong."""
    heard: list[ck.KafkaError] = []
    settings: dict[str, Any] = {**client, "log_level": 0, "error_cb": heard.append}
    admin = AdminClient(settings)
    deadline = time.monotonic() + timeout
    while True:
        try:
            return admin.list_topics(timeout=max(0.1, min(2.0, deadline - time.monotonic())))
        except ck.KafkaException as error:
            admin.poll(0)
            brokers = client.get("bootstrap.servers")
            refusal = next((one.str() for one in heard if _refuses(one)), "")
            if refusal:
                raise KafkaError(f"Kafka at {brokers} and this client refuse each other: {_plain(refusal)}") from None
            if time.monotonic() >= deadline:
                raise AwayError(f"no Kafka broker answers at {brokers} ({error.args[0].str()})") from None


def _plain(reason: str) -> str:
    """A reason of librdkafka without its names of threads and places in sources, as one line."""
    return " ".join(re.sub(r"\[thrd:[^\]]*\]: |\S+\.c:\d+: ", "", reason).split())


def topic_id(client: dict[str, Any], topic: str, timeout: float = 10.0) -> str:
    """Kafka's own id of a topic: offsets mean something only together with it, as a topic may be made anew."""
    admin = AdminClient({**client, "log_level": 0})
    try:
        described = admin.describe_topics(ck.TopicCollection([topic]), request_timeout=timeout)[topic].result()
    except ck.KafkaException as error:
        raise KafkaError(f"topic {topic} cannot be described: {error.args[0].str()}") from None
    return f"kafka:{described.topic_id}"


class KafkaProducer:
    """See `base.Producer`; a value of None is a tombstone. Holds at most `max_bytes`; a message waits for its broker as
    long as it takes."""

    def __init__(self, client: dict[str, Any], *, max_bytes: int = 64 << 20, linger_ms: int = 5) -> None:
        self.sent = self.failed = 0
        self._address = client.get("bootstrap.servers")
        self._down, self._refused = False, -60.0
        self._producer = ck.Producer(
            {
                **client,
                "enable.idempotence": True,
                "compression.type": "zstd",
                "partitioner": "murmur2",
                "linger.ms": linger_ms,
                "message.max.bytes": 4 << 20,
                "message.timeout.ms": 0,
                "queue.buffering.max.kbytes": max_bytes >> 10,
                "queue.buffering.max.messages": 100_000,
                "error_cb": self._error,
                "log_level": 0,
            }
        )

    def send(
        self,
        topic: str,
        key: bytes,
        value: bytes | None,
        partition: int | None = None,
        *,
        timeout: float = 0.0,
        done: Done | None = None,
    ) -> bool:
        def delivered(error: ck.KafkaError | None, _message: ck.Message) -> None:
            if error is not None:
                self.failed += 1
                log.error("message refused topic=%s reason=%s", topic, error.str())
            else:
                self.sent += 1
            if done is not None:
                done(error.str() if error is not None else None)

        deadline = time.monotonic() + timeout
        while True:
            try:
                self._producer.produce(
                    topic, key=key, value=value, partition=-1 if partition is None else partition, on_delivery=delivered
                )
            except BufferError:
                left = deadline - time.monotonic()
                self._producer.poll(max(0.0, min(left, 0.1)))
                if left <= 0:
                    return False
            except ck.KafkaException as error:
                kind = MissingTopicError if error.args[0].code() == ck.KafkaError._UNKNOWN_TOPIC else KafkaError
                raise kind(f"message to {topic} refused: {error.args[0].str()}") from None
            else:
                self._producer.poll(0)
                return True

    def poll(self) -> None:
        self._producer.poll(0)

    def flush(self, timeout: float = 10.0) -> int:
        return int(self._producer.flush(timeout))

    def waiting(self) -> int:
        """Messages not yet safe."""
        return len(self._producer)

    def close(self) -> None:
        self._producer.flush(0)

    def _error(self, error: ck.KafkaError) -> None:
        if error.code() == ck.KafkaError._ALL_BROKERS_DOWN and not self._down:
            self._down = True
            log.warning("brokers are away, messages wait brokers=%s", self._address)
        elif _refuses(error) and time.monotonic() - self._refused > 60:
            self._refused = time.monotonic()
            log.error("Kafka refuses, messages wait brokers=%s reason=%s", self._address, _plain(error.str()))
        elif error.fatal():
            log.error("producer is broken reason=%s", error.str())


class KafkaConsumer:
    """See `base.Consumer`. A member of a consumer group; offsets are committed by `commit` alone.

    `assigned` and `revoked` get the partitions that come and go, once each however many topics they belong to.
    """

    def __init__(
        self,
        client: dict[str, Any],
        group: str,
        topics: Sequence[str],
        *,
        assigned: Assigned | None = None,
        revoked: Assigned | None = None,
        latest: bool = False,
        max_poll_seconds: float = 300.0,
    ) -> None:
        """`latest`: a group that is new begins with what comes from now on, not with all that is there.

        Whoever does not `read` for `max_poll_seconds` is taken for dead.
        """
        check(client, topics)
        self._assigned, self._revoked = assigned, revoked
        self._closed = self._paused = False
        # As of a second ago, for any thread: messages that wait, where something was read; partitions of topics.
        self.lags: dict[tuple[str, int], int] = {}
        self.partitions = 0
        self._looked = time.monotonic()
        self._consumer = ck.Consumer(
            {
                **client,
                "group.id": group,
                "enable.auto.commit": False,
                "auto.offset.reset": "latest" if latest else "earliest",
                # A topic's partitions go together: what a sink must know of partition 3 is one thing for all topics.
                "partition.assignment.strategy": "range",
                "isolation.level": "read_committed",
                "session.timeout.ms": SESSION_SECONDS * 1000,
                "heartbeat.interval.ms": _HEARTBEAT_MS,
                "max.poll.interval.ms": int(max_poll_seconds * 1000),
                "fetch.message.max.bytes": 4 << 20,
                "queued.max.messages.kbytes": 32 << 10,
                "fetch.wait.max.ms": 50,
                "log_level": 0,
            }
        )
        self._consumer.subscribe(list(topics), on_assign=self._on_assign, on_revoke=self._on_revoke)

    def read(self, limit: int = 500, timeout: float = 1.0) -> list[Message]:
        # consume(n) would wait for all n; so wait for one, then take what is there.
        first = self._consumer.consume(1, timeout)
        if time.monotonic() - self._looked >= 1.0:
            self._looked = time.monotonic()
            self._look()
        found = first + (self._consumer.consume(limit - 1, 0) if first and limit > 1 else [])
        return [message for raw in found if (message := self._convert(raw)) is not None]

    def __iter__(self) -> Iterator[Message]:
        while not self._closed:
            yield from self.read()

    def pause(self, wanted: bool) -> None:
        """Whether `read`, which must go on being called, gives nothing: a slow reader stays a member of its group."""
        if wanted != self._paused:
            self._paused = wanted
            places = self._consumer.assignment()
            (self._consumer.pause if wanted else self._consumer.resume)(places)

    def commit(self, messages: Iterable[Message]) -> None:
        last: dict[tuple[str, int], int] = {}
        for message in messages:
            place = message.topic, message.partition
            last[place] = max(last.get(place, -1), message.offset)
        offsets = [ck.TopicPartition(topic, part, offset + 1) for (topic, part), offset in last.items()]
        if not offsets:
            return
        try:
            self._consumer.commit(offsets=offsets, asynchronous=False)
        except ck.KafkaException as error:
            # A partition that has moved on is read again by its new owner, who skips what is already there.
            log.warning("offsets not committed reason=%s", error.args[0].str())

    def lag(self) -> int:
        """Messages between what was read and the ends of the partitions, as far as the client knows by itself."""
        self._look()
        return sum(self.lags.values())

    def _look(self) -> None:
        # By the reader's thread: another one would wait for it, however short the call.
        places = self._consumer.assignment()
        found = {}
        for place in self._consumer.position(places):
            _low, high = self._consumer.get_watermark_offsets(place, cached=True)
            if high >= 0 and place.offset >= 0:
                found[place.topic, place.partition] = max(0, high - place.offset)
        self.lags, self.partitions = found, len(places)

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._consumer.close()

    def _convert(self, raw: ck.Message) -> Message | None:
        error = raw.error()
        if error is not None:
            if error.fatal() or error.code() in {
                ck.KafkaError.TOPIC_AUTHORIZATION_FAILED,
                ck.KafkaError._AUTHENTICATION,
            }:
                raise KafkaError(f"reading {raw.topic()} failed: {error.str()}")
            log.warning("read failed topic=%s reason=%s", raw.topic(), error.str())
            return None
        topic, partition, offset = raw.topic(), raw.partition(), raw.offset()
        assert topic is not None and partition is not None and offset is not None
        return Message(topic, partition, offset, raw.key() or b"", raw.value() or b"")

    def _on_assign(self, consumer: ck.Consumer, partitions: list[ck.TopicPartition]) -> None:
        if self._assigned is not None and partitions:
            self._assigned({p.partition for p in partitions})
        if self._paused and partitions:
            consumer.assign(partitions)
            consumer.pause(partitions)

    def _on_revoke(self, _consumer: ck.Consumer, partitions: list[ck.TopicPartition]) -> None:
        if self._revoked is not None and partitions:
            self._revoked({p.partition for p in partitions})


def ends(client: dict[str, Any], topic: str, partitions: Iterable[int], timeout: float = 10.0) -> dict[int, int]:
    """The offset that the next message of each partition will have."""
    return {partition: end for partition, (_, end) in bounds(client, topic, partitions, timeout).items()}


def bounds(
    client: dict[str, Any], topic: str, partitions: Iterable[int], timeout: float = 10.0
) -> dict[int, tuple[int, int]]:
    """The offset of the oldest message that each partition still has, and that which its next one will have."""
    consumer = ck.Consumer({**client, "group.id": "tiercel-ends", "log_level": 0})
    try:
        return {p: consumer.get_watermark_offsets(ck.TopicPartition(topic, p), timeout=timeout) for p in partitions}
    except ck.KafkaException as error:
        log.warning("ends of a topic not known topic=%s reason=%s", topic, error.args[0].str())
        return {}
    finally:
        consumer.close()


def committed(client: dict[str, Any], group: str, topic: str) -> dict[int, int]:
    """The offset at which the group goes on in each partition where it has been; KafkaError."""
    return {part: offset for part, offset in _committed(client, group, [topic])[topic].items() if offset >= 0}


def begin_now(client: dict[str, Any], group: str, topic: str) -> None:
    """Have a group that is new begin with what comes from now on, a crash before its first commit included."""
    new = [part for part, offset in _committed(client, group, [topic])[topic].items() if offset < 0]
    places = [ck.TopicPartition(topic, part, end) for part, end in ends(client, topic, new).items()]
    if not places:
        return
    consumer = _outsider(client, group)
    try:
        _patiently(lambda: consumer.commit(offsets=places, asynchronous=False))
    except ck.KafkaException as error:
        raise KafkaError(f"the group {group} cannot begin at the end of {topic}: {error.args[0].str()}") from None
    finally:
        consumer.close()


def _committed(client: dict[str, Any], group: str, topics: Sequence[str]) -> dict[str, dict[int, int]]:
    """Topic → partition → committed offset, negative where there is none."""
    places = [ck.TopicPartition(topic, part) for topic, count in check(client, topics).items() for part in range(count)]
    consumer = _outsider(client, group)
    try:
        answer = _patiently(lambda: consumer.committed(places, timeout=10.0))
    except ck.KafkaException as error:
        raise KafkaError(f"offsets of the group {group} are not known: {error.args[0].str()}") from None
    finally:
        consumer.close()
    found: dict[str, dict[int, int]] = {topic: {} for topic in topics}
    for place in answer:
        if place.error is not None:
            raise KafkaError(f"offsets of the group {group} are not known: {place.error.str()}")
        found[place.topic][place.partition] = place.offset
    return found


_NO_COORDINATOR = {
    ck.KafkaError.NOT_COORDINATOR,
    ck.KafkaError.COORDINATOR_NOT_AVAILABLE,
    ck.KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
}
_T = TypeVar("_T")


def _patiently(ask: Callable[[], _T], timeout: float = 20.0) -> _T:
    """Ask again while the group's coordinator is being found, as it is for the first group of a new broker."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            return ask()
        except ck.KafkaException as error:
            if error.args[0].code() not in _NO_COORDINATOR or time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def _outsider(client: dict[str, Any], group: str) -> ck.Consumer:
    """Asks about a group without being a member of it.

    No AdminClient: while a broker is still looking for the coordinator, its list_consumer_group_offsets ends the
    process with a segmentation fault (librdkafka 2.16.1).
    """
    return ck.Consumer({**client, "group.id": group, "enable.auto.commit": False, "log_level": 0})


def behind(client: dict[str, Any], group: str, topics: Sequence[str]) -> int:
    """Messages of these topics that the group has not committed."""
    total = 0
    for topic, done in _committed(client, group, topics).items():
        last = ends(client, topic, done)
        total += sum(max(0, last.get(part, 0) - max(0, offset)) for part, offset in done.items())
    return total
