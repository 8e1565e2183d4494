"""`tiercel rules check` and `list`, and how the other commands load rules."""

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tiercel.errors import TiercelError

if TYPE_CHECKING:
    from tiercel._engine import RuleSet
    from tiercel.config import Worker
    from tiercel.rules.load import Loaded

app = typer.Typer(no_args_is_help=True, help="Check and list rule files.")


def load(settings: "Worker") -> "RuleSet":
    """The rule set of the configuration, compiled; RuleError with file, line and column if a file is wrong."""
    return compiled(chosen(loaded(settings.rules), settings), settings)


def loaded(paths: Sequence[str | Path]) -> "Loaded":
    """Rule files, or the shipped ones."""
    from tiercel.rules.load import rules_from

    return rules_from(paths)


def chosen(rules: "Loaded", settings: "Worker") -> "Loaded":
    """What the configuration makes of them: which are on, and what their alerts carry besides."""
    from tiercel.rules import choice

    found = choice.chosen(rules.rules, settings.select, settings.priority)
    return replace(rules, rules=choice.appended(found, settings.append_output))


def compiled(rules: "Loaded", settings: "Worker") -> "RuleSet":
    """What the engine evaluates."""
    from tiercel._engine import RuleSet

    return RuleSet(rules.plan(matching=settings.matching, base64=settings.buffer_format_base64))


@app.command()
def check(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Rule files or directories, in load order.")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="As Falco's falco_load_results.")] = False,
) -> None:
    """Validate rule files; every error and warning with file, line and column.

    Exit status 1 if there is an error; warnings alone are fine.
    """
    from tiercel.commands import problems
    from tiercel.rules.load import load as load_files

    result = load_files(files)
    if as_json:
        print(json.dumps(problems.results(result)))
    else:
        for line in problems.lines(result, colour=sys.stdout.isatty()):
            print(line)
        count = len(result.rules)
        typer.echo(f"{count} rules, {len(result.errors)} errors, {len(result.warnings)} warnings", err=True)
    if result.errors:
        raise typer.Exit(1)


@app.command("list")
def list_rules(
    files: Annotated[list[Path] | None, typer.Argument(metavar="[FILE]...", help="Default: the shipped rules.")] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """List rules: name, priority, tags, what they are for."""
    from rich.console import Console
    from rich.table import Table

    rules = loaded(files or []).rules
    if not rules:
        raise TiercelError("there are no rules in these files")
    if as_json:
        for rule in rules:
            line = {"rule": rule.name, "priority": rule.priority, "enabled": rule.enabled, "tags": list(rule.tags)}
            print(json.dumps(line | {"desc": rule.desc, "file": rule.file, "line": rule.line}, ensure_ascii=False))
        return
    table = Table("rule", "priority", "tags", "description", box=None, header_style="bold", pad_edge=False)
    for rule in rules:
        name = rule.name if rule.enabled else f"{rule.name} (disabled)"
        table.add_row(name, rule.priority, ", ".join(rule.tags), rule.desc)
    Console().print(table)
