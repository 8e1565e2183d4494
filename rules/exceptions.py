"""Exceptions of rules: read from YAML, and written as the text that Falco appends to the condition."""

from __future__ import annotations

import re
from typing import NamedTuple

from tiercel.rules.document import Mapping, Scalar, Sequence
from tiercel.rules.fields import resolve
from tiercel.rules.items import ExceptionEntry, Item, Value
from tiercel.rules.parse import LIST, MODIFIERS, NUMERIC, STRING, UNARY, ConditionError, meant, parse
from tiercel.rules.problems import Problem, Rejected
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


def read(item: Item, entries: dict[str, ExceptionEntry], problems: list[Problem], append: bool = False) -> None:
    """Put the exceptions of a rule item into `entries`; appended ones may have values alone if their name is known."""
    seen: set[str] = set()
    for element in item.sequence("exceptions"):
        if not isinstance(element, Mapping):
            problems.append(
                item.problem(
                    "LOAD_ERR_YAML_VALIDATE",
                    "an exception must have name and fields",
                    element.place,
                    what="exceptions",
                )
            )
            continue
        try:
            _read_one(Item(item.file, element, "exception", "", item.locations), entries, problems, seen, append)
        except Rejected as rejected:
            problems += rejected.problems


def _read_one(
    item: Item, entries: dict[str, ExceptionEntry], problems: list[Problem], seen: set[str], append: bool
) -> None:
    entry = _entry(item, problems)
    if entry.name in seen:
        message = f"exception '{entry.name}' is defined twice"
        problems.append(item.problem("LOAD_EXCEPTION_NAME_NOT_UNIQUE", message, entry.place.place))
    seen.add(entry.name)
    known = entries.get(entry.name) if append else None
    if known is None:
        if entry.fields is None:
            item.fail(f"exception '{entry.name}' has no fields", entry.place.place, "LOAD_ERR_VALIDATE")
        _check_shape(item, entry)
        entries[entry.name] = entry
    elif entry.fields is not None or entry.comps is not None:
        message = f"exception '{entry.name}' exists: only values can be appended"
        item.fail(message, entry.place.place, "LOAD_ERR_VALIDATE")
    else:
        known.values += entry.values
    if append and not entry.values:
        message = f"exception '{entry.name}' appends no values"
        problems.append(item.problem("LOAD_APPEND_NO_VALUES", message, entry.place.place))


def _entry(item: Item, problems: list[Problem]) -> ExceptionEntry:
    node, name = item.node, item.node.items.get("name")
    if not isinstance(name, Scalar) or name.null or not name.text:
        item.fail("an exception needs a name", node.place)
    item.name = name.text
    for key, place in node.keys.items():
        if key not in KEYS:
            message = f"unknown key '{key}' in exception '{name.text}'{meant(key, KEYS)}"
            problems.append(item.problem("LOAD_UNKNOWN_KEY", message, place.place))
    values = node.items.get("values")
    if values is not None and not isinstance(values, Sequence) and not (isinstance(values, Scalar) and values.null):
        item.fail(f"values of exception '{name.text}' must be a list", values.place, what="exception values")
    rows = [Value(item, row) for row in values.items] if isinstance(values, Sequence) else []
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
    return item.fail(
        f"'{key}' of an exception must be a text or a list of texts", element.place, what=f"value for: {key}"
    )


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
            known = LIST_COMPS if single else COMPS
            close = "" if comp.text in COMPS else meant(comp.text, known)
            what = "lists" if single else "exceptions"
            message = f"exception '{entry.name}': '{comp.text}' is no operator for {what}{close}"
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
        return f" and not {entry.fields.text} {comp} ({', '.join(map(_value, entry.values))})"
    fields = entry.fields or []
    comps = [comp.text for comp in entry.comps] if isinstance(entry.comps, list) else ["="] * len(fields)
    rows = []
    for item, row in entry.values:
        if not isinstance(row, Sequence) or len(row.items) != len(fields):
            message = f"exception '{entry.name}': each of its values must be a list of {len(fields)}"
            item.fail(message, row.place, "LOAD_ERR_VALIDATE", what="exception value")
        parts = [
            f"{field.text} {comp} {_tuple_value(comp, Value(item, value))}"
            for field, comp, value in zip(fields, comps, row.items, strict=True)
        ]
        rows.append(f"({' and '.join(parts)})")
    return f" and not ({' or '.join(rows)})"


def _tuple_value(comp: str, value: Value) -> str:
    item, element = value
    if isinstance(element, Sequence):
        return f"({', '.join(_value(Value(item, each)) for each in element.items)})"
    if comp not in LIST_COMPS:
        return _value(value)
    # A list may also be written as it would stand in a condition.
    if isinstance(element, Scalar) and element.text.startswith("("):
        return element.text
    return f"({_value(value)})"


def _value(value: Value) -> str:
    item, element = value
    if not isinstance(element, Scalar):
        message = f"exception '{item.name}': a value must be a text"
        item.fail(message, element.place, "LOAD_ERR_VALIDATE", what="exception value")
    return quoted(element.text)


def quoted(value: str) -> str:
    """A value as it stands in a condition: with quotes where it holds blanks and has none yet."""
    if value and value[0] in "'\"":
        return value
    if value and " " not in value:
        return value
    quote = "'" if '"' in value and "'" not in value else '"'
    return quote + (re.sub(r'(?<!\\)"', r"\"", value) if quote == '"' else value) + quote
