"""`tiercel doctor`: what this host needs for the probe, the store and Kafka, each with its remedy."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from tiercel.commands import Context
from tiercel.errors import TiercelError

if TYPE_CHECKING:
    from tiercel.config import Settings
    from tiercel.probe.check import Finding

_MARKS = {"fail": "[red]fail[/red]", "warn": "[yellow]warn[/yellow]", "ok": "[green]ok[/green]  "}


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("doctor", rich_help_panel="Reference")(doctor)


def doctor(
    context: typer.Context,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Say what is wrong with this host, and what mends it.

    Looks at the kernel and the rights that the probe needs, at memory, clock and files of this host, at the store, and
    at Kafka with its topics, the schema registry and the sinks of alerts where they are configured. A line each: ok,
    warn or fail, and what mends it. Changes nothing, and waits for nothing longer than 15 seconds.
    Exit status 1 if something fails.
    """
    from rich.console import Console
    from rich.markup import escape

    obj: Context = context.obj
    console = Console(highlight=False)
    bad = 0
    for finding in _findings(obj.settings()):
        bad += not finding.ok
        level = "fail" if not finding.ok else "warn" if finding.warn else "ok"
        if as_json:
            print(json.dumps({**finding._asdict(), "level": level}, ensure_ascii=False))
            continue
        mark = (
            "[red]fail[/red]" if not finding.ok else "[yellow]warn[/yellow]" if finding.warn else "[green]ok[/green]  "
        )
        remedy = f" → {finding.remedy}" if finding.remedy else ""
        console.print(f"{mark} {escape(f'{finding.name:<18} {line(finding.text)}{remedy}')}", soft_wrap=True)
    if bad:
        raise typer.Exit(1)


def line(text: str) -> str:
    """One line, whatever the other side said."""
    return " ".join(text.split(None))


def _findings(settings: "Settings") -> "Iterator[Finding]":
    from tiercel.operations.checks import clock, host, kafka, store
    from tiercel.operations.checks.patience import within
    from tiercel.probe import check

    yield from within("kernel", check.findings)
    yield from within("memory", lambda: host.memory(settings))
    yield from within("clock", clock.synchronised)
    yield from within("files", lambda: host.files(settings))
    yield from within("store", lambda: store.store(settings))
    if "kafka" in settings.model_fields_set:
        yield from within("kafka", lambda: kafka.kafka(settings.kafka))
        yield from within("schema registry", lambda: kafka.registry(settings.kafka))
    yield from within("alerts", lambda: _alert_sinks(settings))


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
