"""The broker, its topics, the schema registry, and the clock of the broker's host."""

import time
import uuid
from collections.abc import Iterator

import confluent_kafka as ck
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType  # type: ignore[attr-defined]

from tiercel.config import Kafka
from tiercel.errors import KafkaError
from tiercel.joints.registry import LEVEL, SUBJECTS, Registry
from tiercel.operations.checks.clock import skew
from tiercel.probe.check import Finding
from tiercel.schemas import topics

_TIMEOUT_S = 5.0


def kafka(settings: Kafka) -> Iterator[Finding]:
    """All about the brokers."""
    admin = AdminClient({**settings.client(), "log_level": 0})
    try:
        found = admin.list_topics(timeout=_TIMEOUT_S)
    except ck.KafkaException as error:
        remedy = "start the broker, or set kafka.brokers (TIERCEL_KAFKA_BROKERS) and kafka.security_protocol"
        yield Finding("kafka", False, f"{settings.brokers}: {error.args[0].str()}", remedy)
        return
    yield Finding("kafka", True, f"{settings.brokers} answers with {len(found.brokers)} brokers")
    there = {name: len(topic.partitions) for name, topic in found.topics.items() if not topic.error}
    yield _existence(settings, there)
    yield from _partitions(there)
    yield from _settings(admin, there)
    if topics.RAW in there:
        yield from _clock(settings, there[topics.RAW])


def _existence(settings: Kafka, there: dict[str, int]) -> Finding:
    missing = [topic.name for topic in topics.TOPICS if topic.name not in there]
    if not missing:
        return Finding("topics", True, f"all {len(topics.TOPICS)} are there")
    remedy = f"start a worker, which makes them with {settings.partitions} partitions, or scripts/kafka-setup.sh"
    return Finding("topics", False, f"missing, or not to be seen by this user: {', '.join(missing)}", remedy)


def _partitions(there: dict[str, int]) -> Iterator[Finding]:
    counts = {topic.name: there[topic.name] for topic in topics.TOPICS if topic.by_host and topic.name in there}
    if len(set(counts.values())) > 1:
        told = ", ".join(f"{name} {count}" for name, count in counts.items())
        remedy = "make them equal, with workers and sinks stopped: a host's messages keep their partition's number"
        yield Finding("partitions", False, f"they differ: {told}", remedy)
    elif counts:
        yield Finding("partitions", True, f"{next(iter(counts.values()))} of each topic by host")


def _settings(admin: AdminClient, there: dict[str, int]) -> Iterator[Finding]:
    """Compaction lost loses schemas and rules; retention is the administrator's to choose, and only told."""
    wanted = {topic.name: topic.settings for topic in topics.TOPICS if topic.name in there}
    if not wanted:
        return
    asked = [ConfigResource(ResourceType.TOPIC, name) for name in wanted]
    broken: list[str] = []
    told: list[str] = []
    try:
        for resource, future in admin.describe_configs(asked, request_timeout=_TIMEOUT_S).items():
            actual = future.result()
            for key, value in wanted[resource.name].items():
                have = actual[key].value if key in actual else None
                if have != value:
                    (broken if key == "cleanup.policy" else told).append(f"{resource.name} {key}={have}, not {value}")
    except ck.KafkaException as error:
        reason = error.args[0].str()
        yield Finding("topic settings", True, f"not to be seen by this user: {reason}", "allow DESCRIBE_CONFIGS", True)
        return
    if broken:
        remedy = "kafka-configs --alter --entity-type topics --add-config cleanup.policy=compact: else they are lost"
        yield Finding("topic settings", False, "; ".join(broken), remedy)
    if told:
        yield Finding("topic settings", True, "; ".join(told), "fine if it was meant: see schemas/topics.py", True)
    if not broken and not told:
        yield Finding("topic settings", True, "as tiercel makes them")


def _clock(settings: Kafka, partitions: int) -> Iterator[Finding]:
    """Brokers do not tell their time but in what they write down; a message from the future shows a wrong clock."""
    consumer = ck.Consumer({**settings.client(), "group.id": f"tiercel-doctor-{uuid.uuid4().hex}", "log_level": 0})
    try:
        newest = 0
        now = time.time()
        for partition in range(min(partitions, 16)):
            place = ck.TopicPartition(topics.RAW, partition)
            low, high = consumer.get_watermark_offsets(place, timeout=_TIMEOUT_S)
            if high <= low:
                continue
            consumer.assign([ck.TopicPartition(topics.RAW, partition, high - 1)])
            message = consumer.poll(1.0)
            if message is not None and message.error() is None:
                newest = max(newest, message.timestamp()[1])
        if newest:
            ahead = newest / 1000 - now
            # What lies behind may just be old.
            yield skew("clock (Kafka)", max(0.0, ahead), "the time of the newest batch")
    except ck.KafkaException:
        return
    finally:
        consumer.close()


def registry(settings: Kafka) -> Iterator[Finding]:
    """The schema registry, if there is one."""
    if not settings.schema_registry:
        return
    try:
        known = Registry(settings.schema_registry, timeout=_TIMEOUT_S)
        levels = {f"{topic}-value": known.level(f"{topic}-value") for topic in SUBJECTS.values()}
    except KafkaError as error:
        remedy = "start it, or set kafka.schema_registry; a schema that it refuses does not fit an older one"
        yield Finding("schema registry", False, str(error), remedy)
        return
    lax = [f"{subject} {level or 'unknown'}" for subject, level in levels.items() if level != LEVEL]
    text = f"knows {len(known.ids)} schemas of this version"
    if lax:
        remedy = "start a worker, which asks for FULL_TRANSITIVE, or set it: else it takes what readers cannot read"
        yield Finding("schema registry", True, f"{text}; compatibility: {', '.join(lax)}", remedy, True)
    else:
        yield Finding("schema registry", True, text)
