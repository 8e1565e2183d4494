"""The parts that `tiercel collect` is put together of, and how it begins while Kafka is away."""

import logging
from contextlib import ExitStack
from typing import TYPE_CHECKING

from tiercel.errors import ConfigError

if TYPE_CHECKING:
    from tiercel._engine import Redactor
    from tiercel.collector.identity import Identity
    from tiercel.collector.spool import Spool
    from tiercel.config import Collector, Kafka
    from tiercel.joints.base import Producer
    from tiercel.joints.registry import Registry
    from tiercel.probe.pinned import Pinned

log = logging.getLogger("tiercel.fleet")


def redactor(settings: "Collector") -> "Redactor":
    """What takes secrets out of events; ConfigError."""
    from tiercel._engine import Redactor

    try:
        return Redactor(settings.env, settings.payloads, settings.redact)
    except ValueError as error:
        raise ConfigError(f"collector.env, collector.payloads or collector.redact: {error}") from None


def registry(kafka: "Kafka", *, may_wait: bool) -> "Registry | None":
    """The schema registry, if there is one; with a spool a broker that is away is no reason not to begin."""
    from tiercel.commands.fleet import ready
    from tiercel.joints.kafka import AwayError
    from tiercel.schemas import topics

    try:
        return ready(kafka, [topics.RAW])
    except AwayError as error:
        if not may_wait:
            raise
        log.warning("%s: events wait in the spool", error)
        return None


def output(  # noqa: PLR0917
    settings: "Collector",
    producer: "Producer",
    identity: "Identity",
    schema_id: int | None,
    pinned: "Pinned",
    stack: ExitStack,
) -> "Producer | Spool":
    """The spool before the producer, closed with `stack`; where its disk cannot be used, the producer alone."""
    from tiercel.collector.spool import Spool

    if not settings.spool_bytes:
        return producer

    def produced_before(before: "Identity") -> int:
        return pinned.produced(before.run) if before.boot_id == identity.boot_id else 0

    spool = Spool(
        settings.spool,
        producer,
        identity,
        max_bytes=settings.spool_bytes,
        max_age=settings.spool_age_s,
        schema_id=schema_id,
        produced_before=produced_before,
    )
    stack.callback(spool.close)
    return spool
