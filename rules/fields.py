"""Names in conditions: fields with their arguments, event types; and what was probably meant by an unknown one."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from functools import cache

from tiercel.rules.parse import ConditionError
from tiercel.rules.tree import FieldRef
from tiercel.schemas import generated, tables

INDEX = re.compile(r"0|[1-9][0-9]{0,8}")
GENERIC_EVENT = 1


class UnknownNameError(ConditionError):
    """A field or an event type that does not exist: what `skip-if-unknown-filter` forgives."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """A row of the field table, with its argument as a number or text."""

    field: tables.Field
    argument: int | str | None


def resolve(ref: FieldRef) -> Resolved:
    """The longest field that the text begins with; the rest of the text must be its argument."""
    rows, name = tables.fields(), ref.name
    end = len(name)
    while end > 0:
        row = rows.get(name[:end])
        if row is not None:
            return _with_argument(row, name[end:].removeprefix("."), ref)
        end = name.rfind(".", 0, end)
    raise UnknownNameError(f"unknown field {name}{_meant(name, rows)}", ref.at)


def _with_argument(row: tables.Field, dotted: str, ref: FieldRef) -> Resolved:
    syntax = row.arg_syntax or ""
    if dotted:
        if "." not in syntax or ref.argument is not None:
            raise UnknownNameError(f"unknown field {ref.name}{_meant(ref.name, tables.fields())}", ref.at)
        if syntax != ".subsys" and dotted not in _parameters():
            raise UnknownNameError(
                f"{row.name}: no event has an argument '{dotted}'{_meant(dotted, _parameters())}", ref.at
            )
        return Resolved(row, dotted)
    if ref.argument is None:
        if row.arg == "required":
            raise ConditionError(f"{row.name} needs an argument: {row.name}{syntax}", ref.at)
        return Resolved(row, None)
    if "[" not in syntax:
        what = f"its argument is written {row.name}{syntax}" if syntax else "it takes no argument"
        raise ConditionError(f"{row.name}[{ref.argument}]: {what}", ref.at)
    if syntax == "[NAME]" or (syntax == "[index] or [key]" and not INDEX.fullmatch(ref.argument)):
        return Resolved(row, ref.argument)
    if not INDEX.fullmatch(ref.argument):
        raise ConditionError(f"{row.name}[{ref.argument}]: '{ref.argument}' is not a valid number", ref.at)
    return Resolved(row, int(ref.argument))


def _meant(name: str, known: object) -> str:
    """`; did you mean …?` where something comes close."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.75)  # type: ignore[call-overload]
    return f"; did you mean {close[0]}?" if close else ""


@cache
def _parameters() -> frozenset[str]:
    return frozenset(param.name for event in tables.events() for param in event.params)


@cache
def event_codes() -> dict[str, frozenset[int]]:
    """Codes of the events that a name in `evt.type` stands for: an event, or a system call without one of its own."""
    codes: dict[str, set[int]] = {}
    for event in tables.events():
        codes.setdefault(event.name, set()).add(event.code)
    for _, name, _, code, _, _ in generated.SYSCALLS:
        codes.setdefault(name, {code})
    for name in generated.OTHER_SYSCALLS:
        codes.setdefault(name, {GENERIC_EVENT})
    return {name: frozenset(found) for name, found in codes.items()}


@cache
def rule_codes() -> frozenset[int]:
    """Codes of the events that rules see: those of the kernel."""
    return frozenset(event.code for event in tables.events() if event.source in ("syscall", "tracepoint"))


def check_event_type(name: str, at: int) -> None:
    """Fail if no event is called so."""
    if name not in event_codes():
        raise UnknownNameError(f"unknown event type {name}{_meant(name, event_codes())}", at)
