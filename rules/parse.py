"""Parses a condition into the tree of tree.py: recursive descent, linear time, bounded depth.

The grammar is Falco's (docs: the rule language). `parse` raises `ConditionError` with the offset of what is wrong.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Never

from tiercel.errors import TiercelError
from tiercel.rules.tree import And, Call, Check, FieldRef, Items, MacroCall, Node, Not, Operand, Or, Text
from tiercel.schemas import tables

# Falco counts the calls of its own parser and stops at 1000; these are its prices, so that the same texts pass.
MAX_DEPTH = 1000
BASE_DEPTH, PAREN_DEPTH, NOT_DEPTH, CALL_DEPTH = 6, 5, 4, 2
MAX_OPERANDS = 10_000
"""What one transformer may hold, all within it counted: the engine takes no more."""

BLANK = re.compile(r"[ \t\b\r\n]*")
# Possessive: what a name has taken it never gives back, so a failed match costs its length and not the square of it.
IDENTIFIER = re.compile(r"[a-zA-Z][a-zA-Z0-9_]*+")
FIELD_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9_]*+(?:\.[a-zA-Z][a-zA-Z0-9_]*+)+")
FIELD_ARGUMENT = re.compile(r"[^\]\[\"'\s]+")
NUMBER = re.compile(r"0[xX][0-9a-fA-F]+|[+-]?[0-9]+\.?[0-9]*(?:[eE][+-]?[0-9]+)?")
BARE = re.compile(r"[^()\"'\s=,]+")
KEYWORD_END = " \t\b\r\n("
ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "\\": "\\", "/": "/", " ": "\\"}

TRANSFORMERS = ("val", "tolower", "toupper", "b64", "basename", "len", "join", "concat", "getopt")
CALL = re.compile(rf"({'|'.join(TRANSFORMERS)})\(")
NESTED_CALL = re.compile(rf"({'|'.join(TRANSFORMERS[1:])})\(")
EMPTY_LIST = re.compile(r"\([ \t\b\r\n]*\)")
UNARY = ("exists",)
NUMERIC = ("<=", "<", ">=", ">")
STRING = (
    "==",
    "=",
    "!=",
    "glob",
    "iglob",
    "contains",
    "icontains",
    "bcontains",
    "startswith",
    "bstartswith",
    "endswith",
    "regex",
)
LIST = ("intersects", "in", "pmatch")
MODIFIERS = ("oneof", "anyof", "allof")
OPERATORS = UNARY + NUMERIC + STRING + LIST
SYMBOL = re.compile(r"<=|<|>=|>|==|=|!=")
WORD = re.compile(
    rf"exists|(?:{'|'.join(o for o in STRING if o.isalpha())})(?=[ \t\b\r\n])|(?:{'|'.join(LIST)})(?=[ \t\b\r\n(]|\Z)"
)
# A modifier is followed by a list or its name; `= allof and …` compares with the word.
MODIFIER = re.compile(rf"({'|'.join(MODIFIERS)})[ \t\b\r\n]+(?=\(|(?!(?:and|or)\b)[a-zA-Z])")


class ConditionError(TiercelError):
    """A condition (or a field in it) is wrong; `at` is the offset in its text."""

    def __init__(self, message: str, at: int) -> None:
        super().__init__(message)
        self.message, self.at = message, at


def meant(word: str, known: Iterable[str]) -> str:
    """`; did you mean …?` where something known comes close, of the first thousand."""
    close = difflib.get_close_matches(word[:60], list(islice(known, 1000)), n=1, cutoff=0.7)
    return f"; did you mean {close[0]}?" if close else ""


def parse(text: str) -> Node:
    """The tree of a condition."""
    return _Parser(text).whole()


def quoted_end(text: str, at: int) -> tuple[str, int]:
    """Value of the quoted string that begins at `at`, and the offset behind it.

    As in Falco, the next quote without a backslash right before it ends the string, even if that backslash is escaped.
    """
    quote, end = text[at], text.find(text[at], at + 1)
    while end > 0 and text[end - 1] == "\\":
        end = text.find(quote, end + 1)
    if end < 0:
        raise ConditionError(f"the string that begins here has no closing {quote}", at)
    out, pos = [], at + 1
    while (escape := text.find("\\", pos, end)) >= 0:
        value, after = _escape(text, escape, quote)
        out += [text[pos:escape], value]
        pos = after
    return "".join([*out, text[pos:end]]), end + 1


def _escape(text: str, pos: int, quote: str) -> tuple[str, int]:
    """Value of the escape whose backslash is at `pos`, and the offset behind it."""
    letter = text[pos + 1 : pos + 2]
    if letter == quote:
        return quote, pos + 2
    if letter in ESCAPES:
        return ESCAPES[letter], pos + 2
    digits = text[pos + 2 : pos + 4]
    if letter == "x" and re.fullmatch(r"[0-9a-fA-F]{2}", digits):
        return bytes([int(digits, 16)]).decode("utf-8", "surrogateescape"), pos + 4
    raise ConditionError(f"\\{letter} is no escape in a {quote}-quoted string", pos)


@dataclass(slots=True)
class _Open:
    """A call (or, without name, a list) whose closing parenthesis has not been seen."""

    name: str | None
    at: int
    items: list[Operand]


class _Parser:
    def __init__(self, text: str) -> None:
        self.text, self.pos = text, 0

    def whole(self) -> Node:
        node = self.expression(BASE_DEPTH)
        if self.pos < len(self.text):
            self.fail(f"unexpected {self.shown()}, expecting 'and' or 'or'")
        return node

    # Lexing

    def fail(self, message: str) -> Never:
        raise ConditionError(message, self.pos)

    def shown(self) -> str:
        """What stands here, for a message."""
        if self.pos >= len(self.text):
            return "end of the condition"
        found = BARE.match(self.text, self.pos)
        return f"'{(found[0] if found else self.text[self.pos])[:40]}'"

    def blank(self) -> None:
        found = BLANK.match(self.text, self.pos)
        assert found
        self.pos = found.end()

    def take(self, literal: str) -> bool:
        if not self.text.startswith(literal, self.pos):
            return False
        self.pos += len(literal)
        return True

    def keyword(self, word: str) -> bool:
        """`and`, `or`: anything that begins so must be the keyword, as no operand can stand there."""
        if not self.take(word):
            return False
        if self.text[self.pos : self.pos + 1] not in tuple(KEYWORD_END):
            self.fail(f"expected a blank or '(' after '{word}', found {self.shown()}")
        return True

    # Grammar

    def expression(self, depth: int) -> Node:
        """or := and ('or' and)*; and := unary ('and' unary)*, as two nested loops of one function to save stack."""
        self.blank()
        at, alternatives = self.pos, list[Node]()
        while True:
            start, parts = self.pos, [self.unary(depth)]
            self.blank()
            while self.keyword("and"):
                self.blank()
                parts.append(self.unary(depth))
                self.blank()
            alternatives.append(parts[0] if len(parts) == 1 else And(tuple(parts), start))
            if not self.keyword("or"):
                break
            self.blank()
        return alternatives[0] if len(alternatives) == 1 else Or(tuple(alternatives), at)

    def unary(self, depth: int) -> Node:
        """'not'* check; pairs of 'not' cancel out."""
        at, negated = self.pos, False
        while self.text.startswith("not", self.pos) and self.text[self.pos + 3 : self.pos + 4] in tuple(KEYWORD_END):
            negated = not negated
            self.pos += 3
            if self.text[self.pos] == "(":
                node = self.parenthesised(depth + NOT_DEPTH)
                return Not(node, at) if negated else node
            self.blank()
        node = self.parenthesised(depth + PAREN_DEPTH) if self.text.startswith("(", self.pos) else self.check(depth)
        return Not(node, at) if negated else node

    def parenthesised(self, depth: int) -> Node:
        if depth > MAX_DEPTH:
            self.fail(f"the condition is nested too deeply (limit {MAX_DEPTH})")
        start = self.pos
        self.pos += 1
        node = self.expression(depth)
        if not self.take(")"):
            self.fail(f"expected ')' for the '(' at column {start + 1}, found {self.shown()}")
        return node

    def check(self, depth: int) -> Node:
        left = self.field_or_call(depth)
        if left is None:
            return self.macro()
        self.blank()
        operator_at, operator = self.pos, self.operator()
        before = self.pos
        self.blank()
        if operator in UNARY:
            return Check(left, operator, None, None, operator_at)
        if operator in NUMERIC:
            return Check(left, operator, None, self.value(depth, number=True), operator_at)
        if operator in LIST:
            return Check(left, operator, None, self.list_value(depth), operator_at)
        plain = "=" if operator == "==" else operator
        if self.pos > before and (found := MODIFIER.match(self.text, self.pos)):
            self.pos = found.end()
            return Check(left, plain, found[1], self.list_value(depth), operator_at)
        return Check(left, plain, None, self.value(depth, number=False), operator_at)

    def macro(self) -> MacroCall:
        at, found = self.pos, IDENTIFIER.match(self.text, self.pos)
        if not found:
            self.fail(f"expected a field, a macro, 'not' or '(', found {self.shown()}")
        name = found[0]
        behind = self.text[found.end() : found.end() + 1]
        if behind == "(":
            if name == "val":
                self.fail("val(…) stands only to the right of an operator")
            self.fail(f"unknown transformer {name[:40]}{meant(name, TRANSFORMERS)}")
        self.pos = found.end()
        self.blank()
        if SYMBOL.match(self.text, self.pos) or WORD.match(self.text, self.pos):
            self.pos = at
            self.fail(f"{name[:40]} is no field, as it has no dot{meant(name, tables.fields())}")
        self.pos = found.end()
        return MacroCall(name, at)

    def operator(self) -> str:
        if found := SYMBOL.match(self.text, self.pos):
            self.pos = found.end()
            return found[0]
        found = WORD.match(self.text, self.pos)
        if not found:
            word = IDENTIFIER.match(self.text, self.pos)
            close = meant(word[0], OPERATORS) if word else ""
            if word and word[0] in OPERATORS:
                self.fail(f"expected a blank after the operator '{word[0]}'")
            known = "" if close else f" (one of {' '.join(OPERATORS)})"
            self.fail(f"expected an operator{known}, found {self.shown()}{close}")
        self.pos = found.end()
        return found[0]

    def field_or_call(self, depth: int) -> FieldRef | Call | None:
        if NESTED_CALL.match(self.text, self.pos):
            return self.call(depth)
        return self.field()

    def field(self) -> FieldRef | None:
        at, found = self.pos, FIELD_NAME.match(self.text, self.pos)
        if not found:
            return None
        self.pos = found.end()
        return FieldRef(found[0], self.bracketed(), at)

    def bracketed(self) -> str | None:
        """The `[argument]` that may follow."""
        if not self.take("["):
            return None
        if self.text[self.pos : self.pos + 1] in ("'", '"'):
            argument, self.pos = quoted_end(self.text, self.pos)
        else:
            found = FIELD_ARGUMENT.match(self.text, self.pos)
            if not found:
                self.fail("expected an argument between '[' and ']'")
            argument, self.pos = found[0], found.end()
        if not self.take("]"):
            self.fail(f"expected ']' after the argument '{argument[:40]}'")
        return argument

    def call(self, depth: int) -> Call:
        """`name(argument, …)[selector]`, known to stand here. Open calls and lists are on a stack of their own."""
        opened: list[_Open] = []
        count = 0
        while True:
            depth = self.open(opened, depth)
            count += 1
            while (operand := self.argument(opened[-1])) is not None:
                count += 1
                if count > MAX_OPERANDS:
                    self.fail(f"a transformer holds more than {MAX_OPERANDS} operands")
                opened[-1].items.append(operand)
                while not self.more(opened[-1]):
                    depth -= CALL_DEPTH
                    closed = self.close(opened.pop())
                    if not opened:
                        assert isinstance(closed, Call)
                        return closed
                    opened[-1].items.append(closed)

    def open(self, opened: list[_Open], depth: int) -> int:
        """Push the call or (not empty) list that begins here; returns the new depth."""
        if depth + CALL_DEPTH > MAX_DEPTH:
            self.fail(f"transformers are nested too deeply (limit {MAX_DEPTH})")
        at, found = self.pos, CALL.match(self.text, self.pos)
        self.pos = found.end() if found else self.pos + 1
        opened.append(_Open(found[1] if found else None, at, []))
        return depth + CALL_DEPTH

    def argument(self, within: _Open) -> Operand | None:
        """The argument that stands here; None if a call or a list opens."""
        self.blank()
        at, here = self.pos, self.text[self.pos : self.pos + 1]
        plain = within.name != "val"
        if plain and within.name and (empty := EMPTY_LIST.match(self.text, at)):
            self.pos = empty.end()
            return Items((), at)
        if plain and (NESTED_CALL.match(self.text, at) or (here == "(" and within.name)):
            return None
        if not CALL.match(self.text, at) and (field := self.field()):
            return field
        if plain and here and here in "'\"":
            text, self.pos = quoted_end(self.text, at)
            return Text(text, at, quoted=True)
        if plain and (number := NUMBER.match(self.text, at)):
            self.pos = number.end()
            return Text(number[0], at)
        wanted = "a field, a transformer, a quoted string or a number" if plain else "a field"
        return self.fail(f"expected {wanted} as argument, found {self.shown()}")

    def more(self, within: _Open) -> bool:
        """Whether another argument follows; steps over the ',' or ')'."""
        self.blank()
        if within.name != "val" and self.take(","):
            return True
        if not self.take(")"):
            what = f"{within.name}(…)" if within.name else "the list"
            self.fail(f"expected ',' or ')' in {what}, found {self.shown()}")
        return False

    def close(self, done: _Open) -> Call | Items:
        if done.name is None:
            return Items(tuple(done.items), done.at)
        return Call(done.name, tuple(done.items), self.bracketed(), done.at)

    # Right sides

    def value(self, depth: int, *, number: bool) -> Text | Call:
        if CALL.match(self.text, self.pos):
            return self.call(depth)
        at = self.pos
        if not number:
            return self.string()
        found = NUMBER.match(self.text, at)
        if not found:
            self.fail(f"expected a number or a transformer, found {self.shown()}")
        self.pos = found.end()
        return Text(found[0], at)

    def string(self) -> Text:
        at = self.pos
        if self.text[at : at + 1] in ("'", '"'):
            text, self.pos = quoted_end(self.text, at)
            return Text(text, at, quoted=True)
        found = BARE.match(self.text, at)
        if not found:
            self.fail(f"expected a value, found {self.shown()}")
        self.pos = found.end()
        return Text(found[0], at)

    def list_value(self, depth: int) -> tuple[Text, ...] | Call:
        if self.text.startswith("(", self.pos):
            return self.parenthesised_list()
        if CALL.match(self.text, self.pos):
            return self.call(depth)
        at, found = self.pos, IDENTIFIER.match(self.text, self.pos)
        if not found:
            self.fail(f"expected a list in parentheses, the name of a list or a transformer, found {self.shown()}")
        self.pos = found.end()
        return (Text(found[0], at),)

    def parenthesised_list(self) -> tuple[Text, ...]:
        self.pos += 1
        self.blank()
        items: list[Text] = []
        if self.take(")"):
            return ()
        while True:
            self.blank()
            items.append(self.string())
            self.blank()
            if self.take(")"):
                return tuple(items)
            if not self.take(","):
                self.fail(f"expected ',' or ')' in the list, found {self.shown()}")
