"""What a worker does with a message: enrich and match it. No Kafka in here; `app` and `tiercel up` both drive it."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tiercel._engine import Batch, Host, RuleSet, decode_raw, encode_raw, header_of
from tiercel.errors import SchemaError
from tiercel.joints.base import Consumer, Message, Producer
from tiercel.latency import Latency
from tiercel.processors.known import Known, Partition
from tiercel.processors.sequence import Run, digest, given_up
from tiercel.processors.snapshot import MAX_HOST_ID, Snapshot, SnapshotError
from tiercel.schemas import avro, topics

log = logging.getLogger(__name__)

_SILENCE_S = 60.0
# Names by which alerts are counted: rule sets come and go.
_MAX_RULES = 1000


@dataclass(frozen=True)
class Output:
    """One message to send, to the partition that its input came from or is kept on."""

    topic: str
    key: bytes
    value: bytes
    partition: int


@dataclass
class Counters:
    """What a worker has done so far."""

    batches: int = 0
    events: int = 0
    alerts: int = 0
    quarantined: int = 0
    forgotten_hosts: int = 0
    evicted: int = 0
    skipped: int = 0
    """Messages that a restored state stands for already."""
    repeats: int = 0
    """Batches that came twice; each gave an enriched batch without events."""
    gaps: int = 0
    missing: int = 0
    """Kernel events in those gaps, told to the ledger."""
    late: int = 0
    """Batches with numbers that had been counted as missing."""
    twins: int = 0
    """Hosts of whom two runs send at the same time: their host id is not theirs alone."""
    restored: int = 0
    lost_states: int = 0
    """Hosts that went on without what was known of them."""
    rejected: dict[str, int] = field(default_factory=dict)
    rules: Counter[str] = field(default_factory=Counter)  # Alerts by rule.
    latency: Latency = field(default_factory=Latency)  # Of batches, from their first event on.


class Worker:
    """The state of all hosts of its partitions, at most `max_hosts` each: the one longest unheard is forgotten.

    What is known of a host is that of all its messages up to one offset (`Known.offset`); those up to there are
    skipped when they come again.
    """

    def __init__(
        self,
        rules: RuleSet | None,
        *,
        max_hosts: int = 4096,
        numbered: bool = True,
        limits: Mapping[str, int] | None = None,
        schema_ids: Mapping[str, int] | None = None,
        writers: Mapping[int, str] | None = None,
    ) -> None:
        """`limits` are those of each host, as `config.Worker.limits` has them.

        `numbered`: the numbers of batches are a collector's, and looked at; those of a capture are not.

        `rules` are those of every partition for which `use` names no others. `schema_ids` and `writers` (other
        versions' schemas) come from a registry, if there is one.
        """
        self.counters = Counters()
        self.touched: set[bytes] = set()
        """Hosts of whom the last message has changed what is known."""
        self._rules = rules
        self._rules_of: dict[int, RuleSet | None] = {}
        self._schema_ids = schema_ids or {}
        self._writers = writers
        self._max_hosts, self._numbered = max_hosts, numbered
        self._limits = dict(limits or {})
        self._warned = -_SILENCE_S
        self._sizes: dict[int, dict[str, int]] = {}
        self._partitions: dict[int, Partition] = {}

    def aside(self) -> Worker:
        """One with the same settings that knows nothing: what it comes to know, `take_over` brings here."""
        return Worker(
            None,
            max_hosts=self._max_hosts,
            numbered=self._numbered,
            limits=self._limits,
            schema_ids=self._schema_ids,
            writers=self._writers,
        )

    def take_over(self, other: Worker, partition: int) -> None:
        """What another knows of a partition is known here."""
        self._partitions[partition] = other._partitions.pop(partition)
        self.counters.restored += self._partitions[partition].live

    def handle(self, partition: int, offset: int, key: bytes, message: bytes) -> list[Output]:
        """The messages that follow from this one: an enriched batch and its alerts, or an entry in the quarantine.

        None if what is known of the host includes it.
        """
        self.touched = set()
        here = self._partitions.setdefault(partition, Partition(self._max_hosts))
        if here.is_past(key, offset):
            self.counters.skipped += 1
            return []
        try:
            body = avro.body_of("raw_batch", message, self._writers)
            header = header_of(body)
            sender = str(header["host_id"]).encode()
            if key and key != sender:
                # One forged id would otherwise feed another host's state.
                raise SchemaError(f"the key is not the batch's host id {sender.decode()}")
            if not 0 < len(sender) <= MAX_HOST_ID:
                raise SchemaError(f"a host id has 1 to {MAX_HOST_ID} bytes")
            if not key and here.is_past(sender, offset):
                self.counters.skipped += 1
                return []
            outputs = self._take(here, (partition, offset, sender), header, body)
        except (ValueError, SchemaError) as error:
            return self._quarantine(partition, offset, key, message, str(error))
        known = here.touch(sender)
        known.offset, known.pending = offset, 0
        self.touched.add(sender)
        return outputs + self._forget(here, partition, offset)

    def _take(self, here: Partition, at: tuple[int, int, bytes], header: dict[str, Any], body: bytes) -> list[Output]:
        """A batch, by what its numbers are beside those that were seen. ValueError: for the quarantine."""
        partition, offset, sender = at
        known, first = here.known(sender), header["first_seq"]
        run = known.find(header["boot_id"], header["run"])
        new = run is None
        if run is None:
            adopted = not known.lives and here.adopts(sender)
            run = Run(header["boot_id"], header["run"], first if adopted and first > header["run"] else header["run"])
        missing = 0
        if self._numbered and (first != run.next or run.empty):
            checked, batch = decode_raw(body)
            place = run.place(first, len(batch))
            if place == "repeat" or (place == "next" and not len(batch) and digest(body) in run.empty):
                self.counters.repeats += 1
                return [self._blank(partition, offset, sender, checked)]
            if place == "gap":
                told = 0 if len(batch) else given_up(checked["lost"])
                missing = run.missing(first, header["delivered"], batch.kernel_events, told)
                body = self._with_loss(checked, batch, missing, "quarantine" if known.pending else "missing")
            elif place == "late":
                self.counters.late += 1
                log.warning("numbers counted as missing came later host=%s first=%d", sender.decode(), first)
        previous = known.current
        returns = not new and run is not previous
        host = known.host_for(run, new=new, make=lambda: Host(**self._limits))
        outcome = host.process(body, self._rules_for(partition), partition=partition, offset=offset)
        # From here on nothing refuses the batch.
        outputs = self._enter(known, run, host, (partition, sender), returns=returns)
        run.take(first, outcome.count, header["delivered"])
        if not outcome.count:
            run.take_empty(body)
        if missing:
            self.counters.gaps += 1
            self.counters.missing += missing
            log.warning("events are missing host=%s events=%d before=%d", sender.decode(), missing, first)
        here.add(sender, known)
        self.counters.batches += 1
        self.counters.events += outcome.events
        self.counters.latency.add(time.time() - int(header["time"]) / 1e9)
        self._count(outcome.alerts)
        if outcome.evicted:
            self._full(sender, outcome.evicted)
        outputs.append(self._output(topics.EVENTS, "event_batch", partition, sender, outcome.enriched))
        outputs += [self._output(topics.ALERTS, "alert", partition, sender, alert) for alert in outcome.alerts]
        return outputs

    def _enter(self, known: Known, run: Run, host: Host, at: tuple[int, bytes], *, returns: bool) -> list[Output]:
        """This run is the current one; the last words of one that had to go for it."""
        partition, sender = at
        if returns:
            known.twins += 1
            if known.twins == 1:
                self.counters.twins += 1
                log.warning(
                    "two collectors send with one host id, each is followed by itself: give each its own "
                    "(collector.host_id, /etc/machine-id) host=%s",
                    sender.decode(),
                )
        gone = known.enter(run, host)
        return [] if gone is None else self._last_words(partition, sender, gone)

    @staticmethod
    def _with_loss(header: dict[str, Any], batch: Batch, count: int, reason: str) -> bytes:
        if count:
            stage = "worker" if reason == "quarantine" else "broker"
            header = {**header, "lost": [*header["lost"], (stage, reason, count)]}
        return encode_raw(batch, 0, len(batch), header)

    def _blank(self, partition: int, offset: int, sender: bytes, header: dict[str, Any]) -> Output:
        """The enriched batch of one that was there before: no events, no losses, no change."""
        body = encode_raw(Batch(), 0, 0, {**header, "lost": [], "shed": []})
        outcome = Host().process(body, self._rules_for(partition), partition=partition, offset=offset)
        return self._output(topics.EVENTS, "event_batch", partition, sender, outcome.enriched)

    def _rules_for(self, partition: int) -> RuleSet | None:
        return self._rules_of.get(partition, self._rules) if self._rules_of else self._rules

    def _count(self, alerts: list[bytes]) -> None:
        self.counters.alerts += len(alerts)
        rules = self.counters.rules
        for alert in alerts:
            name = rule_of(alert)
            rules[name if name in rules or len(rules) < _MAX_RULES else "other"] += 1

    def sizes(self) -> dict[str, int]:
        """Sums over all hosts of the sizes of their states, and their number as `hosts`. From any thread.

        A host that is being worked on is told as it was the last time.
        """
        total = Counter(hosts=self.hosts())
        known: dict[int, dict[str, int]] = {}
        for host in self._states():
            try:
                known[id(host)] = host.counters
            except RuntimeError:  # borrowed by the worker's thread
                known[id(host)] = self._sizes.get(id(host), {})
            total.update(known[id(host)])
        self._sizes = known
        return total

    def _states(self) -> list[Host]:
        """Those of all hosts, whatever another thread does meanwhile."""
        while True:
            try:
                places = [known for here in list(self._partitions.values()) for _, known in here.hosts()]
                return [host for known in places for host in known.states()]
            except RuntimeError:  # a table changed while it was copied
                continue

    def use(self, rules: RuleSet | None, partition: int | None = None) -> None:
        """From the next message on, of this partition or of all, these rules count; hosts keep their state."""
        if partition is None:
            self._rules, self._rules_of = rules, {}
        else:
            self._rules_of[partition] = rules

    def _full(self, sender: bytes, evicted: int) -> None:
        self.counters.evicted += evicted
        now = time.monotonic()
        if now - self._warned >= _SILENCE_S:
            self._warned = now
            log.warning(
                "a host has more than worker.max_threads, max_fds, … allow: the least valuable went host=%s evicted=%d",
                sender.decode(),
                self.counters.evicted,
            )

    def _output(self, topic: str, schema: str, partition: int, key: bytes, body: bytes) -> Output:
        return Output(topic, key, avro.frame(schema, body, self._schema_ids.get(schema)), partition)

    def begin(self, partition: int, *, middle: bool = False) -> None:
        """A partition is ours, and nothing is known of its hosts.

        `middle`: it is not read from its beginning, so the first batch of a host need not be the first of its run.
        """
        self._partitions[partition] = Partition(self._max_hosts, middle=middle)

    def drop(self, partitions: set[int]) -> None:
        """Forget the hosts of partitions that are no longer ours: when one comes back, its state would be old.

        Whoever has them next goes on with all that was counted for them.
        """
        for partition in partitions:
            self._partitions.pop(partition, None)
            self._rules_of.pop(partition, None)

    def finish(self) -> list[Output]:
        """Nothing more comes, and nobody goes on: what throttled rules have counted and not told yet."""
        outputs = [
            output
            for partition, here in self._partitions.items()
            for host_id, known in here.hosts()
            for host in known.states()
            for output in self._last_words(partition, host_id, host)
        ]
        self.drop(set(self._partitions))
        return outputs

    def snapshot(self, partition: int, host_id: bytes, since: int) -> Snapshot | None:
        """What is known of a host now, to be restored later; None if nothing is."""
        known = self._partitions[partition].get(host_id)
        if known is None:
            return None
        lives = [(run, host.save() if host is not None else None) for run, host in known.lives]
        return Snapshot(partition, host_id, known.offset, min(since, known.offset), known.pending, lives, known.twins)

    def restore(self, snapshot: Snapshot) -> None:
        """Know a host as it was. SnapshotError if the engine takes it for none."""
        lives: list[tuple[Run, Host | None]] = []
        for run, state in snapshot.runs:
            host = None
            if state is not None:
                host = Host(**self._limits)
                try:
                    host.load(state)
                except ValueError as error:
                    raise SnapshotError(str(error)) from None
            lives.append((run, host))
        known = Known(lives, snapshot.pending, snapshot.offset, snapshot.twins)
        self._partitions[snapshot.partition].put(snapshot.host_id, known)

    def in_order(self, partition: int) -> None:
        """All hosts are restored: the one heard last is the last to be forgotten."""
        self._partitions[partition].in_order()

    def lose(self, partition: int, host_id: bytes) -> None:
        """Nothing can be found out of what was known of a host: it begins anew with its next batch."""
        self._partitions[partition].lose(host_id)

    def hosts(self) -> int:
        """Hosts whose state is held."""
        return sum(here.live for here in self._partitions.values())

    def _last_words(self, partition: int, host_id: bytes, host: Host) -> list[Output]:
        alerts = host.finish()
        self._count(alerts)
        return [self._output(topics.ALERTS, "alert", partition, host_id, alert) for alert in alerts]

    def _forget(self, here: Partition, partition: int, offset: int) -> list[Output]:
        """Where there are too many hosts, those longest unheard go, with what they have left to say."""
        outputs: list[Output] = []
        for host_id, states in here.too_many(offset):
            self.counters.forgotten_hosts += 1
            self.touched.add(host_id)
            outputs += [output for host in states for output in self._last_words(partition, host_id, host)]
        return outputs

    def gone(self, partition: int) -> Iterator[bytes]:
        """Hosts of whom nothing is known any more since the last call."""
        return self._partitions[partition].take_gone()

    def _quarantine(self, partition: int, offset: int, key: bytes, message: bytes, reason: str) -> list[Output]:
        self.counters.quarantined += 1
        log.warning("message put into quarantine reason=%s bytes=%d", reason, len(message))
        if 0 < len(key) <= MAX_HOST_ID:
            # What it held is known when the next good batch tells what is missing before it.
            known = self._partitions[partition].touch(key)
            known.offset, known.pending = offset, known.pending + 1
            self.touched.add(key)
        # The reason on a line of its own, then the message as it came.
        return [Output(topics.QUARANTINE, key, " ".join(reason.split()).encode() + b"\n" + message, partition)]


def rule_of(alert: bytes) -> str:
    """The rule of an alert's Avro body, which follows id and time, without the cost of reading all of it."""
    length, at = _number(alert, 0)
    _, at = _number(alert, at + length)
    length, at = _number(alert, at)
    return alert[at : at + length].decode(errors="replace")


def _number(body: bytes, at: int) -> tuple[int, int]:
    """An Avro number, and where it ends."""
    value = shift = 0
    while True:
        byte = body[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value >> 1 ^ -(value & 1), at
        shift += 7


def drive(
    worker: Worker,
    consumer: Consumer,
    producer: Producer,
    stop: Callable[[], bool],
    *,
    before: Callable[[Message], None] | None = None,
) -> None:
    """Run a worker between two joints until `stop`, or until the consumer's joint is closed and empty.

    `before` is called before each message, between two batches: the place to give the worker other rules.
    """

    def send(outputs: list[Output]) -> bool:
        for output in outputs:
            while not producer.send(output.topic, output.key, output.value, output.partition, timeout=1.0):
                if stop():
                    return False
        return True

    for message in consumer:
        if before is not None:
            before(message)
        if not send(worker.handle(message.partition, message.offset, message.key, message.value)):
            return
        consumer.commit([message])
    send(worker.finish())
