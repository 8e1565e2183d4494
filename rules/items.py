"""What a rule file defines: lists, macros, rules and their exceptions, as read, before anything is compiled."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple, Never

from tiercel.rules.document import Element, Mapping, Place, Scalar, Sequence
from tiercel.rules.parse import meant
from tiercel.rules.problems import Location, Problem, Rejected, in_content
from tiercel.rules.source import File, Source

PRIORITIES = ("Emergency", "Alert", "Critical", "Error", "Warning", "Notice", "Informational", "Debug")
TRUE = ("y", "yes", "true", "on")
FALSE = ("n", "no", "false", "off")


@dataclass(slots=True)
class List:
    name: str
    items: list[str]
    item: Item
    index: int
    """Number of the item that first defined it, and"""
    visible: int
    """of the one that last touched it: it sees what was first defined before that."""
    used: bool = False


@dataclass(slots=True)
class Macro:
    """A macro whose own item is wrong has no condition: who uses it is not wrong as well."""

    name: str
    condition: Source | None
    item: Item
    index: int
    visible: int
    used: bool = False
    reported: bool = False


class Value(NamedTuple):
    """A value of an exception, and the exception as an item of the file that it was written in."""

    item: Item
    element: Element


@dataclass(slots=True)
class ExceptionEntry:
    """An exception of a rule: `values` are the texts that stand right of the comparisons, one row a tuple."""

    name: str
    item: Item
    place: Scalar
    fields: list[Scalar] | Scalar | None = None
    comps: list[Scalar] | Scalar | None = None
    values: list[Value] = field(default_factory=list)


@dataclass(slots=True)
class Rule:
    """A rule; `broken` if an item that says something of it is wrong: what is left of it is checked all the same."""

    name: str
    item: Item
    condition: Source | None = None
    output: Source | None = None
    desc: str = ""
    priority: int = 0
    source: str = "syscall"
    enabled: bool = True
    tags: set[str] = field(default_factory=set)
    warn_evttypes: bool = True
    skip_unknown: bool = False
    capture: bool = False
    capture_duration: int = 0
    exceptions: dict[str, ExceptionEntry] = field(default_factory=dict)
    broken: bool = False


@dataclass(slots=True)
class Item:
    """One entry of a rule file, and typed access to its keys; a wrong one rejects the item.

    `within` is what the entry is part of, as the exceptions of a rule are.
    """

    file: File
    node: Mapping
    kind: str
    name: str
    within: tuple[Location, ...] = ()

    @property
    def location(self) -> Location:
        return Location(self.kind, self.name, self.file.name, self.node.place)

    @property
    def locations(self) -> tuple[Location, ...]:
        return (*self.within, self.location)

    def fail(
        self, message: str, place: Place | None = None, code: str = "LOAD_ERR_YAML_VALIDATE", *, what: str = ""
    ) -> Never:
        raise Rejected(self.problem(code, message, place, what=what))

    def problem(self, code: str, message: str, place: Place | None = None, *, what: str = "") -> Problem:
        """A problem of this item, at `place`; `what` says what stands there, if not the item itself."""
        place = place or self.node.place
        what, _, name = what.partition(": ")
        inside = (Location(what, name, self.file.name, place),) if what else ()
        return in_content(code, message, self.file.name, place, *self.locations, *inside)

    def has(self, key: str) -> bool:
        return key in self.node.items

    def scalar(self, key: str) -> Scalar | None:
        """The text of a key; none where it is missing."""
        element = self.node.items.get(key)
        if element is None:
            return None
        if not isinstance(element, Scalar):
            self.fail(f"'{key}' must be a text", element.place, what=f"value for: {key}")
        return element

    def required(self, key: str) -> Scalar:
        element = self.scalar(key)
        if element is None:
            self.fail(f"the {self.kind} has no '{key}'")
        if element.null or not element.text:
            self.fail(f"'{key}' must not be empty", element.place, what=f"value for: {key}")
        return element

    def flag(self, key: str, default: bool) -> bool:
        element = self.scalar(key)
        if element is None:
            return default
        word = element.text.lower()
        if word not in TRUE + FALSE:
            self.fail(f"'{key}' must be true or false", element.place, what=f"value for: {key}")
        return word in TRUE

    def number(self, key: str, default: int) -> int:
        element = self.scalar(key)
        if element is None:
            return default
        if not element.text.isascii() or not element.text.isdigit():
            self.fail(f"'{key}' must be a number", element.place, what=f"value for: {key}")
        return int(element.text[:18])

    def sequence(self, key: str) -> list[Element]:
        element = self.node.items.get(key)
        if element is None or (isinstance(element, Scalar) and element.null):
            return []
        if not isinstance(element, Sequence):
            self.fail(f"'{key}' must be a list", element.place, what=f"value for: {key}")
        return element.items

    def texts(self, key: str) -> list[str]:
        """A list of texts."""
        out = []
        for element in self.sequence(key):
            if not isinstance(element, Scalar):
                what = "list item" if self.kind == "list" else f"value for: {key}"
                self.fail(f"'{key}' must hold texts only", element.place, what=what)
            out.append(element.text)
        return out

    def source(self, key: str) -> Source:
        return Source.of(self.file, self.required(key))

    def priority(self) -> int:
        element = self.required("priority")
        number = priority(element.text)
        if number is None:
            close = meant(element.text.capitalize(), PRIORITIES)
            message = f"'{element.text}' is no priority{close or '; one of ' + ', '.join(PRIORITIES)}"
            self.fail(message, element.place, what="rule priority")
        return number


def priority(word: str) -> int | None:
    """The number of a priority by its name, in any case; 0 is the most urgent."""
    names = [name.lower() for name in PRIORITIES]
    word = {"info": "informational"}.get(word.lower(), word.lower())
    return names.index(word) if word in names else None
