"""Text of conditions and outputs that remembers where in which file each part was written."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field

from tiercel.rules.document import Place, Scalar

WORD = re.compile(r"[^ \t\b\n\r(),=]+")


@dataclass(slots=True)
class File:
    """A rule file: its name as given, and its text."""

    name: str
    text: str
    lines: list[int] = field(default_factory=list)

    def place(self, offset: int) -> Place:
        """Line and column of an offset in the text."""
        if not self.lines:
            self.lines.append(0)
            self.lines += [found.end() for found in re.finditer("\n", self.text)]
        line = bisect_right(self.lines, offset) - 1
        return Place(line, offset - self.lines[line], offset)


@dataclass(frozen=True, slots=True)
class Part:
    """From `at` on, the text was written in `scalar` from its letter `start` on; None: all at its beginning."""

    at: int
    file: File
    scalar: Scalar
    start: int | None


class Source:
    """A text made of parts."""

    def __init__(self, text: str, parts: list[Part]) -> None:
        self.text, self.parts = text, parts

    @classmethod
    def of(cls, file: File, scalar: Scalar) -> Source:
        return cls(scalar.text, [Part(0, file, scalar, 0)])

    def joined(self, other: Source, between: str = " ") -> Source:
        """This text, `between`, and the other."""
        shift = len(self.text) + len(between)
        parts = [Part(part.at + shift, part.file, part.scalar, part.start) for part in other.parts]
        return Source(self.text + between + other.text, self.parts + parts)

    def wrapped(self, before: str, after: str, file: File, scalar: Scalar) -> Source:
        """The text between two others, which stand for `scalar`."""
        parts = [Part(part.at + len(before), part.file, part.scalar, part.start) for part in self.parts]
        end = Part(len(before) + len(self.text), file, scalar, None)
        return Source(before + self.text + after, [*parts, end])

    def place(self, offset: int) -> tuple[File, Place]:
        """Where the letter at `offset` was written."""
        index = max(bisect_right([part.at for part in self.parts], offset) - 1, 0)
        part = self.parts[index]
        if part.start is None:
            return part.file, part.scalar.place
        return part.file, part.file.place(
            _written_at(part.file.text, part.scalar, part.start + max(offset - part.at, 0))
        )

    def with_words(self, replacement: Callable[[str], list[str] | None]) -> Source:
        """The text with each delimited word for which `replacement` has a list replaced by its items."""
        out, parts, done, end = list[str](), list[Part](), 0, 0

        def keep(upto: int) -> None:
            nonlocal done, end
            if upto > done:
                parts.extend(self._between(done, upto, end))
                out.append(self.text[done:upto])
                end += upto - done
            done = upto

        for found in WORD.finditer(self.text):
            items = replacement(found[0])
            if items is None or found.start() < done:
                continue
            start, stop = found.span() if items else _with_comma(self.text, *found.span())
            keep(max(start, done))
            parts.append(self._fixed(found.start(), end))
            out.append(", ".join(items))
            end, done = end + len(out[-1]), stop
        keep(len(self.text))
        return Source("".join(out), parts or self.parts)

    def _between(self, start: int, stop: int, at: int) -> list[Part]:
        out = []
        for index, part in enumerate(self.parts):
            last = self.parts[index + 1].at if index + 1 < len(self.parts) else len(self.text) + 1
            low, high = max(start, part.at), min(stop, last)
            if low < high:
                offset = None if part.start is None else part.start + low - part.at
                out.append(Part(at + low - start, part.file, part.scalar, offset))
        return out

    def _fixed(self, offset: int, at: int) -> Part:
        index = max(bisect_right([part.at for part in self.parts], offset) - 1, 0)
        part = self.parts[index]
        return Part(at, part.file, part.scalar, None if part.start is None else part.start + offset - part.at)


def _with_comma(text: str, start: int, stop: int) -> tuple[int, int]:
    """The span of a word that is taken out, with the comma behind or else before it."""
    behind = re.compile(r"[ \t\n\r]*,").match(text, stop)
    if behind:
        return start, behind.end()
    before = text[:start].rstrip(" \t\n\r")
    return (len(before) - 1, stop) if before.endswith(",") else (start, stop)


def _written_at(text: str, scalar: Scalar, letter: int) -> int:
    """Offset in the file of a letter of a scalar: the letters stand there in order, folding and escapes between."""
    offset = scalar.place.offset
    header = re.compile(r"[|>][-+0-9]*[^\n]*\n").match(text, offset)
    if header and not scalar.plain:
        offset = header.end()
    for wanted in scalar.text[: letter + 1]:
        if wanted.isspace():
            continue
        found = text.find(wanted, offset, scalar.end)
        if found < 0:
            break
        offset = found + 1
    return max(offset - 1, scalar.place.offset) if letter < len(scalar.text) else offset
