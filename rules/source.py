"""Text of conditions and outputs that remembers where in which file each part was written. All in linear time."""

from __future__ import annotations

import re
from array import array
from bisect import bisect_right
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from tiercel.rules.document import Place, Scalar

WORD = re.compile(r"[^ \t\b\n\r(),=]+")
PROPERTIES = re.compile(r"(?:[&!]\S*\s+)*")
BLOCK = re.compile(r"[|>][-+0-9]*[^\n]*\n")
COMMA = re.compile(r"[ \t\n\r]*,")
BLANKS = " \t\n\r"


class TooLongError(Exception):
    """Lists make a text longer than allowed; `at` is where the last one stood."""

    def __init__(self, at: int) -> None:
        super().__init__(f"too long at {at}")
        self.at = at


@dataclass(slots=True)
class File:
    """A rule file: its name as given, and its text."""

    name: str
    text: str
    lines: list[int] = field(default_factory=list)
    # Offsets of the letters of the scalar that was asked about last: questions come in order.
    letters: tuple[Scalar, array[int]] | None = None

    def place(self, offset: int) -> Place:
        """Line and column of an offset in the text."""
        line = bisect_right(self.starts(), offset) - 1
        return Place(line, offset - self.lines[line], offset)

    def starts(self) -> list[int]:
        """Offsets at which lines begin."""
        if not self.lines:
            self.lines.append(0)
            self.lines += [found.end() for found in re.finditer("\n", self.text)]
        return self.lines

    def line(self, number: int) -> str:
        """The text of a line, counted from 0."""
        starts = self.starts()
        if number >= len(starts):
            return ""
        end = starts[number + 1] if number + 1 < len(starts) else len(self.text)
        return self.text[starts[number] : end].rstrip("\r\n")

    def offset(self, scalar: Scalar, letter: int) -> int:
        """Where a letter of a scalar stands: the letters are there in order, with folding and escapes between."""
        start = scalar.place.offset
        if scalar.plain and self.text.startswith(scalar.text, start):
            return start + letter
        if self.letters is None or self.letters[0] is not scalar:
            self.letters = (scalar, self._letters(scalar))
        offsets = self.letters[1]
        if not offsets:
            return start
        return offsets[letter] if letter < len(offsets) else offsets[-1] + 1

    def _letters(self, scalar: Scalar) -> array[int]:
        found = PROPERTIES.match(self.text, scalar.place.offset, scalar.end)
        at = found.end() if found else scalar.place.offset
        if not scalar.plain:
            header = BLOCK.match(self.text, at)
            at = header.end() if header else at + 1
        out = array("Q")
        for wanted in scalar.text:
            if not wanted.isspace():
                next_one = self.text.find(wanted, at, scalar.end)
                if next_one < 0:
                    break
                at = next_one + 1
            out.append(max(at - 1, scalar.place.offset))
        return out


class Part(NamedTuple):
    """A text was written in `scalar` of `file` from its letter `start` on; None: it stands for the scalar.

    A text that replaced a word stands all of it where that word began.
    """

    file: File
    scalar: Scalar
    start: int | None
    replaced: bool = False


class Source:
    """A text made of parts."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._starts: list[int] = []
        self._parts: list[Part] = []
        self._length = 0

    @classmethod
    def of(cls, file: File, scalar: Scalar) -> Source:
        """The whole text of a scalar."""
        source = cls()
        source.write(scalar.text, Part(file, scalar, 0))
        return source

    @property
    def text(self) -> str:
        if len(self._pieces) > 1:
            self._pieces = ["".join(self._pieces)]
        return self._pieces[0] if self._pieces else ""

    def write(self, text: str, part: Part) -> None:
        """Append a text of one part."""
        self._starts.append(self._length)
        self._parts.append(part)
        self._pieces.append(text)
        self._length += len(text)

    def extend(self, other: Source, between: str = "") -> None:
        """Append `between` and another text."""
        shift = self._length + len(between)
        self._starts += [start + shift for start in other._starts]
        self._parts += other._parts
        self._pieces += [between, other.text]
        self._length = shift + other._length

    def place(self, offset: int) -> tuple[File, Place]:
        """Where the letter at `offset` was written."""
        index = max(bisect_right(self._starts, offset) - 1, 0)
        file, scalar, start, replaced = self._parts[index]
        if start is None:
            return file, scalar.place
        beyond = 0 if replaced else max(offset - self._starts[index], 0)
        return file, file.place(file.offset(scalar, start + beyond))

    def begins(self, offset: int) -> Place:
        """Where the scalar begins in which the letter at `offset` was written."""
        return self._parts[max(bisect_right(self._starts, offset) - 1, 0)].scalar.place

    @property
    def first(self) -> Part:
        """The part that the text begins with."""
        return self._parts[0]

    def words(self, known: Collection[str]) -> set[str]:
        """Those of the `known` words that stand in the text, delimited."""
        return {word for word in WORD.findall(self.text) if word in known}

    def with_words(self, values: Mapping[str, str], limit: int) -> Source:
        """The text with each delimited word that `values` has replaced; no value takes a comma with it.

        TooLongError if it becomes longer than `limit`.
        """
        out, text, done = Source(), self.text, 0
        for found in WORD.finditer(text):
            value = values.get(found[0])
            if value is None or found.start() < done:
                continue
            start, stop = found.span() if value else _with_comma(text, *found.span())
            self._copy(out, done, max(start, done))
            out.write(value, self._part(bisect_right(self._starts, found.start()) - 1, found.start(), replaced=True))
            done = stop
            if out._length > limit:
                raise TooLongError(found.start())
        self._copy(out, done, len(text))
        return out

    def _copy(self, out: Source, start: int, stop: int) -> None:
        """Append this text from `start` to `stop` to another."""
        index = bisect_right(self._starts, start) - 1
        while start < stop:
            end = self._starts[index + 1] if index + 1 < len(self._starts) else len(self.text)
            end = min(max(end, start), stop)
            if end > start:
                out.write(self.text[start:end], self._part(index, start, replaced=False))
            start, index = end, index + 1

    def _part(self, index: int, at: int, *, replaced: bool) -> Part:
        """Part `index`, from the offset `at` in this text on."""
        file, scalar, start, fixed = self._parts[index]
        if start is not None and not fixed:
            start += at - self._starts[index]
        return Part(file, scalar, start, replaced or fixed)


def _with_comma(text: str, start: int, stop: int) -> tuple[int, int]:
    """The span of a word that is taken out, with the comma behind or else before it."""
    behind = COMMA.match(text, stop)
    if behind:
        return start, behind.end()
    before = start - 1
    while before >= 0 and text[before] in BLANKS:
        before -= 1
    return (before, stop) if before >= 0 and text[before] == "," else (start, stop)
