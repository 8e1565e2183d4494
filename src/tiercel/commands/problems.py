"""How `tiercel rules check` shows what is wrong with rule files: lines for people, or Falco's JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tiercel.rules.load import Loaded
    from tiercel.rules.problems import Problem


def lines(loaded: Loaded, *, colour: bool) -> Iterator[str]:
    """Each problem with its line and a caret, errors and warnings in the order of the files."""
    import typer

    order = {name: number for number, name in enumerate(loaded.files)}
    for problem in sorted(loaded.problems, key=lambda problem: (order.get(problem.file, 0), problem.place.offset)):
        shown = problem.shown(loaded.contents)
        if colour:
            word = "error" if problem.is_error else "warning"
            red = typer.style(word, fg="red" if problem.is_error else "yellow", bold=True)
            shown = shown.replace(f": {word} ", f": {red} ", 1)
        yield shown


def results(loaded: Loaded) -> dict[str, Any]:
    """One result a file, as Falco's `falco_load_results` has them; lines and columns count from 0."""
    return {"falco_load_results": [_result(loaded, name) for name in loaded.files]}


def _result(loaded: Loaded, name: str) -> dict[str, Any]:
    mine = [problem for problem in loaded.problems if problem.file == name]
    errors = [_entry(loaded, problem) for problem in mine if problem.is_error]
    warnings = [_entry(loaded, problem) for problem in mine if not problem.is_error]
    return {"name": name, "successful": not errors, "errors": errors, "warnings": warnings}


def _entry(loaded: Loaded, problem: Problem) -> dict[str, Any]:
    from tiercel.rules.problems import ERRORS, WARNINGS

    locations = [
        {
            "item_type": location.item_type,
            "item_name": location.name,
            "position": {"name": location.file, **location.place._asdict()},
        }
        for location in problem.locations
    ]
    return {
        "context": {"locations": locations, "snippet": problem.snippet(loaded.contents)},
        "code": problem.code,
        "codedesc": (ERRORS | WARNINGS)[problem.code],
        "message": problem.message,
    }
