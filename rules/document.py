"""YAML as a tree of nodes with places, built from parser events: untyped scalars, bounded depth, size and aliases.

PyYAML's own composer recurses and expands without bounds, and its loader turns `on` and `012` into something else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import yaml

MAX_BYTES = 16 << 20
MAX_DEPTH = 64
MAX_NODES = 1_000_000

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Place(NamedTuple):
    """Where a node begins; line and column count from 0, as Falco's JSON does."""

    line: int
    column: int
    offset: int


@dataclass(slots=True)
class Scalar:
    text: str
    place: Place
    end: int
    plain: bool

    @property
    def null(self) -> bool:
        return self.plain and self.text in ("", "~", "null", "Null", "NULL")


@dataclass(slots=True)
class Sequence:
    items: list[Element]
    place: Place


@dataclass(slots=True)
class Mapping:
    """Keys are scalars; of a repeated key the last value counts, `repeated` names it."""

    items: dict[str, Element]
    keys: dict[str, Scalar]
    place: Place
    repeated: list[Scalar] = field(default_factory=list)


Element = Scalar | Sequence | Mapping


class DocumentError(Exception):
    """The text is no YAML, or too much of it."""

    def __init__(self, message: str, place: Place) -> None:
        super().__init__(message)
        self.message, self.place = message, place


def read(text: str) -> list[Element]:
    """The documents of a file; empty ones are left out."""
    if len(text) > MAX_BYTES:
        raise DocumentError(f"the file is larger than {MAX_BYTES >> 20} MiB", Place(0, 0, 0))
    try:
        return list(_Builder().documents(text))
    except yaml.reader.ReaderError as error:
        place = _place_of(text, int(error.position))
        raise DocumentError(f"the file holds a character that YAML does not allow: {error.reason}", place) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = _place(mark)
        raise DocumentError(", ".join(part for part in (error.context, error.problem) if part), place) from error


def _place_of(text: str, offset: int) -> Place:
    line = text.count("\n", 0, offset)
    return Place(line, offset - text.rfind("\n", 0, offset) - 1, offset)


def _place(mark: Any) -> Place:
    return Place(mark.line, mark.column, mark.index) if mark else Place(0, 0, 0)


class _Builder:
    def __init__(self) -> None:
        self.nodes = 0
        self.anchors: dict[str, tuple[Element, int]] = {}

    def documents(self, text: str) -> Iterator[Element]:  # noqa: PLR0912 one branch a kind of parser event
        """Nodes are counted as often as aliases repeat them, so a few lines cannot stand for a million."""
        stack: list[tuple[Sequence | Mapping, list[Scalar], str | None, int]] = []
        for event in yaml.parse(text, Loader=_Loader):
            place = _place(event.start_mark)
            node: Element | None = None
            if isinstance(event, yaml.DocumentStartEvent):
                self.anchors = {}
            elif isinstance(event, yaml.SequenceStartEvent | yaml.MappingStartEvent):
                self.count(1, place)
                if len(stack) >= MAX_DEPTH:
                    raise DocumentError(f"nested deeper than {MAX_DEPTH}", place)
                opened = Sequence([], place) if isinstance(event, yaml.SequenceStartEvent) else Mapping({}, {}, place)
                stack.append((opened, [], event.anchor, self.nodes))
            elif isinstance(event, yaml.SequenceEndEvent | yaml.MappingEndEvent):
                node, _, anchor, before = stack.pop()
                if anchor:
                    self.anchors[anchor] = (node, self.nodes - before + 1)
            elif isinstance(event, yaml.ScalarEvent):
                self.count(1, place)
                node = Scalar(event.value, place, _place(event.end_mark).offset, not event.style)
                if event.anchor:
                    self.anchors[event.anchor] = (node, 1)
            elif isinstance(event, yaml.AliasEvent):
                if event.anchor not in self.anchors:
                    raise DocumentError(f"the alias *{event.anchor} has no anchor before it", place)
                node, size = self.anchors[event.anchor]
                self.count(size, place)
            if node is None:
                continue
            if stack:
                self.put(stack[-1][0], stack[-1][1], node)
            elif not (isinstance(node, Scalar) and node.null):
                yield node

    def count(self, nodes: int, place: Place) -> None:
        self.nodes += nodes
        if self.nodes > MAX_NODES:
            raise DocumentError(f"more than {MAX_NODES} nodes (aliases count what they repeat)", place)

    @staticmethod
    def put(parent: Sequence | Mapping, key: list[Scalar], node: Element) -> None:
        if isinstance(parent, Sequence):
            parent.items.append(node)
        elif key:
            name = key.pop()
            if name.text in parent.items:
                parent.repeated.append(name)
            parent.items[name.text], parent.keys[name.text] = node, name
        elif isinstance(node, Scalar):
            key.append(node)
        else:
            raise DocumentError("a key must be a word", node.place)
