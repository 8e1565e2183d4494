"""`tiercel doctor`: what this host needs for the probe, the store and Kafka, each with its remedy."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from tiercel.commands import Context
from tiercel.errors import TiercelError

if TYPE_CHECKING:
    from tiercel.config import Kafka, Settings
    from tiercel.probe.check import Finding


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("doctor", rich_help_panel="Reference")(doctor)


def doctor(
    context: typer.Context,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Say what is wrong with this host, and what mends it.

    Looks at the kernel and the rights that the probe needs, at the store, and at Kafka and the sinks of alerts where
    they are configured.
    Exit status 1 if something is wrong.
    """
    from rich.console import Console

    obj: Context = context.obj
    console = Console(highlight=False)
    bad = 0
    for finding in _findings(obj.settings()):
        bad += not finding.ok
        if as_json:
            print(json.dumps(finding._asdict(), ensure_ascii=False))
            continue
        mark = "[green]ok[/green] " if finding.ok else "[red]BAD[/red]"
        console.print(f"{mark} {finding.name:<14} {finding.text}", soft_wrap=True)
        if finding.remedy:
            console.print(f"                   → {finding.remedy}", soft_wrap=True)
    if bad:
        raise typer.Exit(1)


def _findings(settings: "Settings") -> "Iterator[Finding]":
    from tiercel.probe import check

    yield from check.findings()
    yield _store(settings)
    if "kafka" in settings.model_fields_set:
        yield _kafka(settings.kafka)
    yield from _alert_sinks(settings)


def _store(settings: "Settings") -> "Finding":
    from tiercel import store
    from tiercel.hunt.remote import Remote
    from tiercel.probe.check import Finding

    socket = settings.api.socket
    if socket.exists() and Remote(socket).answers():
        return Finding("store", True, f"a running tiercel holds it and answers at {socket}")
    try:
        version = store.connect(settings.store.dsn).command("SELECT version()")
    except TiercelError as error:
        remedy = "set store.dsn (TIERCEL_STORE_DSN) to a store that can be written, or run as its owner"
        return Finding("store", False, str(error), remedy)
    kind = "chDB" if settings.store.dsn.startswith("chdb:") else "ClickHouse"
    return Finding("store", True, f"{kind} {version} opens")


def _alert_sinks(settings: "Settings") -> "Iterator[Finding]":
    from tiercel.probe.check import Finding
    from tiercel.sinks.alerts.base import DeliveryError
    from tiercel.sinks.alerts.configured import enabled

    for name, _, make in enabled(settings, without="stdout"):
        remedy = f"see {name}.* in docs/configuration.md, and whether what it names is running"
        try:
            yield Finding(name, True, make().check())
        except (DeliveryError, TiercelError) as error:
            yield Finding(name, False, str(error), remedy)


def _kafka(settings: "Kafka") -> "Finding":
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient

    from tiercel.probe.check import Finding

    client = AdminClient({**settings.client(), "log_level": 0})
    try:
        brokers = client.list_topics(timeout=5).brokers
    except KafkaException as error:
        remedy = "start the broker, or set kafka.brokers (TIERCEL_KAFKA_BROKERS) and kafka.security_protocol"
        return Finding("kafka", False, f"{settings.brokers}: {error.args[0].str()}", remedy)
    return Finding("kafka", True, f"{settings.brokers} answers with {len(brokers)} brokers")
