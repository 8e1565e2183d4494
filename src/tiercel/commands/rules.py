"""`tiercel rules check`, and how the other commands load rules."""

import fnmatch
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from tiercel._engine import RuleSet
    from tiercel.config import Worker
    from tiercel.rules.load import Loaded
    from tiercel.rules.sets import CompiledSet
    from tiercel.rules.throttle import Throttle

app = typer.Typer(no_args_is_help=True, help="Check, test, explain and list rules.")

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
