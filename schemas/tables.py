"""The event and field tables as typed rows: for the rule checker, the SQL compiler and the command line."""

from functools import cache
from typing import NamedTuple

from tiercel.schemas import generated


class Param(NamedTuple):
    """A parameter of an event; `flags`, `dyn` and `dirfd` as events.toml explains them."""

    name: str
    type: str
    format: str | None
    flags: str | None
    dyn: str | None
    dirfd: int | None


class Event(NamedTuple):
    """An event type. `fd` is the number of the parameter that names its descriptor."""

    code: int
    name: str
    category: str
    source: str
    flags: tuple[str, ...]
    fd: int | None
    params: tuple[Param, ...]


class Field(NamedTuple):
    """A filter and output field. `arg` is none, optional or required; `arg_syntax` how it is written.

    `example` is a condition with the field.
    """

    name: str
    type: str
    scope: str
    format: str | None
    list: bool
    arg: str
    arg_syntax: str | None
    flags: tuple[str, ...]
    doc: str
    example: str


@cache
def events() -> tuple[Event, ...]:
    """Every event, in table order (by code)."""
    return tuple(
        Event(code, name, category, source, flags, fd, tuple(Param(*param) for param in params))
        for code, name, category, source, flags, fd, params in generated.EVENTS
    )


@cache
def fields() -> dict[str, Field]:
    """Every field by name, in table order."""
    return {row[0]: Field(*row) for row in generated.FIELDS}
