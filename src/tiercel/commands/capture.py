"""`tiercel read` and `tiercel replay`: the events of a capture file, and what rules say of them."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tiercel.commands import Context
from tiercel.errors import TiercelError

if TYPE_CHECKING:
    from tiercel._engine import RuleSet
    from tiercel.recording import Capture

File = Annotated[Path, typer.Argument(metavar="FILE", help="A .scap capture, plain or gzip.")]
Texts = list[str] | None
FORMAT = "*%evt.num %evt.time %evt.cpu %proc.name (%thread.tid) %evt.dir %evt.type %evt.info"


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("read", rich_help_panel="Captures")(read)
    app.command("replay", rich_help_panel="Captures")(replay)


def read(
    file: File,
    condition: Annotated[str, typer.Argument(metavar="[FILTER]", help="Only events that satisfy this condition.")] = "",
    *,
    output: Annotated[
        str, typer.Option("--print", "-p", metavar="FORMAT", help="What to print of an event, as sysdig -p.")
    ] = FORMAT,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a line; its keys are the fields of the format.")
    ] = False,
) -> None:
    """Print the events of a capture, as sysdig does."""
    from tiercel._engine import Format, Host
    from tiercel.recording import Capture

    try:
        form = Format(output)
    except ValueError as error:
        raise TiercelError(f"the format is wrong: {error}") from None
    wanted, host, capture = _condition(condition), Host(), Capture(file)
    for batch in capture:
        if as_json:
            for values in host.field_rows(batch, form.names, wanted, hostname=capture.hostname):
                print(json.dumps(dict(zip(form.names, values, strict=True)), ensure_ascii=False))
        else:
            lines = host.lines(batch, form, wanted, hostname=capture.hostname)
            if text := "\n".join(line for line in lines if line is not None):
                print(text)


def _condition(text: str) -> "RuleSet | None":
    if not text:
        return None
    from tiercel._engine import RuleSet
    from tiercel.rules.check import check_condition
    from tiercel.rules.parse import parse
    from tiercel.rules.plan import condition_plan

    tree = parse(text)
    check_condition(tree)
    return RuleSet(condition_plan(tree))


def replay(
    context: typer.Context,
    file: File,
    *,
    rules: Annotated[
        Texts,
        typer.Option("--rules", "-r", metavar="PATH", help="Rule file or directory; repeatable. Default: the shipped."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Alerts as JSON, one a line.")] = False,
    every: Annotated[bool, typer.Option("--all", help="Every matching rule fires, not only the first.")] = False,
    disable_tag: Annotated[Texts, typer.Option(metavar="TAG", help="Disable rules with this tag; repeatable.")] = None,
    enable_only_tag: Annotated[
        Texts, typer.Option(metavar="TAG", help="Enable rules with this tag and no others; repeatable.")
    ] = None,
    disable_rule: Annotated[
        Texts, typer.Option(metavar="PATTERN", help="Disable rules whose name matches, * allowed; repeatable.")
    ] = None,
    min_priority: Annotated[
        str | None,
        typer.Option(metavar="P", help="Only rules at least this urgent."),
    ] = None,
    append_output: Annotated[
        Texts,
        typer.Option(
            metavar="TEXT", help="Add to every output, %fields allowed; or as worker.append_output; repeatable."
        ),
    ] = None,
    throttle: Annotated[
        bool, typer.Option("--throttle", help="Let rules be throttled, as they are live; else every alert is told.")
    ] = False,
    store: Annotated[
        str | None, typer.Option(metavar="DSN", help="Also store events and alerts there; twice changes nothing.")
    ] = None,
    profile: Annotated[bool, typer.Option(help="Also say what each rule and each predicate cost, on stderr.")] = False,
) -> None:
    """Run rules over a capture, as Falco does: one alert a line, and a summary on stderr."""
    from tiercel._engine import RuleSet
    from tiercel.commands.rules import plan as planned
    from tiercel.recording import Capture
    from tiercel.rules.items import PRIORITIES, priority

    if min_priority is not None and priority(min_priority) is None:
        known = ", ".join(PRIORITIES)
        raise typer.BadParameter(f"{min_priority!r} is none of {known}", param_hint="--min-priority")
    obj: Context = context.obj
    given = {
        "rules": rules,
        "matching": "all" if every else None,
        "priority": min_priority,
        "append_output": [entry for text in append_output for entry in _entries(text)] if append_output else None,
    }
    settings = obj.settings(worker=given).worker
    chosen = [{"disable": {"rule": "*"}}] if enable_only_tag else []
    chosen += [{"enable": {"tag": tag}} for tag in enable_only_tag or ()]
    chosen += [{"disable": {"tag": tag}} for tag in disable_tag or ()]
    chosen += [{"disable": {"rule": pattern}} for pattern in disable_rule or ()]
    if chosen:
        set_up = [selection.model_dump(exclude_none=True) for selection in settings.select]
        settings = obj.settings(worker=given | {"select": [*set_up, *chosen]}).worker
    plan = planned(settings, throttled=throttle)
    ruleset, capture = RuleSet(plan), Capture(file)
    if profile:
        ruleset.measure()
    alerts = _stored(capture, file, ruleset, store) if store else _alerts(capture, file, ruleset)
    by_priority, by_rule = Counter[str](), Counter[str]()
    try:
        for alert in alerts:
            matches = alert["suppressed"] + (not alert["summary"])
            by_priority[alert["priority"]] += matches
            by_rule[alert["rule"]] += matches
            _show(alert, as_json=as_json)
    finally:
        _summary(by_priority, by_rule)
        if profile:
            from tiercel.commands import rule_profile
            from tiercel.rules.profile import profile as counted

            rule_profile.show(counted(plan, ruleset.profile()))


def _entries(text: str) -> list[Any]:
    """What an option adds: a list or an entry as YAML; all else is a text."""
    import yaml

    try:
        entries = yaml.safe_load(text)
    except yaml.YAMLError:
        return [text]
    return entries if isinstance(entries, list) else [entries if isinstance(entries, dict) else text]


def _header(capture: "Capture", file: Path) -> dict[str, Any]:
    """Who was recorded: the boot is the capture's boot time, else its content."""
    machine = capture.reader.machine or {}
    name = capture.hostname or file.name
    boot = machine.get("boot_ts") or 0
    if not boot:
        with file.open("rb") as content:
            boot = hashlib.file_digest(content, "sha256").hexdigest()
    return {
        "host_id": name,
        "host": name,
        "boot_id": str(boot),
        "run": 1,
        "first_seq": 1,
        "produced": 0,
        "delivered": 0,
        "lost": [],
    }


def _alerts(capture: "Capture", file: Path, rules: "RuleSet") -> Iterator[dict[str, Any]]:
    from tiercel._engine import Host
    from tiercel.schemas import avro

    host, header = Host(), None
    for batch in capture:
        header = header or _header(capture, file)
        for body in host.replay(batch, rules, header=header):
            yield avro.decode("alert", avro.frame("alert", body))
    for body in host.finish():
        yield avro.decode("alert", avro.frame("alert", body))


def _stored(capture: "Capture", file: Path, rules: "RuleSet", dsn: str) -> Iterator[dict[str, Any]]:
    """The same through worker and sink; sequence numbers are evt.num, and offsets count the batches."""
    from tiercel import store
    from tiercel._engine import encode_raw
    from tiercel.joints.base import Message
    from tiercel.processors.worker import Output, Worker
    from tiercel.schemas import avro, topics
    from tiercel.sinks.clickhouse import ClickHouseSink

    def stored(outputs: list[Output], offset: int) -> Iterator[dict[str, Any]]:
        assert sink is not None
        messages = [Message(output.topic, 0, offset, output.key, output.value) for output in outputs]
        sink.write(message for message in messages if message.topic != topics.QUARANTINE)
        for message in messages:
            if message.topic == topics.ALERTS:
                yield avro.decode("alert", message.value)

    header: dict[str, Any] | None = None
    worker, sink = Worker(rules, numbered=False), None
    number, produced, offset = 1, 0, 0
    for offset, batch in enumerate(capture):
        if header is None or sink is None:
            header = _header(capture, file)
            sink = ClickHouseSink(store.connect(dsn), f"capture:{header['host_id']}/{header['boot_id']}")
            sink.assign({0})
        produced += batch.kernel_events
        # The lists at the start tell the state of the host: they are no events and have no numbers.
        lists = batch.last_time == 0
        header |= {"first_seq": 0 if lists else number, "produced": produced, "delivered": produced}
        number += 0 if lists else len(batch)
        key = header["host_id"].encode()
        raw = avro.frame("raw_batch", encode_raw(batch, 0, len(batch), header))
        yield from stored(worker.handle(0, offset, key, raw), offset)
    if sink is not None:
        yield from stored(worker.finish(), offset)


def _show(alert: dict[str, Any], *, as_json: bool) -> None:
    from tiercel.schemas import alerts

    row = alerts.row(alert)
    print(alerts.json_line(row) if as_json else alerts.line(row))


def _summary(by_priority: Counter[str], by_rule: Counter[str]) -> None:
    lines = [f"Events detected: {by_rule.total()}"]
    lines += [
        "Rule counts by severity:",
        *(f"   {name.upper()}: {count}" for name, count in sorted(by_priority.items())),
    ]
    lines += ["Triggered rules by rule name:", *(f"   {name}: {count}" for name, count in sorted(by_rule.items()))]
    typer.echo("\n".join(lines), err=True)
