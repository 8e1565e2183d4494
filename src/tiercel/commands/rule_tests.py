"""`tiercel rules test`: runs the tests that stand beside rules."""

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("test")(test)


def test(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[PATH]...", help="Files of tests or of rules, or directories. Default: the shipped rules."
        ),
    ] = None,
) -> None:
    """Run the tests of rules: what they tell as real events through the engine, and the alerts that must come.

    Exit status 1 if one fails. docs/rule-tests.md describes how tests are written.
    """
    from tiercel.rules.testing.run import Runner
    from tiercel.rules.testing.suite import LIBRARY, find

    count = failed = 0
    for outcome in Runner().run(find(paths or [LIBRARY])):
        count += 1
        if outcome.failure:
            failed += 1
            print(f"FAILED {outcome.test.where} {outcome.test.name}: {outcome.failure}")
    typer.echo(f"{count} tests, {failed} failed", err=True)
    if failed:
        raise typer.Exit(1)
