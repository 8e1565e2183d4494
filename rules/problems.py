"""Errors and warnings about rule files, with Falco's codes; collected by load.py, printed by `rules check`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from tiercel.errors import RuleError
from tiercel.printable import printable
from tiercel.rules.document import Place
from tiercel.rules.source import File

ERRORS = {
    "LOAD_ERR_FILE_READ": "File read error",
    "LOAD_ERR_YAML_PARSE": "YAML parse error",
    "LOAD_ERR_YAML_VALIDATE": "Error validating internal structure of YAML file",
    "LOAD_ERR_COMPILE_CONDITION": "Error compiling condition",
    "LOAD_ERR_COMPILE_OUTPUT": "Error compiling output",
    "LOAD_ERR_VALIDATE": "Error validating rule, macro, list or exception",
    "LOAD_ERR_EXTENSION": "Error in an extension item",
}
WARNINGS = {
    "LOAD_UNKNOWN_SOURCE": "Unknown event source",
    "LOAD_UNSAFE_NA_CHECK": "Comparison with <NA> is unsafe",
    "LOAD_NO_EVTTYPE": "Condition has no event type restriction",
    "LOAD_UNKNOWN_FILTER": "Unknown field or event type",
    "LOAD_UNUSED_MACRO": "Unused macro",
    "LOAD_UNUSED_LIST": "Unused list",
    "LOAD_UNKNOWN_ITEM": "Unknown item",
    "LOAD_UNKNOWN_KEY": "Unknown key",
    "LOAD_DEPRECATED_ITEM": "Deprecated item",
    "LOAD_APPEND_NO_VALUES": "Appended exception has no values",
    "LOAD_EXCEPTION_NAME_NOT_UNIQUE": "Several exceptions have the same name",
    "LOAD_INVALID_MACRO_NAME": "Invalid macro name",
    "LOAD_INVALID_LIST_NAME": "Invalid list name",
    "LOAD_COMPILE_CONDITION": "Odd condition",
    "LOAD_WARNING_EXTENSION": "Warning in an extension item",
}


WIDTH = 160
"""Letters of a line that are shown."""


class Location(NamedTuple):
    """Something in a rule file: what it is in Falco's words (`rule`, `rule condition`), its name, where it begins."""

    item_type: str
    name: str
    file: str
    place: Place


@dataclass(frozen=True, slots=True)
class Problem:
    """One error or warning. `locations` lead from the file inwards to the fault."""

    code: str
    message: str
    locations: tuple[Location, ...]

    @property
    def is_error(self) -> bool:
        return self.code in ERRORS

    @property
    def file(self) -> str:
        return self.locations[-1].file

    @property
    def place(self) -> Place:
        return self.locations[-1].place

    @property
    def within(self) -> str:
        """` (in rule 'x')`, or nothing where the fault is in nothing that has a name."""
        named = [location for location in self.locations if location.item_type in ("rule", "macro", "list")]
        return f" (in {named[0].item_type} '{printable(named[0].name)}')" if named and named[0].name else ""

    @property
    def where(self) -> str:
        """`file:line:column`, counted from 1."""
        return f"{printable(self.file)}:{self.place.line + 1}:{self.place.column + 1}"

    def __str__(self) -> str:
        """`file:line:column: message (in rule 'x', CODE)`."""
        within = f"{self.within[:-1]}, {self.code})" if self.within else f" ({self.code})"
        return f"{self.where}: {printable(self.message)}{within}"

    def error(self) -> RuleError:
        """As the exception that ends a command."""
        message = printable(self.message) + self.within
        return RuleError(message, file=self.file, line=self.place.line + 1, column=self.place.column + 1)

    def shown(self, contents: Mapping[str, File]) -> str:
        """For people: `file:line:column: error CODE: message`, the line, and a caret."""
        kind = "error" if self.is_error else "warning"
        snippet = self.snippet(contents)
        head = f"{self.where}: {kind} {self.code}: {printable(self.message)}{self.within}"
        return head + "".join(f"\n    {line}" for line in snippet.splitlines())

    def snippet(self, contents: Mapping[str, File]) -> str:
        """The line of the fault and a caret below it, cut around the fault where the line is long."""
        file = contents.get(self.file)
        if file is None:
            return ""
        line, column = file.line(self.place.line), self.place.column
        start = max(0, column - WIDTH // 2) if len(line) > WIDTH else 0
        cut = "".join(letter if letter.isprintable() else " " for letter in line[start : start + WIDTH])
        return f"{cut}\n{' ' * (column - start)}^\n" if cut.strip() else ""


class Rejected(Exception):  # noqa: N818 control flow within load.py, never seen outside
    """The item at hand is wrong; the loader notes the problems and goes on with the next item."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__(*problems)
        self.problems = problems


def in_content(code: str, message: str, file: str, place: Place, *inside: Location) -> Problem:
    """A problem of a file's content; `inside` leads from the content to the fault at `place`."""
    content = Location("rules content", "", file, Place(0, 0, 0))
    last = inside[-1] if inside else content
    if last.place != place or last.file != file:
        inside = (*inside, last._replace(name="", file=file, place=place))
    return Problem(code, message, (content, *inside))
