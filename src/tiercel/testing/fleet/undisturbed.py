"""The alerts of one worker that reads the raw topic from its beginning to its end and that nothing disturbs, and those
that a fleet sent: byte for byte the same, of each host in order, once what came again is left out.
"""

from collections.abc import Iterator

import confluent_kafka

from tiercel._engine import RuleSet
from tiercel.processors.worker import Worker
from tiercel.schemas import avro, topics

Alerts = dict[bytes, list[bytes]]


def expected(brokers: str, rules: RuleSet) -> Alerts:
    """Host id → alerts."""
    worker, found = Worker(rules), Alerts()
    for partition, offset, key, message in _all(brokers, topics.RAW):
        for output in worker.handle(partition, offset, key, message):
            if output.topic == topics.ALERTS:
                found.setdefault(output.key, []).append(output.value)
    return found


def sent(brokers: str) -> Alerts:
    """The same of the topic of alerts; a repeat has the id of one before."""
    found, seen = Alerts(), set[str]()
    for _, _, key, message in _all(brokers, topics.ALERTS):
        alert = avro.decode("alert", message)
        if alert["id"] not in seen:
            seen.add(alert["id"])
            found.setdefault(key, []).append(message)
    return found


def _all(brokers: str, topic: str) -> Iterator[tuple[int, int, bytes, bytes]]:
    """Partition, offset, key and value of every message that is there now."""
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
                at = message.offset() or 0
                low = at + 1
                yield partition, at, message.key() or b"", message.value() or b""
    finally:
        consumer.close()
