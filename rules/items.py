"""What a rule file defines: lists, macros, rules and their exceptions, as read, before anything is compiled."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Never

from tiercel.rules.document import Element, Mapping, Place, Scalar, Sequence
from tiercel.rules.problems import Problem, Rejected
from tiercel.rules.source import File, Source

if TYPE_CHECKING:
    from tiercel.rules.throttle import Throttle

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
    name: str
    condition: Source
    item: Item
    index: int
    visible: int
    used: bool = False


@dataclass(slots=True)
class ExceptionEntry:
    """An exception of a rule: `values` are the texts that stand right of the comparisons, one row a tuple."""

    name: str
    item: Item
    place: Scalar
    fields: list[Scalar] | Scalar | None = None
    comps: list[Scalar] | Scalar | None = None
    values: list[Element] = field(default_factory=list)


@dataclass(slots=True)
class Rule:
    name: str
    item: Item
    condition: Source
    output: Source
    desc: str
    priority: int
    source: str = "syscall"
    enabled: bool = True
    tags: set[str] = field(default_factory=set)
    warn_evttypes: bool = True
    skip_unknown: bool = False
    capture: bool = False
    capture_duration: int = 0
    exceptions: dict[str, ExceptionEntry] = field(default_factory=dict)
    throttle: Throttle | None = None


@dataclass(slots=True)
class Item:
    """One entry of a rule file, and typed access to its keys; a wrong one rejects the item."""

    file: File
    node: Mapping
    kind: str
    name: str

    def fail(self, message: str, place: Place | None = None, code: str = "LOAD_ERR_YAML_VALIDATE") -> Never:
        raise Rejected(self.problem(code, message, place))

    def problem(self, code: str, message: str, place: Place | None = None) -> Problem:
        return Problem(code, message, self.file.name, place or self.node.place, self.kind, self.name)

    def has(self, key: str) -> bool:
        return key in self.node.items

    def scalar(self, key: str) -> Scalar | None:
        """The text of a key; none where it is missing."""
        element = self.node.items.get(key)
        if element is None:
            return None
        if not isinstance(element, Scalar):
            self.fail(f"'{key}' must be a text", element.place)
        return element

    def required(self, key: str) -> Scalar:
        element = self.scalar(key)
        if element is None:
            self.fail(f"the {self.kind} has no '{key}'")
        if element.null or not element.text:
            self.fail(f"'{key}' must not be empty", element.place)
        return element

    def flag(self, key: str, default: bool) -> bool:
        element = self.scalar(key)
        if element is None:
            return default
        word = element.text.lower()
        if word not in TRUE + FALSE:
            self.fail(f"'{key}' must be true or false", element.place)
        return word in TRUE

    def number(self, key: str, default: int) -> int:
        element = self.scalar(key)
        if element is None:
            return default
        if not element.text.isascii() or not element.text.isdigit():
            self.fail(f"'{key}' must be a number", element.place)
        return int(element.text[:18])

    def sequence(self, key: str) -> list[Element]:
        element = self.node.items.get(key)
        if element is None or (isinstance(element, Scalar) and element.null):
            return []
        if not isinstance(element, Sequence):
            self.fail(f"'{key}' must be a list", element.place)
        return element.items

    def texts(self, key: str) -> list[str]:
        """A list of texts."""
        out = []
        for element in self.sequence(key):
            if not isinstance(element, Scalar):
                self.fail(f"'{key}' must hold texts only", element.place)
            out.append(element.text)
        return out

    def source(self, key: str) -> Source:
        return Source.of(self.file, self.required(key))

    def priority(self) -> int:
        element = self.required("priority")
        names = [name.lower() for name in PRIORITIES]
        word = {"info": "informational"}.get(element.text.lower(), element.text.lower())
        if word not in names:
            self.fail(f"'{element.text}' is no priority; one of {', '.join(PRIORITIES)}", element.place)
        return names.index(word)
