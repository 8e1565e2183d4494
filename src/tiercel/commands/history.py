"""`tiercel hunt`, `alerts` and `audit`: questions to the store, or to the running tiercel that holds it."""

import json
import re
import time
from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer

from tiercel.commands import Context

if TYPE_CHECKING:
    from tiercel.hunt.query import History, Row
    from tiercel.hunt.remote import Remote

Dsn = Annotated[
    str | None,
    typer.Option(
        metavar="DSN",
        help="chdb:///dir, clickhouse://user:password@host/database, or unix:///run/tiercel/api.sock of a running "
        "tiercel; default: the one running here, else the configured store.",
    ),
]
Since = Annotated[str, typer.Option(metavar="SPAN", help="How far back: 90s, 15m, 12h, 7d, 4w.")]
Host = Annotated[str, typer.Option(metavar="HOST", help="Only this host, by name or id.")]
Limit = Annotated[int, typer.Option(min=1, help="Most rows; the newest are shown.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
_REMEMBERED = 100_000
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("hunt", rich_help_panel="History")(hunt)
    app.command("alerts", rich_help_panel="History")(alerts)
    app.command("audit", rich_help_panel="History")(audit)


def _begin(since: str) -> int:
    match = re.fullmatch(r"([0-9]+)([smhdw])", since)
    if not match:
        raise typer.BadParameter(f"{since!r} is no time span; write 90s, 15m, 12h, 7d or 4w", param_hint="--since")
    return time.time_ns() - int(match[1]) * _UNITS[match[2]] * 1_000_000_000


def open_store(context: typer.Context, dsn: str | None) -> "History | Remote":
    from tiercel.hunt.sources import open_history

    obj: Context = context.obj
    settings = obj.settings()
    return open_history(dsn, socket=settings.api.socket, default=settings.store.dsn)


def hunt(
    context: typer.Context,
    condition: Annotated[
        str,
        typer.Argument(metavar="CONDITION", help='As in a rule: "fd.name = /etc/shadow and not proc.name = login".'),
    ],
    *,
    since: Since = "7d",
    host: Host = "",
    dsn: Dsn = None,
    limit: Limit = 1000,
    as_json: Json = False,
) -> None:
    """Search the history of all hosts with a condition of the rule language.

    Says on stderr how complete the searched history is, by the ledger: hosts, since when, what was lost, is in flight.
    Fields: `tiercel fields`.
    """
    from tiercel.hunt import render
    from tiercel.rules.check import check_condition
    from tiercel.rules.parse import parse

    begin = _begin(since)
    history = open_store(context, dsn)
    for warning in check_condition(parse(condition)):
        typer.echo(f"warning: {warning.message} ({warning.code})", err=True)
    found = 0
    for row in history.hunt(condition, since=begin, host=host, limit=limit):
        found += 1
        print(json.dumps(row, ensure_ascii=False) if as_json else render.event_text(row))
    books = history.completeness(since=begin, host=host)
    more = f" (the newest {limit:,}; --limit shows more)" if found == limit else ""
    typer.echo(f"{found:,} found{more}; {render.completeness_text(books)}", err=True)


def alerts(
    context: typer.Context,
    *,
    since: Since = "7d",
    host: Host = "",
    dsn: Dsn = None,
    limit: Limit = 1000,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with new alerts until Ctrl-C.")] = False,
    brokers: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="Follow the topic tiercel.alerts at these Kafka brokers instead."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Print alerts, oldest first, as Falco prints them."""
    if brokers is not None:
        _follow_topic(context, brokers, host, as_json=as_json)
        return
    history = open_store(context, dsn)
    begin, seen = _begin(since), set[str]()
    while True:
        for alert in history.alerts(since=begin, host=host, limit=limit):
            if alert["id"] not in seen:
                seen.add(alert["id"])
                _show(alert, as_json=as_json)
        if not follow:
            return
        time.sleep(0.3)
        # Late alerts of slow hosts still come; what is older than ten minutes is settled.
        begin = max(begin, time.time_ns() - 600_000_000_000)


def _follow_topic(context: typer.Context, brokers: str, host: str, *, as_json: bool) -> None:
    """Alerts as they come on the topic, repeats left out: a worker that was killed may send one again."""
    import uuid

    from tiercel.joints.kafka import KafkaConsumer
    from tiercel.schemas import alerts, avro, topics

    obj: Context = context.obj
    settings = obj.settings(kafka={"brokers": brokers})
    consumer = KafkaConsumer(settings.kafka.client(), f"tiercel-alerts-{uuid.uuid4()}", [topics.ALERTS], latest=True)
    seen: dict[str, None] = {}
    for message in consumer:
        alert = alerts.row(avro.decode("alert", message.value))
        if alert["id"] in seen or (host and host not in (alert["host"], alert["hostname"])):
            continue
        seen[alert["id"]] = None
        if len(seen) > _REMEMBERED:
            del seen[next(iter(seen))]
        _show(alert, as_json=as_json)


def _show(alert: "Row", *, as_json: bool) -> None:
    from tiercel.schemas import alerts

    print(alerts.json_line(alert) if as_json else alerts.line(alert), flush=True)


def audit(
    context: typer.Context,
    *,
    host: Host = "",
    since: Annotated[str, typer.Option(metavar="SPAN", help="How far back: 90s, 15m, 12h, 7d, 4w; empty: all.")] = "",
    dsn: Dsn = None,
    as_json: Json = False,
) -> None:
    """Balance the books: every event that the kernel produced is stored, was shed by a budget, or is counted as lost.

    A line for each run of a host. What a host still held when it was heard of last is in flight; once the run is over,
    or the host silent for ten minutes, it is MISSING. Exit status 1 if a run does not balance.
    """
    from tiercel.hunt import render

    unbalanced, runs, sums = 0, 0, Counter[str]()
    for row in open_store(context, dsn).ledger(since=_begin(since) if since else 0, host=host):
        runs += 1
        unbalanced += bool(row["missing"])
        sums.update({name: row[name] for name in ("stored", "shed", "lost", "in_flight")})
        sums["missing"] += max(0, row["missing"])
        print(json.dumps(row, ensure_ascii=False) if as_json else render.ledger_text(row))
    if not as_json:
        typer.echo(render.ledger_sum(runs, unbalanced, sums), err=True)
    if unbalanced:
        raise typer.Exit(1)
