"""`tiercel rules test`: runs the tests that stand beside rules."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tiercel.errors import TiercelError

if TYPE_CHECKING:
    from tiercel.rules.testing.coverage import Coverage


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
    *,
    junit: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write the outcomes as JUnit XML, for CI.")
    ] = None,
    coverage: Annotated[
        bool,
        typer.Option(
            "--coverage",
            help="Also list, for each rule, clauses that were never true, and whether a test hits or just misses it.",
        ),
    ] = False,
) -> None:
    """Run the tests of rules: what they tell becomes real events, and the alerts must be those expected.

    A failure says what came instead, and the clause on which the rule failed. Exit status 1 if a test fails.
    How tests are written: docs/rule-tests.md.
    """
    from tiercel.printable import printable
    from tiercel.rules.testing.coverage import Coverage
    from tiercel.rules.testing.junit import write
    from tiercel.rules.testing.run import Runner
    from tiercel.rules.testing.suite import LIBRARY, find

    runner, outcomes, covered = Runner(), [], Coverage()
    for outcome in runner.run(find(paths or [LIBRARY])):
        outcomes.append(outcome)
        if outcome.failure is not None:
            print(printable(f"FAILED {outcome.test.where}: {outcome.test.name}: {outcome.failure}"))
        if coverage:
            covered.add(outcome, runner.rules(outcome.test.suite))
    if junit is not None:
        try:
            write(junit, outcomes)
        except OSError as error:
            raise TiercelError(f"{junit}: {error.strerror}") from None
    if coverage:
        _print(covered)
    failed = sum(outcome.failure is not None for outcome in outcomes)
    seconds = sum(outcome.seconds for outcome in outcomes)
    typer.echo(f"{len(outcomes)} tests, {failed} failed, {seconds:.2f} s", err=True)
    if failed:
        raise typer.Exit(1)


def _print(covered: "Coverage") -> None:
    rows = covered.rows()
    for row in rows:
        print(
            f"{row.rule}: {len(row.true)} of {len(row.clauses)} clauses, {row.hits} hits, {row.near_misses} near misses"
        )
        for clause in row.never:
            print(f"  never true: {clause}")
        if not row.hits:
            print("  no test hits it")
        if not row.near_misses:
            print("  no test just misses it")
    true, clauses = sum(len(row.true) for row in rows), sum(len(row.clauses) for row in rows)
    hit, missed = sum(bool(row.hits) for row in rows), sum(bool(row.near_misses) for row in rows)
    share = f"{true} of {clauses} clauses were true once"
    print(f"{len(rows)} rules, {hit} with a hit, {missed} with a near miss; {share}")
