"""What a worker does with a message: enrich and match it. No Kafka in here; `app` and `tiercel up` both drive it."""

import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tiercel._engine import Host, RuleSet, header_of
from tiercel.errors import SchemaError
from tiercel.joints.base import Consumer, Producer
from tiercel.schemas import avro, topics

log = logging.getLogger(__name__)

_SILENCE_S = 60.0


@dataclass(frozen=True)
class Output:
    """One message to send, to the partition that its input came from."""

    topic: str
    key: bytes
    value: bytes


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

        `schema_ids` and `writers` (other versions' schemas) come from a registry, if there is one.
        """
        self.counters = Counters()
        self._rules = rules
        self._schema_ids = schema_ids or {}
        self._writers = writers
        self._max_hosts = max_hosts
        self._limits = dict(limits or {})
        self._warned = -_SILENCE_S
        self._hosts: OrderedDict[tuple[int, bytes], Host] = OrderedDict()

    def handle(self, partition: int, offset: int, key: bytes, message: bytes) -> list[Output]:
        """The messages that follow from this one: an enriched batch and its alerts, or an entry in the quarantine."""
        try:
            body = avro.body_of("raw_batch", message, self._writers)
            sender = str(header_of(body)["host_id"]).encode()
            if key and key != sender:
                # One forged id would otherwise feed another host's state.
                return self._quarantine(key, message, f"the key is not the batch's host id {sender.decode()}")
            host = self._host(partition, sender)
            outcome = host.process(body, self._rules, partition=partition, offset=offset)
        except (ValueError, SchemaError) as error:
            return self._quarantine(key, message, str(error))
        self.counters.batches += 1
        self.counters.events += outcome.events
        self.counters.alerts += len(outcome.alerts)
        if outcome.evicted:
            self._full(sender, outcome.evicted)
        enriched = self._output(topics.EVENTS, "event_batch", sender, outcome.enriched)
        return [enriched, *(self._output(topics.ALERTS, "alert", sender, alert) for alert in outcome.alerts)]

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

    def _output(self, topic: str, schema: str, key: bytes, body: bytes) -> Output:
        return Output(topic, key, avro.frame(schema, body, self._schema_ids.get(schema)))

    def assign(self, partitions: set[int]) -> None:
        """Forget the hosts of partitions that are no longer ours: when one comes back, its state would be old."""
        for place in [place for place in self._hosts if place[0] not in partitions]:
            del self._hosts[place]

    def _host(self, partition: int, host_id: bytes) -> Host:
        place = partition, host_id
        host = self._hosts.get(place)
        if host is None:
            host = self._hosts[place] = Host(**self._limits)
            if len(self._hosts) > self._max_hosts:
                self._hosts.popitem(last=False)
                self.counters.forgotten_hosts += 1
        self._hosts.move_to_end(place)
        return host

    def _quarantine(self, key: bytes, message: bytes, reason: str) -> list[Output]:
        self.counters.quarantined += 1
        log.warning("message put into quarantine reason=%s bytes=%d", reason, len(message))
        # The reason on a line of its own, then the message as it came.
        return [Output(topics.QUARANTINE, key, " ".join(reason.split()).encode() + b"\n" + message)]


def drive(worker: Worker, consumer: Consumer, producer: Producer, stop: Callable[[], bool]) -> None:
    """Run a worker between two joints until `stop`, or until the consumer's joint is closed and empty."""
    for message in consumer:
        for output in worker.handle(message.partition, message.offset, message.key, message.value):
            while not producer.send(output.topic, output.key, output.value, message.partition, timeout=1.0):
                if stop():
                    return
        consumer.commit([message])
