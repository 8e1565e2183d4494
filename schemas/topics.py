"""The topics: names, partitions, settings; made through Kafka's AdminClient by whoever starts first."""

from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import KafkaError as Code
from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from tiercel.errors import KafkaError
from tiercel.schemas import avro

RAW = "tiercel.raw"
EVENTS = "tiercel.events"
ALERTS = "tiercel.alerts"
SCHEMAS = "tiercel.schemas"
QUARANTINE = "tiercel.quarantine"
RULES = "tiercel.rules"
SNAPSHOTS = "tiercel.snapshots"

_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS


@dataclass(frozen=True)
class Topic:
    """One topic. `by_host`: as many partitions as configured, the key's the host's; else a single one."""

    name: str
    by_host: bool
    doc: str
    settings: dict[str, str] = field(default_factory=dict)


# zstd as the producers send it (STACK.md measures it 30 % smaller than lz4): brokers keep what they are given.
TOPICS = (
    Topic(
        RAW,
        True,
        "Batches of events as the kernels produced them.",
        # By the broker's time: a host whose clock is wrong would have its messages taken away too early, or never.
        {"retention.ms": str(_DAY_MS), "message.timestamp.type": "LogAppendTime"},
    ),
    Topic(EVENTS, True, "The same batches, enriched and matched.", {"retention.ms": str(_DAY_MS)}),
    Topic(ALERTS, True, "Alerts, for anyone to read.", {"retention.ms": str(7 * _DAY_MS)}),
    Topic(SCHEMAS, False, "Avro schemas as JSON by fingerprint.", {"cleanup.policy": "compact"}),
    Topic(
        RULES,
        False,
        "Rule sets by version, which of them is wanted, and from which raw offset on each counts.",
        {"cleanup.policy": "compact", "max.message.bytes": str(4 << 20)},
    ),
    Topic(
        SNAPSHOTS,
        True,
        "States of hosts in chunks, each with the raw offset that it stands for.",
        # Each host writes over its two slots all the time: without small segments the topic would grow by what is dead.
        {"cleanup.policy": "compact", "segment.bytes": str(64 << 20), "min.cleanable.dirty.ratio": "0.3"},
    ),
    Topic(QUARANTINE, True, "Messages that no worker or sink can take, and why.", {"retention.ms": str(7 * _DAY_MS)}),
)


def create(client: dict[str, Any], *, partitions: int, replication: int = 1, timeout: float = 20.0) -> list[str]:
    """Make the topics that are missing and return their names. `client` are settings of librdkafka.

    Existing topics stay as they are: with another number of partitions hosts would move away from their state.
    """
    admin = AdminClient({**client, "log_level": 0})
    wanted = [
        NewTopic(
            topic.name,
            num_partitions=partitions if topic.by_host else 1,
            replication_factor=replication,
            config=dict(topic.settings),
        )
        for topic in TOPICS
    ]
    made = []
    try:
        for name, future in admin.create_topics(wanted, operation_timeout=timeout, request_timeout=timeout).items():
            try:
                future.result()
                made.append(name)
            except KafkaException as error:
                if error.args[0].code() != Code.TOPIC_ALREADY_EXISTS:
                    raise
    except KafkaException as error:
        raise KafkaError(f"topics cannot be made at {client.get('bootstrap.servers')}: {error.args[0].str()}") from None
    return made


def publish_schemas(client: dict[str, Any], timeout: float = 20.0) -> None:
    """Put each Avro schema on the compacted schema topic, its fingerprint (8 bytes, little-endian) being the key."""
    producer = Producer({**client, "log_level": 0, "enable.idempotence": True})
    for name in avro.NAMES:
        producer.produce(
            SCHEMAS, key=avro.fingerprint(name).to_bytes(8, "little"), value=avro.schema_json(name).encode()
        )
    if producer.flush(timeout):
        raise KafkaError(f"schemas cannot be written to {SCHEMAS} at {client.get('bootstrap.servers')}")
