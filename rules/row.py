"""The fields of one stored event, as expressions over its rows in the store; hunt/query.py asks them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from tiercel.rules import columns as store
from tiercel.rules.columns import Column, Table
from tiercel.rules.fields import resolve
from tiercel.rules.parse import ConditionError, parse
from tiercel.rules.tree import Check, FieldRef


@dataclass(frozen=True, slots=True)
class Selection:
    """Expressions by table and field, and of the fields that the store does not have the reason."""

    found: dict[Table, dict[str, Column]] = field(default_factory=dict)
    unknown: dict[str, str] = field(default_factory=dict)


def select(names: Iterable[str]) -> Selection:
    """Where the fields of these names are; ConditionError if one is no field."""
    out = Selection()
    for name in dict.fromkeys(names):
        check = parse(f"{name} exists")
        if not isinstance(check, Check) or not isinstance(check.left, FieldRef):
            raise ConditionError(f"{name} is no field", 0)
        known = resolve(check.left)
        columns = store.columns(known.field, known.argument)
        if isinstance(columns, str):
            out.unknown[name] = columns
        else:
            out.found.setdefault(columns[0].table, {})[name] = columns[0]
    return out


def expression(column: Column, *, on_host: bool = False) -> str:
    """A value of the row, NULL where it is absent; an array is empty there."""
    text = column.on_host if on_host and column.on_host else column.text
    if column.many:
        return text
    return f"if({column.guard}, {text}, NULL)" if column.guard else text
