"""`tiercel rules list`: what rules there are, and what each needs."""

import fnmatch
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tiercel.errors import TiercelError

if TYPE_CHECKING:
    from tiercel.rules.compile import CompiledRule
    from tiercel.rules.exceptions import Shape
    from tiercel.rules.throttle import Throttle

_SHOWN_EVENTS = 12


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("list")(list_rules)


def list_rules(
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FILE]... [PATTERN]",
            help="Rule files or directories, default: the shipped; and which rules, * allowed. One is shown in full.",
        ),
    ] = None,
    *,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a rule, with the keys of Falco's -L and the cost.")
    ] = False,
) -> None:
    """List rules with what they need: fields, events, macros, lists, exceptions, cost.

    Cost: how many distinct comparisons a rule has by what their results are kept with, and on how many events it is
    asked at all. Those of a process or a descriptor are made once until it changes; those of rules alike once for all.
    """
    from tiercel.commands.rules import loaded
    from tiercel.rules import needs

    files, pattern = _split(arguments or [])
    every = loaded(files).rules
    rules = [rule for rule in every if pattern is None or fnmatch.fnmatchcase(rule.name, pattern)]
    if not rules:
        raise TiercelError("there are no rules in these files" if pattern is None else _unknown(pattern, every))
    if as_json:
        for rule in rules:
            print(json.dumps(needs.details(rule), ensure_ascii=False))
    elif pattern is not None and len(rules) == 1:
        _page(rules[0])
    else:
        _table(rules)


def _split(arguments: list[str]) -> tuple[list[str], str | None]:
    """Files, and a last argument that is none."""
    if arguments and not Path(arguments[-1]).exists() and not arguments[-1].endswith((".yaml", ".yml")):
        return arguments[:-1], arguments[-1]
    return arguments, None


def _unknown(pattern: str, rules: "list[CompiledRule]") -> str:
    from tiercel.rules.testing.form import meant

    return f"no rule is called {pattern!r}, and no file{meant(pattern, (rule.name for rule in rules))}"


def _table(rules: "list[CompiledRule]") -> None:
    from rich.console import Console
    from rich.table import Table

    from tiercel.rules import needs

    table = Table("rule", "priority", "tags", "cost: comparisons", box=None, header_style="bold", pad_edge=False)
    for rule in rules:
        name = rule.name if rule.enabled else f"{rule.name} (disabled)"
        table.add_row(*(_plain(text) for text in (name, rule.priority, ", ".join(rule.tags), needs.of(rule).cost)))
    console = Console()
    if not console.is_terminal:
        # For grep and awk: a rule a line, whatever its length.
        console.width = 1000
    console.print(table)


def _page(rule: "CompiledRule") -> None:
    """One rule in full."""
    from rich.console import Console
    from rich.table import Table

    from tiercel.rules import needs

    need = needs.of(rule)
    shown = [*need.events[:_SHOWN_EVENTS], *(["…"] if len(need.events) > _SHOWN_EVENTS else [])]
    events = "all" if need.every_event else f"{len(need.events)}: {', '.join(shown)}"
    rows = {
        "rule": rule.name if rule.enabled else f"{rule.name} (disabled)",
        "in": f"{rule.file}:{rule.line}",
        "description": " ".join(rule.desc.split()),
        "condition": " ".join(rule.condition.split()),
        "output": " ".join(rule.output.split()),
        "priority": rule.priority,
        "tags": ", ".join(rule.tags),
        "events": events,
        "fields": ", ".join(need.condition_fields),
        "of the output": ", ".join(need.output_fields),
        "operators": " ".join(need.operators),
        "macros": ", ".join(sorted(rule.macros)),
        "lists": ", ".join(rule.lists),
        "exceptions": "\n".join(map(_exception, rule.exceptions)),
        "throttle": _throttle(rule.throttle) if rule.throttle else "",
        "cost": need.cost,
    }
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, text in rows.items():
        table.add_row(f"[bold]{name}[/bold]", _plain(text or "none"))
    Console().print(table)


def _throttle(throttle: "Throttle") -> str:
    per = f" of each {', '.join(throttle.per)}" if throttle.per else ""
    return f"{throttle.burst}{per} in {throttle.written()['every']}" if throttle.burst else "never"


def _exception(shape: "Shape") -> str:
    compared = ", ".join(map(" ".join, zip(shape.fields, shape.comps, strict=True)))
    return f"{shape.name}: {compared} ({shape.values} values)"


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(text)
