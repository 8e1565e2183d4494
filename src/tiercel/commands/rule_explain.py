"""`tiercel rules explain`: why a rule matched an event, or did not."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tiercel.commands import Context
from tiercel.errors import TiercelError

if TYPE_CHECKING:
    from tiercel._engine import Batch, Host
    from tiercel.rules.compile import CompiledRule
    from tiercel.rules.explain.judge import Judge, Verdict


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("explain")(explain)


def explain(
    context: typer.Context,
    rule: Annotated[str, typer.Argument(metavar="RULE", help="Name of a rule.")],
    *,
    rules: Annotated[
        list[Path] | None,
        typer.Option("--rules", "-r", metavar="PATH", help="Rule file or directory; repeatable. Default: the shipped."),
    ] = None,
    event: Annotated[
        str | None, typer.Option(metavar="ID", help="An event of history: host/boot/number, as `hunt --json` has it.")
    ] = None,
    capture: Annotated[Path | None, typer.Option(metavar="FILE", help="Events of a .scap capture.")] = None,
    number: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="The event of the capture with this evt.num. Default: all that match."),
    ] = None,
    dsn: Annotated[str | None, typer.Option(metavar="DSN", help="Where history is, as for hunt.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object for each event.")] = False,
) -> None:
    """Show why a rule matched an event or did not: each clause, whether it holds, and its value.

    Of a capture without --number: all events that match, or if there are none the one that came furthest.
    """
    from tiercel.rules.explain import render
    from tiercel.rules.explain.judge import Judge

    if (event is None) == (capture is None):
        raise typer.BadParameter("name either an event or a capture", param_hint="--event, --capture")
    judge = Judge(_rule(context, rule, rules))
    verdicts = _of_capture(judge, capture, number) if capture else _of_history(context, judge, str(event), dsn)
    count = 0
    for count, verdict in enumerate(verdicts, 1):
        if as_json:
            print(json.dumps(render.as_json(verdict), ensure_ascii=False))
        elif count == 1:
            print("\n".join(render.text(verdict)))
        else:
            print(f"\nalso {render.event(verdict.event)}" if count == 2 else f"also {render.event(verdict.event)}")
    if not count:
        raise TiercelError(f"no event of {capture} is of a type that the rule {rule!r} looks at")


def _rule(context: typer.Context, name: str, paths: list[Path] | None) -> "CompiledRule":
    from tiercel.commands.rules import loaded
    from tiercel.rules.testing.form import meant

    obj: Context = context.obj
    rules = loaded(paths or obj.settings().worker.rules).rules
    found = next((rule for rule in rules if rule.name == name), None)
    if found is None:
        raise TiercelError(f"there is no rule {name!r}{meant(name, (rule.name for rule in rules))}")
    return found


def _of_capture(judge: "Judge", path: Path, number: int | None) -> "Iterator[Verdict]":
    from tiercel._engine import Host
    from tiercel.recording import Capture

    def batches() -> "Iterator[tuple[Host, Batch, str]]":
        capture, host = Capture(path), Host()
        for batch in capture:
            yield host, batch, capture.hostname

    if number is None:
        matched, best = judge.survey(batches)
        numbers = matched if best is None else [best]
    else:
        numbers = [number]
    for verdict in judge.on(batches, numbers):
        yield verdict
        number = None
    if number is not None:
        raise TiercelError(f"{path} has no event with the number {number} that rules see")


def _of_history(context: typer.Context, judge: "Judge", event: str, dsn: str | None) -> "Iterator[Verdict]":
    from tiercel.commands.history import open_store
    from tiercel.rules.explain.clauses import ABOUT

    yield judge.of_row(open_store(context, dsn).event(event, [*judge.root.fields(), *ABOUT]))
