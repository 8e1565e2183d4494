"""Errors and warnings about rule files, with Falco's codes; collected by load.py, printed by `rules check`."""

from __future__ import annotations

from dataclasses import dataclass

from tiercel.errors import RuleError
from tiercel.rules.document import Place

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
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One error or warning. `item_type` and `item` say in what it is, in Falco's words: rule 'x', list 'y'."""

    code: str
    message: str
    file: str
    place: Place
    item_type: str = "rules content"
    item: str = ""

    @property
    def is_error(self) -> bool:
        return self.code in ERRORS

    def __str__(self) -> str:
        """`file:line:column: message (in rule 'x', CODE)`."""
        where = f" (in {self.item_type} '{self.item}', {self.code})" if self.item else f" ({self.code})"
        return f"{self.file}:{self.place.line + 1}:{self.place.column + 1}: {self.message}{where}"

    def error(self) -> RuleError:
        """As the exception that ends a command."""
        where = f" (in {self.item_type} '{self.item}')" if self.item else ""
        message = self.message + where
        return RuleError(message, file=self.file, line=self.place.line + 1, column=self.place.column + 1)


class Rejected(Exception):  # noqa: N818 control flow within load.py, never seen outside
    """The item at hand is wrong; the loader notes the problem and goes on with the next item."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem
