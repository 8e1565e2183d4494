"""The alerts of a run that nothing disturbed, and those that a fleet sent, in a form in which they are equal.

`expected` goes from what the hosts did to the alerts: a worker that gets each host's batches in order. What depends on
where batches were cut, or on how often a collector began anew, is told otherwise: the raw position is left out, the
number of an event becomes its place in the life of its host, and the id, which is made of the number, goes. `replayed`
goes from the raw topic, whatever is missing there, and leaves out nothing.
"""

import io
import json
from collections.abc import Iterable
from itertools import count
from typing import Any

import confluent_kafka

from tiercel._engine import RuleSet, encode_raw
from tiercel.config import Worker as Limits
from tiercel.joints.base import Message
from tiercel.processors.worker import Worker
from tiercel.schemas import avro, topics
from tiercel.testing.fleet.plan import Plan
from tiercel.testing.fleet.recording import recording
from tiercel.testing.fleet.truth import Run

Alerts = dict[str, list[bytes]]


def expected(plan: Plan, runs: Iterable[Run], rules: RuleSet) -> Alerts:
    """Of each host, in order. A run that began anew is an input: it begins without what the one before knew."""
    lives = {(life.host_id, life.boot_id): life for life in plan.lives}
    order = [(life.host_id, life.boot_id) for life in plan.lives]
    found: Alerts = {host: [] for host in plan.hosts}
    workers, offsets = {host: Worker(rules) for host in plan.hosts}, count()
    for run in sorted(runs, key=lambda run: (order.index((run.host_id, run.boot_id)), run.first)):
        life, host, delivered = lives[run.host_id, run.boot_id], run.host_id, 0
        for start in range(run.start, run.stop, plan.batch):
            part = recording(life.recording).part(
                start, min(start + plan.batch, run.stop), number=life.number, begin=life.begin
            )
            delivered += part.kernel_events
            told = {"host_id": host, "host": life.host, "boot_id": life.boot_id, "run": run.first, "lost": []}
            first = run.first + start - run.start
            header = {**told, "first_seq": first, "produced": delivered, "delivered": delivered}
            message = avro.frame("raw_batch", encode_raw(part, 0, len(part), header))
            for output in workers[host].handle(0, next(offsets), host.encode(), message):
                if output.topic == topics.ALERTS and not (alert := avro.decode("alert", output.value))["summary"]:
                    found[host].append(_form(alert, start + alert["seq"] - first))
    return found


def sent(brokers: str, runs: Iterable[Run]) -> Alerts:
    """Of each host, in order, from the topic: what came again is left out, as every reader of it does."""
    by_first = sorted(runs, key=lambda run: run.first)
    found: Alerts = {}
    seen: set[str] = set()
    for message in messages(brokers, topics.ALERTS):
        alert = avro.decode("alert", message.value)
        if alert["id"] in seen or alert["summary"]:
            continue
        seen.add(alert["id"])
        whose = (alert["host_id"], alert["boot_id"])
        run = [r for r in by_first if (r.host_id, r.boot_id) == whose and r.first <= alert["seq"]][-1]
        found.setdefault(alert["host_id"], []).append(_form(alert, run.start + alert["seq"] - run.first))
    return found


def _form(alert: dict[str, Any], place: int) -> bytes:
    """Avro again, without what may differ."""
    out = io.BytesIO()
    plain = {**alert, "id": "", "partition": 0, "offset": 0, "seq": place}
    import fastavro  # noqa: PLC0415 - of tests

    fastavro.schemaless_writer(out, fastavro.parse_schema(json.loads(avro.schema_json("alert"))), plain)
    return out.getvalue()


def replayed(brokers: str, rules: RuleSet) -> dict[int, list[bytes]]:
    """By partition, in order: what one worker that nothing happens to makes of the raw topic."""
    worker, found = Worker(rules, limits=Limits().limits()), dict[int, list[bytes]]()
    for message in messages(brokers, topics.RAW):
        for output in worker.handle(message.partition, message.offset, message.key, message.value):
            if output.topic == topics.ALERTS:
                found.setdefault(output.partition, []).append(output.value)
    return found


def delivered(brokers: str) -> dict[int, list[bytes]]:
    """By partition, in order: the alerts on the topic, those left out that come again with the same bytes."""
    found: dict[int, list[bytes]] = {}
    seen: dict[int, set[bytes]] = {}
    for message in messages(brokers, topics.ALERTS):
        if message.value not in seen.setdefault(message.partition, set()):
            seen[message.partition].add(message.value)
            found.setdefault(message.partition, []).append(message.value)
    return found


def messages(brokers: str, topic: str) -> Iterable[Message]:
    """Every message that is there now, partition by partition."""
    settings = {"bootstrap.servers": brokers, "group.id": "fleet-judge", "enable.auto.commit": False, "log_level": 0}
    consumer = confluent_kafka.Consumer(settings)
    try:
        for partition in consumer.list_topics(topic, timeout=10).topics[topic].partitions:
            place = confluent_kafka.TopicPartition(topic, partition, 0)
            low, high = consumer.get_watermark_offsets(place, timeout=10)
            place.offset = low
            consumer.assign([place])
            while low < high:
                message = consumer.poll(5.0)
                if message is None or message.error() is not None:
                    raise TimeoutError(f"{topic}/{partition} cannot be read at {low}")
                offset = message.offset() or 0
                low = offset + 1
                yield Message(topic, partition, offset, message.key() or b"", message.value() or b"")
    finally:
        consumer.close()
