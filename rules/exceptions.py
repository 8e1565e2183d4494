"""Exceptions of rules: read from YAML, and written as the text that Falco appends to the condition."""

from __future__ import annotations

from typing import NamedTuple

from tiercel.rules.document import Element, Mapping, Scalar, Sequence
from tiercel.rules.fields import resolve
from tiercel.rules.items import ExceptionEntry, Item
from tiercel.rules.parse import LIST, MODIFIERS, NUMERIC, STRING, UNARY, ConditionError, parse
from tiercel.rules.problems import Problem
from tiercel.rules.tree import Check, FieldRef

KEYS = ("name", "fields", "comps", "values")
LIST_COMPS = (*LIST, *(f"{operator} {modifier}" for operator in STRING for modifier in MODIFIERS))
COMPS = UNARY + NUMERIC + STRING + LIST_COMPS


class Shape(NamedTuple):
    """An exception without its values: one operator a field, and how many values there are; none: it does nothing."""

    name: str
    fields: tuple[str, ...]
    comps: tuple[str, ...]
    values: int


def shape(entry: ExceptionEntry) -> Shape:
    """What an exception compares."""
    if isinstance(entry.fields, Scalar):
        comps = (entry.comps.text,) if isinstance(entry.comps, Scalar) else ("in",)
        return Shape(entry.name, (entry.fields.text,), comps, len(entry.values))
    fields = tuple(each.text for each in entry.fields or [])
    told = tuple(comp.text for comp in entry.comps) if isinstance(entry.comps, list) else ("=",) * len(fields)
    return Shape(entry.name, fields, told, len(entry.values))


def read(
    item: Item, *, append_to: dict[str, ExceptionEntry] | None = None
) -> tuple[dict[str, ExceptionEntry], list[Problem]]:
    """The exceptions of a rule item; appended ones may have values alone if their name is known."""
    entries: dict[str, ExceptionEntry] = {} if append_to is None else dict(append_to)
    warnings: list[Problem] = []
    seen: set[str] = set()
    for element in item.sequence("exceptions"):
        if not isinstance(element, Mapping):
            item.fail("an exception must have name and fields", element.place)
        entry = _entry(item, element, warnings)
        if entry.name in seen:
            warnings.append(
                item.problem(
                    "LOAD_EXCEPTION_NAME_NOT_UNIQUE", f"exception '{entry.name}' is defined twice", entry.place.place
                )
            )
        seen.add(entry.name)
        known = entries.get(entry.name) if append_to is not None else None
        if known is None:
            if entry.fields is None:
                item.fail(f"exception '{entry.name}' has no fields", entry.place.place, "LOAD_ERR_VALIDATE")
            _check_shape(item, entry)
            entries[entry.name] = entry
        elif entry.fields is not None or entry.comps is not None:
            item.fail(
                f"exception '{entry.name}' exists: only values can be appended", entry.place.place, "LOAD_ERR_VALIDATE"
            )
        else:
            merged = ExceptionEntry(
                known.name, item, entry.place, known.fields, known.comps, known.values + entry.values
            )
            entries[entry.name] = merged
        if append_to is not None and not entry.values:
            warnings.append(
                item.problem("LOAD_APPEND_NO_VALUES", f"exception '{entry.name}' appends no values", entry.place.place)
            )
    return entries, warnings


def _entry(item: Item, node: Mapping, warnings: list[Problem]) -> ExceptionEntry:
    name = node.items.get("name")
    if not isinstance(name, Scalar) or name.null or not name.text:
        item.fail("an exception needs a name", node.place)
    for key, place in node.keys.items():
        if key not in KEYS:
            warnings.append(
                item.problem("LOAD_UNKNOWN_KEY", f"unknown key '{key}' in exception '{name.text}'", place.place)
            )
    values = node.items.get("values")
    if values is not None and not isinstance(values, Sequence) and not (isinstance(values, Scalar) and values.null):
        item.fail(f"values of exception '{name.text}' must be a list", values.place)
    rows = values.items if isinstance(values, Sequence) else []
    return ExceptionEntry(name.text, item, name, _words(item, node, "fields"), _words(item, node, "comps"), rows)


def _words(item: Item, node: Mapping, key: str) -> list[Scalar] | Scalar | None:
    element = node.items.get(key)
    if element is None or (isinstance(element, Scalar) and element.null):
        return None
    if isinstance(element, Scalar):
        return element
    if isinstance(element, Sequence):
        words = [word for word in element.items if isinstance(word, Scalar)]
        if len(words) == len(element.items) and words:
            return words
    return item.fail(f"'{key}' of an exception must be a text or a list of texts", element.place)


def _check_shape(item: Item, entry: ExceptionEntry) -> None:
    """Fields exist, operators are known, and there is one for each field."""
    single = isinstance(entry.fields, Scalar)
    fields = [entry.fields] if isinstance(entry.fields, Scalar) else entry.fields or []
    comps = [entry.comps] if isinstance(entry.comps, Scalar) else entry.comps
    if comps is not None and (isinstance(entry.comps, Scalar) != single or len(comps) != len(fields)):
        message = f"exception '{entry.name}': fields and comps must have the same length"
        item.fail(message, comps[0].place, "LOAD_ERR_VALIDATE")
    for comp in comps or []:
        if comp.text not in (LIST_COMPS if single else COMPS):
            message = (
                f"exception '{entry.name}': '{comp.text}' is no operator for {'lists' if single else 'exceptions'}"
            )
            item.fail(message, comp.place, "LOAD_ERR_VALIDATE")
    for word in fields:
        try:
            node = parse(f"{word.text} exists")
            if not isinstance(node, Check):
                raise ConditionError(f"'{word.text}' is no field", 0)
            if isinstance(node.left, FieldRef):
                resolve(node.left)
        except ConditionError as error:
            item.fail(f"exception '{entry.name}': {error.message}", word.place, "LOAD_ERR_VALIDATE")


def text(entry: ExceptionEntry) -> str:
    """` and not …`, or nothing where the exception has no values."""
    if not entry.values:
        return ""
    if isinstance(entry.fields, Scalar):
        comp = entry.comps.text if isinstance(entry.comps, Scalar) else "in"
        return f" and not {entry.fields.text} {comp} ({', '.join(_value(entry, value) for value in entry.values)})"
    fields = entry.fields or []
    comps = [comp.text for comp in entry.comps] if isinstance(entry.comps, list) else ["="] * len(fields)
    rows = []
    for row in entry.values:
        if not isinstance(row, Sequence) or len(row.items) != len(fields):
            message = f"exception '{entry.name}': each of its values must be a list of {len(fields)}"
            entry.item.fail(message, row.place, "LOAD_ERR_VALIDATE")
        parts = [
            f"{field.text} {comp} {_tuple_value(entry, comp, value)}"
            for field, comp, value in zip(fields, comps, row.items, strict=True)
        ]
        rows.append(f"({' and '.join(parts)})")
    return f" and not ({' or '.join(rows)})"


def _tuple_value(entry: ExceptionEntry, comp: str, value: Element) -> str:
    if isinstance(value, Sequence):
        return f"({', '.join(_value(entry, each) for each in value.items)})"
    shown = _value(entry, value)
    return f"({shown})" if comp in LIST_COMPS and not shown.startswith("(") else shown


def _value(entry: ExceptionEntry, value: Element) -> str:
    if not isinstance(value, Scalar):
        return entry.item.fail(f"exception '{entry.name}': a value must be a text", value.place, "LOAD_ERR_VALIDATE")
    return quoted(value.text)


def quoted(value: str) -> str:
    """A value as it stands in a condition: with quotes where it holds blanks and has none yet."""
    if value and value[0] in "'\"":
        return value
    return f'"{value}"' if " " in value or not value else value
