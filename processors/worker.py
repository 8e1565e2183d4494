"""What a worker does with a message: enrich and match it. No Kafka in here; `app` and `tiercel up` both drive it."""

import logging
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tiercel._engine import Host, RuleSet, header_of
from tiercel.errors import SchemaError
from tiercel.joints.base import Consumer, Message, Producer
from tiercel.latency import Latency
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
    rejected: dict[str, int] = field(default_factory=dict)
    rules: Counter[str] = field(default_factory=Counter)  # Alerts by rule.
    latency: Latency = field(default_factory=Latency)  # Of batches, from their first event on.


class Worker:
    """The state of all hosts of its partitions, at most `max_hosts`: the one longest unheard is forgotten."""

    def __init__(
        self,
        rules: RuleSet | None,
        *,
        max_hosts: int = 4096,
        limits: Mapping[str, int] | None = None,
        schema_ids: Mapping[str, int] | None = None,
        writers: Mapping[int, str] | None = None,
    ) -> None:
        """`limits` are those of each host, as `config.Worker.limits` has them.

        `rules` are those of every partition for which `use` names no others. `schema_ids` and `writers` (other
        versions' schemas) come from a registry, if there is one.
        """
        self.counters = Counters()
        self._rules = rules
        self._rules_of: dict[int, RuleSet | None] = {}
        self._schema_ids = schema_ids or {}
        self._writers = writers
        self._max_hosts = max_hosts
        self._limits = dict(limits or {})
        self._warned = -_SILENCE_S
        self._sizes: dict[tuple[int, bytes], dict[str, int]] = {}
        self._hosts: OrderedDict[tuple[int, bytes], Host] = OrderedDict()

    def handle(self, partition: int, offset: int, key: bytes, message: bytes) -> list[Output]:
        """The messages that follow from this one: an enriched batch and its alerts, or an entry in the quarantine."""
        try:
            body = avro.body_of("raw_batch", message, self._writers)
            header = header_of(body)
            sender = str(header["host_id"]).encode()
            if key and key != sender:
                # One forged id would otherwise feed another host's state.
                reason = f"the key is not the batch's host id {sender.decode()}"
                return self._quarantine(partition, key, message, reason)
            host, outputs = self._host(partition, sender)
            rules = self._rules_of.get(partition, self._rules) if self._rules_of else self._rules
            outcome = host.process(body, rules, partition=partition, offset=offset)
        except (ValueError, SchemaError) as error:
            return self._quarantine(partition, key, message, str(error))
        self.counters.batches += 1
        self.counters.events += outcome.events
        self.counters.latency.add(time.time() - int(header["time"]) / 1e9)
        self._count(outcome.alerts)
        if outcome.evicted:
            self._full(sender, outcome.evicted)
        outputs.append(self._output(topics.EVENTS, "event_batch", partition, sender, outcome.enriched))
        outputs += [self._output(topics.ALERTS, "alert", partition, sender, alert) for alert in outcome.alerts]
        return outputs

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
        total = Counter(hosts=len(self._hosts))
        known: dict[tuple[int, bytes], dict[str, int]] = {}
        for place, host in list(self._hosts.items()):
            try:
                known[place] = host.counters
            except RuntimeError:  # borrowed by the worker's thread
                known[place] = self._sizes.get(place, {})
            total.update(known[place])
        self._sizes = known
        return total

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

    def assign(self, partitions: set[int]) -> list[Output]:
        """Forget the hosts of partitions that are no longer ours: when one comes back, its state would be old.

        What throttled rules have counted for them and not told yet is told now.
        """
        for partition in self._rules_of.keys() - partitions:
            del self._rules_of[partition]
        return [
            output
            for place in [place for place in self._hosts if place[0] not in partitions]
            for output in self._last_words(place, self._hosts.pop(place))
        ]

    def finish(self) -> list[Output]:
        """Nothing more comes: what throttled rules have counted and not told yet."""
        return self.assign(set())

    def _last_words(self, place: tuple[int, bytes], host: Host) -> list[Output]:
        partition, host_id = place
        alerts = host.finish()
        self._count(alerts)
        return [self._output(topics.ALERTS, "alert", partition, host_id, alert) for alert in alerts]

    def _host(self, partition: int, host_id: bytes) -> tuple[Host, list[Output]]:
        """The host, and what one has left to say that had to go for it."""
        outputs: list[Output] = []
        place = partition, host_id
        host = self._hosts.get(place)
        if host is None:
            host = self._hosts[place] = Host(**self._limits)
            if len(self._hosts) > self._max_hosts:
                outputs = self._last_words(*self._hosts.popitem(last=False))
                self.counters.forgotten_hosts += 1
        self._hosts.move_to_end(place)
        return host, outputs

    def _quarantine(self, partition: int, key: bytes, message: bytes, reason: str) -> list[Output]:
        self.counters.quarantined += 1
        log.warning("message put into quarantine reason=%s bytes=%d", reason, len(message))
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
