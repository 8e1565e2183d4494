"""`tiercel rules check` and `list`, and how the other commands load rules."""

import fnmatch
import json
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from tiercel.commands import Context
from tiercel.errors import TiercelError

if TYPE_CHECKING:
    from tiercel._engine import RuleSet
    from tiercel.config import Worker
    from tiercel.rules.load import Loaded
    from tiercel.rules.problems import Problem
    from tiercel.rules.sets import CompiledSet
    from tiercel.rules.throttle import Throttle

app = typer.Typer(no_args_is_help=True, help="Check and list rule files.")

PRIORITIES = ("emergency", "alert", "critical", "error", "warning", "notice", "informational", "debug")


def load(settings: "Worker") -> "RuleSet":
    """The rule set of the configuration, compiled; RuleError with file, line and column if a file is wrong."""
    return compiled(loaded(settings.rules), settings.matching, throttled=True, default=default_throttle(settings))


def load_set(settings: "Worker") -> "CompiledSet":
    """The same as a set that can be reloaded; RefusedError has all that is wrong."""
    from tiercel.rules import sets

    return sets.compiled(sets.read(settings.rules, settings.matching, default_throttle(settings)))


def default_throttle(settings: "Worker") -> "Throttle | None":
    """Of rules that say nothing of it."""
    from tiercel.rules.throttle import of_settings

    return of_settings(settings.throttle_burst, settings.throttle_every_s)


def loaded(paths: Sequence[str | Path]) -> "Loaded":
    """Rule files, or the shipped ones."""
    from tiercel.rules.load import rules_from

    return rules_from(paths)


def compiled(
    rules: "Loaded",
    matching: Literal["first", "all"],
    *,
    throttled: bool = False,
    default: "Throttle | None" = None,
) -> "RuleSet":
    """What the engine evaluates; `throttled` as `Loaded.plan` has it."""
    from tiercel._engine import RuleSet

    return RuleSet(rules.plan(matching=matching, throttled=throttled, default=default))


def select(
    rules: "Loaded",
    *,
    disable_tags: Sequence[str] = (),
    only_tags: Sequence[str] = (),
    disable: Sequence[str] = (),
    min_priority: str = "debug",
) -> None:
    """Disable what the options of `replay` exclude."""
    wanted = min_priority.lower()
    least = [number for number, name in enumerate(PRIORITIES) if name.startswith(wanted)] if wanted else []
    if len(least) != 1:
        raise typer.BadParameter(f"{min_priority!r} is none of {', '.join(PRIORITIES)}", param_hint="--min-priority")
    rules.rules = [
        replace(
            rule,
            enabled=(rule.enabled or bool(only_tags))
            and not set(rule.tags) & set(disable_tags)
            and (not only_tags or bool(set(rule.tags) & set(only_tags)))
            and not any(fnmatch.fnmatchcase(rule.name, pattern) for pattern in disable)
            and PRIORITIES.index(rule.priority.lower()) <= least[0],
        )
        for rule in rules.rules
    ]


@app.command()
def check(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Rule files or directories, in load order.")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="As Falco's falco_load_results.")] = False,
) -> None:
    """Validate rule files; every error and warning with file, line and column.

    Exit status 1 if there is an error; warnings alone are fine.
    """
    from tiercel.rules.load import load as load_files

    result = load_files(files)
    if as_json:
        print(json.dumps({"falco_load_results": [_result(name, result.problems) for name in result.files]}))
    else:
        for problem in result.problems:
            print(f"{'error' if problem.is_error else 'warning'}: {problem}")
        count = len(result.rules)
        typer.echo(f"{count} rules, {len(result.errors)} errors, {len(result.warnings)} warnings", err=True)
    if result.errors:
        raise typer.Exit(1)


def _result(name: str, problems: "Sequence[Problem]") -> dict[str, Any]:
    mine = [problem for problem in problems if problem.file == name]
    errors = [_entry(problem) for problem in mine if problem.is_error]
    warnings = [_entry(problem) for problem in mine if not problem.is_error]
    return {"name": name, "successful": not errors, "errors": errors, "warnings": warnings}


def _entry(problem: "Problem") -> dict[str, Any]:
    from tiercel.rules.problems import ERRORS, WARNINGS

    position = {"name": problem.file, "line": problem.place.line, "column": problem.place.column, "offset": 0}
    place = {"item_type": problem.item_type, "item_name": problem.item, "position": position}
    return {
        "code": problem.code,
        "codedesc": (ERRORS | WARNINGS)[problem.code],
        "message": problem.message,
        "context": {"locations": [place]},
    }


@app.command()
def publish(
    context: typer.Context,
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Rule files or directories, in load order.")],
    *,
    brokers: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Kafka's bootstrap brokers; default: kafka.brokers.")
    ] = None,
) -> None:
    """Check rule files and give them to all workers, over the topic tiercel.rules.

    What has an error is not published; all errors are told, and the exit status is 1. worker.matching and
    worker.throttle_* of the configuration here go with the rules.
    """
    from tiercel.joints import kafka as joint
    from tiercel.processors.rules_topic import RulesTopic
    from tiercel.rules.sets import RefusedError
    from tiercel.schemas import topics

    obj: Context = context.obj
    settings = obj.settings(kafka={"brokers": brokers}, worker={"rules": [str(file) for file in files]})
    try:
        made = load_set(settings.worker)
        if not made.count:
            raise RefusedError(["there is no enabled rule in these files"])
    except RefusedError as refused:
        for error in refused.errors:
            print(f"error: {error}")
        raise TiercelError(f"not published: {len(refused.errors)} errors") from None
    for warning in made.warnings:
        print(f"warning: {warning}")
    client = settings.kafka.client()
    joint.check(client, [topics.RAW, topics.RULES])
    with closing(RulesTopic(client, joint.topic_id(client, topics.RAW))) as topic:
        again = topic.current == made.version
        topic.publish(made)
    told = "is current already" if again else "published"
    typer.echo(f"{made.count} rules {told}, version {made.version[:12]}", err=True)


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
            line |= {"throttle": rule.throttle.written()} if rule.throttle else {}
            print(json.dumps(line | {"desc": rule.desc, "file": rule.file, "line": rule.line}, ensure_ascii=False))
        return
    table = Table("rule", "priority", "tags", "description", box=None, header_style="bold", pad_edge=False)
    for rule in rules:
        name = rule.name if rule.enabled else f"{rule.name} (disabled)"
        table.add_row(name, rule.priority, ", ".join(rule.tags), rule.desc)
    Console().print(table)
