"""The compacted topic tiercel.rules: read to its end and followed, in a thread of its own, and written.

Keys: `set/VERSION` → the content of a rule set; `current` → which is wanted; `partition/TOPIC/N` → what counts from
which raw offset on (`rollout`). All of it is hostile: what makes no sense is one logged error, and changes nothing.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import confluent_kafka as ck

from tiercel.errors import KafkaError
from tiercel.processors import rollout
from tiercel.processors.rollout import VERSION, Entry, Rollout
from tiercel.rules import sets
from tiercel.rules.sets import CompiledSet, RefusedError
from tiercel.schemas import topics

log = logging.getLogger(__name__)

T = TypeVar("T")

CURRENT = b"current"
MAX_PACKED = 3_900_000
"""Of a set's content: the topic takes messages of 4 MiB."""
MAX_KNOWN = 10_000
HELD = 4
"""Contents and compiled sets that are kept; others are read again when somebody needs them."""


class RulesTopic:
    """From construction on, when the topic has been read to its end, until `close`.

    `raw_id` is the id of the raw topic whose partitions are meant: offsets of one that was made anew are others.
    """

    def __init__(self, client: dict[str, Any], raw_id: str, timeout: float = 30.0) -> None:
        self.current: str | None = None
        self.shipped = False
        self.told = 0
        """How often somebody said what is current, or what is in it."""
        self.rollout = Rollout()
        self._raw_id = raw_id
        self._follower: Callable[[], None] = lambda: None
        # Versions whose content is on the topic, and whether they were current once.
        self._known: OrderedDict[str, bool] = OrderedDict()
        self._contents = _Held[bytes]()
        self._compiled = _Held[CompiledSet]()
        self._client = client
        self._consumer = self._reader()
        self._producer = ck.Producer(
            {**client, "enable.idempotence": True, "message.max.bytes": 4 << 20, "linger.ms": 0, "log_level": 0}
        )
        self._reading = threading.Lock()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="rules topic", daemon=True)
        self.catch_up(timeout)

    def follow(self, then: Callable[[], None]) -> None:
        """Go on reading in a thread of its own, which calls `then` after whatever it has read."""
        self._follower = then
        self._thread.start()

    def close(self) -> None:
        self._stopped.set()
        if self._thread.ident is not None:
            self._thread.join(5)
        self._producer.flush(5)
        self._consumer.close()

    # Reading

    def _reader(self) -> ck.Consumer:
        consumer = ck.Consumer(
            {
                **self._client,
                "group.id": "tiercel-rules",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "fetch.message.max.bytes": 4 << 20,
                "log_level": 0,
            }
        )
        consumer.assign([ck.TopicPartition(topics.RULES, 0, ck.OFFSET_BEGINNING)])
        return consumer

    def catch_up(self, timeout: float = 30.0) -> None:
        """Read what the topic holds at this moment. KafkaError if that does not work."""
        with self._reading:
            _read_to_end(self._consumer, self._apply, timeout)

    def _follow(self) -> None:
        while not self._stopped.is_set():
            try:
                with self._reading:
                    messages = self._consumer.consume(100, 0.1)
                    for message in messages:
                        _take(message, self._apply)
                if messages:
                    self._heal()
                    self._follower()
            except Exception:
                # Nothing that is written there may end this thread: rules would stay as they are without a word.
                log.exception("the rules topic could not be followed")
                self._stopped.wait(1)
            # Without this pause others that wait for the lock might never have it.
            time.sleep(0.05)

    def _apply(self, key: bytes, value: bytes | None) -> None:
        kind, _, rest = key.partition(b"/")
        try:
            if kind == b"set":
                self._apply_set(rest.decode(), value)
            elif key == CURRENT:
                self._apply_current(value)
            elif kind == b"partition":
                self._apply_partition(rest.decode(), value)
            else:
                raise ValueError("the key is unknown")
        except ValueError as error:
            log.error("a message of %s is no use: %s key=%s", topics.RULES, error, key[:100].decode(errors="replace"))

    def _apply_set(self, version: str, value: bytes | None) -> None:
        if not VERSION.fullmatch(version):
            raise ValueError("its version is none")
        if value is None:
            self._known.pop(version, None)
            self._contents.drop(version)
            return
        if len(value) > MAX_PACKED:
            raise ValueError(f"it has more than {MAX_PACKED} bytes")
        self._known.setdefault(version, version == self.current or version in self.rollout.versions())
        while len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)
        self._contents.put(version, value)
        self.told += version == self.current

    def _apply_current(self, value: bytes | None) -> None:
        try:
            content = json.loads(value or b"")
        except RecursionError as error:
            raise ValueError("it is nested too deeply") from error
        version = content.get("version") if isinstance(content, dict) else None
        if not isinstance(version, str) or not VERSION.fullmatch(version):
            raise ValueError("it names no version")
        self.current, self.shipped, self.told = version, content.get("shipped") is True, self.told + 1
        if version in self._known:
            self._known[version] = True

    def _apply_partition(self, name: str, value: bytes | None) -> None:
        raw_id, _, number = name.rpartition("/")
        if raw_id != self._raw_id or value is None:
            return
        if not (number.isascii() and number.isdigit() and len(number) < 9):
            raise ValueError("its partition is no number")
        entries = rollout.unpack(value)
        known = self.rollout.entries.get(int(number), ())
        # Ours may be newer than what comes back, and what is recorded is never taken back.
        if not known or entries[-1][0] >= known[-1][0]:
            self.rollout.entries[int(number)] = entries
            for _, version in entries:
                # It has been current, though compaction may have taken the message that said so.
                if version in self._known:
                    self._known[version] = True

    # Contents

    def compiled(self, version: str) -> CompiledSet:
        """The set of a version, from memory or from the topic. RefusedError has all that is wrong with it."""
        known = self._compiled.get(version)
        if known is not None:
            return known
        content = self._contents.get(version) or self._find(version)
        if content is None:
            raise RefusedError([f"the content of rule set {version[:12]} is not on {topics.RULES}"])
        files = sets.unpack(content)
        if files.version != version:
            raise RefusedError([f"rule set {version[:12]} on {topics.RULES} is another: {files.version[:12]}"])
        made = sets.compiled(files)
        self.keep(made)
        return made

    def keep(self, made: CompiledSet) -> None:
        """Know a set without compiling it."""
        self._compiled.put(made.version, made)

    def in_use(self) -> CompiledSet | None:
        """The newest set that some partition has got: what goes on while the current one is refused."""
        used = {entries[-1][1] for entries in self.rollout.entries.values()}
        for version in [version for version in reversed(self._known) if version in used]:
            try:
                return self.compiled(version)
            except RefusedError as refused:
                log.error("recorded rules cannot be used: %s version=%s", refused, version[:12])
        return None

    def _find(self, version: str) -> bytes | None:
        found: list[bytes | None] = []
        wanted = b"set/" + version.encode()
        reader = self._reader()
        try:
            _read_to_end(reader, lambda key, value: found.append(value) if key == wanted else None, 30.0)
        finally:
            reader.close()
        last = found[-1] if found else None
        return last if last is not None and len(last) <= MAX_PACKED else None

    # Writing

    def publish(self, made: CompiledSet) -> None:
        """Let a set be the current one. RefusedError if it is too large, KafkaError if it cannot be written."""
        content = made.files.pack()
        if len(content) > MAX_PACKED:
            raise RefusedError([f"the rule files have {len(content)} bytes packed; Kafka takes {MAX_PACKED}"])
        current = json.dumps({"version": made.version, "shipped": made.files.shipped}).encode()
        self.keep(made)
        self._write([(b"set/" + made.version.encode(), content), (CURRENT, current)])

    def record(self, partition: int, entries: tuple[Entry, ...]) -> None:
        """Write down what counts on a partition; when this returns it is safe. Sets that nobody needs any more go."""
        key = f"partition/{self._raw_id}/{partition}".encode()
        self._write([(key, rollout.pack(entries))])
        self.rollout.entries[partition] = entries
        needed = self.rollout.versions() | {self.current}
        gone = [version for version, used in list(self._known.items()) if used and version not in needed]
        if gone:
            self._write([(b"set/" + version.encode(), None) for version in gone])
            log.info("rule sets that nobody uses are gone versions=%s", ",".join(version[:12] for version in gone))

    def _heal(self) -> None:
        """Put back the content of a set that is needed: whoever took it away did not know yet."""
        for version in (self.rollout.versions() | {self.current or ""}) - set(self._known):
            made = self._compiled.get(version)
            if made is not None:
                self._known[version] = True
                self._write([(b"set/" + version.encode(), made.files.pack())])

    def _write(self, rows: list[tuple[bytes, bytes | None]], timeout: float = 30.0) -> None:
        failed: list[str] = []

        def delivered(error: ck.KafkaError | None, _message: ck.Message) -> None:
            if error is not None:
                failed.append(error.str())

        try:
            for key, value in rows:
                self._producer.produce(topics.RULES, key=key, value=value, partition=0, on_delivery=delivered)
        except (BufferError, ck.KafkaException) as error:
            raise KafkaError(f"{topics.RULES} cannot be written: {error}") from None
        if self._producer.flush(timeout) or failed:
            raise KafkaError(f"{topics.RULES} cannot be written: {failed[0] if failed else 'no answer'}")


Take = Callable[[bytes, bytes | None], None]


def _take(message: ck.Message, take: Take) -> int:
    """Hand a message on; of one that only says that the end is reached, where that is, else -1."""
    error = message.error()
    if error is None:
        take(message.key() or b"", message.value())
    elif error.code() == ck.KafkaError._PARTITION_EOF:
        return message.offset() or 0
    elif error.fatal() or error.code() == ck.KafkaError.TOPIC_AUTHORIZATION_FAILED:
        raise KafkaError(f"reading {topics.RULES} failed: {error.str()}")
    return -1


def _read_to_end(consumer: ck.Consumer, take: Take, timeout: float) -> None:
    """All up to what is there now; KafkaError when time is up."""
    place = ck.TopicPartition(topics.RULES, 0)
    deadline = time.monotonic() + timeout
    try:
        oldest, end = bounds_of(consumer, place, deadline)
        # The position is unknown until something was read, and that nothing is there is told only once.
        while oldest < end and consumer.position([place])[0].offset < end:
            if time.monotonic() > deadline:
                raise KafkaError(f"{topics.RULES} could not be read to its end in {timeout:.0f} s")
            ends = [_take(message, take) for message in consumer.consume(100, 0.2)]
            if max(ends, default=-1) >= end:
                return
    except ck.KafkaException as error:
        raise KafkaError(f"reading {topics.RULES} failed: {error.args[0].str()}") from None


def bounds_of(consumer: ck.Consumer, place: ck.TopicPartition, deadline: float) -> tuple[int, int]:
    """Offset of the first message, and that behind the last. A topic made a moment ago is not known to every broker."""
    while True:
        try:
            oldest, end = consumer.get_watermark_offsets(place, timeout=max(0.1, deadline - time.monotonic()))
            return int(oldest), int(end)
        except ck.KafkaException as error:
            if error.args[0].code() not in _NOT_YET or time.monotonic() > deadline:
                raise
        time.sleep(0.2)


_NOT_YET = {
    ck.KafkaError._UNKNOWN_PARTITION,
    ck.KafkaError._UNKNOWN_TOPIC,
    ck.KafkaError.UNKNOWN_TOPIC_OR_PART,
    ck.KafkaError.LEADER_NOT_AVAILABLE,
    ck.KafkaError.NOT_LEADER_FOR_PARTITION,
}


class _Held(Generic[T]):
    """The last few by version, for several threads."""

    def __init__(self) -> None:
        self._items: OrderedDict[str, T] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, version: str) -> T | None:
        with self._lock:
            if version in self._items:
                self._items.move_to_end(version)
            return self._items.get(version)

    def put(self, version: str, item: T) -> None:
        with self._lock:
            self._items[version] = item
            self._items.move_to_end(version)
            while len(self._items) > HELD:
                self._items.popitem(last=False)

    def drop(self, version: str) -> None:
        with self._lock:
            self._items.pop(version, None)
