"""`tiercel rules check`, and how the other commands load rules."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tiercel._engine import RuleSet
    from tiercel.config import Worker
    from tiercel.rules.load import Loaded
    from tiercel.rules.sets import CompiledSet

app = typer.Typer(no_args_is_help=True, help="Check, test, explain and list rules.")


def load(settings: "Worker") -> "RuleSet":
    """The rule set of the configuration, compiled; RuleError with file, line and column if a file is wrong."""
    from tiercel._engine import RuleSet

    return RuleSet(plan(settings, throttled=True))


def plan(settings: "Worker", *, throttled: bool) -> str:
    """The rules of the configuration as the engine reads them; RuleError as `load`."""
    from tiercel.rules import sets

    return sets.plan(loaded(settings.rules), settings, throttled=throttled)


def load_set(settings: "Worker") -> "CompiledSet":
    """The same as a set that can be reloaded; RefusedError has all that is wrong."""
    from tiercel.rules import sets

    return sets.compiled(sets.read(settings.rules, settings))


def loaded(paths: Sequence[str | Path]) -> "Loaded":
    """Rule files, or the shipped ones."""
    from tiercel.rules.load import rules_from

    return rules_from(paths)


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
