"""Names in conditions: fields with their arguments, event types; and what was probably meant by an unknown one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, lru_cache

from tiercel.rules.parse import ConditionError, meant
from tiercel.rules.tree import FieldRef
from tiercel.schemas import generated, tables

INDEX = re.compile(r"0|[1-9][0-9]{0,8}")
DIGITS = re.compile(r"[0-9]{1,20}")
GENERIC_EVENT = 1
PATHS = frozenset({"src", "dst"})
SOURCES = {
    "k8smeta": "the Kubernetes API, through the plugin k8smeta; see k8s.*, from the labels of containers",
    "ka": "the audit log of Kubernetes",
    "json": "JSON events of a plugin",
    "jevt": "JSON events of a plugin",
    "ct": "AWS CloudTrail",
    "s3": "AWS CloudTrail",
    "ec2": "AWS CloudTrail",
    "ecr": "AWS CloudTrail",
    "iam": "AWS CloudTrail",
}
"""Classes of fields that only events of plugins carry: first word of their names → what tells these events."""


class UnknownNameError(ConditionError):
    """A field or an event type that does not exist: what `skip-if-unknown-filter` forgives."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """A row of the field table, with its argument as a number or text."""

    field: tables.Field
    argument: int | str | None


def resolve(ref: FieldRef) -> Resolved:
    """The longest field that the text begins with; the rest of the text must be its argument."""
    try:
        return _resolve(ref.name, ref.argument)
    except ConditionError as error:
        raise type(error)(error.message, ref.at) from None


@lru_cache(maxsize=4096)
def _resolve(name: str, argument: str | None) -> Resolved:
    rows, ref = tables.fields(), FieldRef(name, argument, 0)
    end = len(name)
    while end > 0:
        row = rows.get(name[:end])
        if row is not None:
            return _with_argument(row, name[end:].removeprefix("."), ref)
        end = name.rfind(".", 0, end)
    raise UnknownNameError(unknown(name), ref.at)


def unknown(name: str) -> str:
    """Why there is no field of this name, as one line."""
    source = SOURCES.get(name.partition(".")[0])
    if source and "." in name:
        return f"{name} needs a source Tiercel does not have: {source}"
    return f"unknown field {name}{meant(name, tables.fields())}"


def _with_argument(row: tables.Field, dotted: str, ref: FieldRef) -> Resolved:
    syntax = row.arg_syntax or ""
    if dotted:
        return Resolved(row, _dotted(row, dotted, ref))
    if ref.argument is None:
        if row.arg == "required":
            raise ConditionError(f"{row.name} needs an argument: {row.name}{syntax}", ref.at)
        return Resolved(row, None)
    if "[" not in syntax:
        what = f"its argument is written {row.name}{syntax}" if syntax else "it takes no argument"
        raise ConditionError(f"{row.name}[{ref.argument}]: {what}", ref.at)
    is_index = INDEX.fullmatch(ref.argument)
    if syntax == "[NAME]" or (syntax in ("[index] or [key]", "[n] or [NAME]") and not is_index):
        return Resolved(row, ref.argument)
    if syntax == "[ns]" and DIGITS.fullmatch(ref.argument):
        return Resolved(row, ref.argument)
    if not is_index:
        raise ConditionError(f"{row.name}[{ref.argument}]: '{ref.argument}' is not a valid number", ref.at)
    return Resolved(row, int(ref.argument))


def _dotted(row: tables.Field, dotted: str, ref: FieldRef) -> str:
    """An argument behind a dot, as the field's syntax has it."""
    syntax = row.arg_syntax or ""
    if "." not in syntax or ref.argument is not None:
        raise UnknownNameError(unknown(ref.name), ref.at)
    match syntax:
        case ".subsys":
            return dotted
        case ".src or .dst":
            if dotted not in PATHS:
                raise UnknownNameError(f"{ref.name}: write {row.name}.src or {row.name}.dst", ref.at)
        case ".eventname or .code":
            if not dotted.isdecimal():
                check_event_type(dotted, ref.at)
        case _ if dotted not in _parameters():
            raise UnknownNameError(
                f"{row.name}: no event has an argument '{dotted}'{meant(dotted, _parameters())}", ref.at
            )
    return dotted


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
        raise UnknownNameError(f"unknown event type {name}{meant(name, event_codes())}", at)
