"""Typed access to what stands in a file of tests; whatever is wrong is a RuleError with file, line and column."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from tiercel.errors import RuleError
from tiercel.rules.document import Element, Mapping, Place, Scalar, Sequence
from tiercel.rules.items import FALSE, TRUE

DURATION = re.compile(r"(\d{1,18}(?:\.\d{1,9})?)(ns|us|ms|s|m|h|d)?")
UNITS = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9, "d": 86_400 * 10**9}
NONE = Place(0, 0, 0)


def meant(name: str, known: Iterable[str]) -> str:
    """`; did you mean …?` where something known comes close to the name, else nothing."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"; did you mean {close[0]}?" if close else ""


@dataclass(frozen=True, slots=True)
class Form:
    """A file that is being read."""

    file: str

    def error(self, message: str, at: Element | Place) -> RuleError:
        place = at if isinstance(at, Place) else at.place
        return RuleError(message, file=self.file, line=place.line + 1, column=place.column + 1)

    def unknown(self, what: str, name: str, known: Iterable[str], at: Element | Place) -> RuleError:
        return self.error(f"unknown {what} {name!r}{meant(name, known)}", at)

    def mapping(self, element: Element, what: str, known: Iterable[str] | None = None) -> Mapping:
        """A mapping without repeated keys, and with no others than `known`."""
        if not isinstance(element, Mapping):
            raise self.error(f"{what} must have keys", element)
        for repeated in element.repeated:
            raise self.error(f"the key '{repeated.text}' stands here twice", repeated)
        if known is not None:
            names = list(known)
            for name, key in element.keys.items():
                if name not in names:
                    raise self.unknown(f"key in {what}:", name, names, key)
        return element

    def items(self, element: Element, what: str) -> list[Element]:
        if isinstance(element, Scalar) and element.null:
            return []
        if not isinstance(element, Sequence):
            raise self.error(f"{what} must be a list", element)
        return element.items

    def text(self, element: Element, what: str) -> str:
        if not isinstance(element, Scalar):
            raise self.error(f"{what} must be a text", element)
        return element.text

    def texts(self, element: Element, what: str) -> list[str]:
        return [self.text(item, what) for item in self.items(element, what)]

    def flag(self, element: Element, what: str) -> bool:
        word = self.text(element, what).lower()
        if word not in TRUE + FALSE:
            raise self.error(f"{what} must be true or false", element)
        return word in TRUE

    def number(self, element: Element, what: str) -> int:
        text = self.text(element, what)
        number = integer(text)
        if number is None:
            raise self.error(f"{what} must be a number, not {text!r}", element)
        return number

    def duration(self, element: Element, what: str) -> int:
        """Nanoseconds: `10s`, `1.5h`, or a number of ns."""
        text = self.text(element, what)
        found = DURATION.fullmatch(text)
        if not found:
            raise self.error(f"{what} must be a time such as 10s, 5m or 200ms, not {text!r}", element)
        return int(float(found[1]) * UNITS[found[2]]) if found[2] else int(float(found[1]))


def integer(text: str) -> int | None:
    """A number as C and YAML write it: decimal, 0x…, 0o… or 0…; None if it is none."""
    found = re.fullmatch(r"(-?)(?:0x([0-9a-fA-F]{1,16})|0o?([0-7]{1,22})|(\d{1,20}))", text)
    if not found:
        return None
    sign, hexadecimal, octal, decimal = found.groups()
    number = int(hexadecimal, 16) if hexadecimal else int(octal, 8) if octal else int(decimal)
    return -number if sign else number


def given(element: Element | None) -> Element | None:
    """The element, unless it is missing or null."""
    return None if element is None or (isinstance(element, Scalar) and element.null) else element


def merged(below: Element | None, above: Element | None) -> Element | None:
    """`above` laid over `below`: mappings key by key, anything else replaces."""
    if above is None:
        return below
    if not (isinstance(below, Mapping) and isinstance(above, Mapping)):
        return above
    items, keys = dict(below.items), dict(below.keys)
    for name, element in above.items.items():
        found = merged(items.get(name), element)
        assert found is not None
        items[name], keys[name] = found, above.keys[name]
    return Mapping(items, keys, above.place, above.repeated)
