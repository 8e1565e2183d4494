"""On which events a condition can hold at all: the event codes of its rule's index, and what the probe must trace."""

from __future__ import annotations

from functools import cache

from tiercel.rules.check import EVENT_TYPES
from tiercel.rules.fields import event_codes, rule_codes
from tiercel.rules.tree import And, Check, FieldRef, Fold, Node, Not, Or, Text, fold

Codes = frozenset[int]
Bits = int
"""A set of codes as the bits of a number: unions and intersections of hundreds of codes cost one step."""


class Events:
    """Codes of the events on which conditions may hold; what the conditions share is looked at once."""

    def __init__(self) -> None:
        self._fold = Fold(_visit)

    def of(self, tree: Node) -> Codes:
        """Codes for one condition."""
        return _codes(self._fold(tree)[0])


def _codes(bits: Bits) -> Codes:
    return rule_codes() if bits == _every() else frozenset(code for code in rule_codes() if bits >> code & 1)


def codes(tree: Node) -> Codes:
    """Codes of the events on which the condition may hold."""
    return Events().of(tree)


def _bits(numbers: Codes) -> Bits:
    return sum(1 << number for number in numbers)


@cache
def _every() -> Bits:
    return _bits(rule_codes())


@cache
def _named(name: str) -> Bits:
    """Codes for a name in `evt.type`; all where it is unknown."""
    found = event_codes().get(name)
    return _every() if found is None else _bits(found) & _every()


def _visit(node: Node, below: list[tuple[Bits, Bits]]) -> tuple[Bits, Bits]:
    """The codes on which the node may be true, and those on which it may be false (so `not` only swaps)."""
    every = _every()
    match node:
        case And():
            true, false = every, 0
            for yes, no in below:
                true, false = true & yes, false | no
            return true, false
        case Or():
            true, false = 0, every
            for yes, no in below:
                true, false = true | yes, false & no
            return true, false
        case Not():
            return below[0][1], below[0][0]
        case Check(left=FieldRef() as left) if left.name in EVENT_TYPES:
            return _by_type(node)
        case Check(left=FieldRef(name="evt.num")):
            return _by_number(node)
        case _:
            return every, every


def _texts(check: Check) -> list[str]:
    if isinstance(check.right, Text):
        return [check.right.text]
    return [text.text for text in check.right] if isinstance(check.right, tuple) else []


def _by_type(check: Check) -> tuple[Bits, Bits]:
    every = _every()
    if check.operator not in ("=", "!=", "in", "intersects") or check.modifier not in (None, "anyof"):
        return every, every
    # Several system calls share the generic event, so on it a test of the type may go either way.
    generic = _bits(event_codes()["syscall"])
    named = 0
    for name in _texts(check):
        named |= _named(name)
    others = (every & ~named) | (named & generic)
    if check.operator == "!=":
        return (others, named) if len(_texts(check)) == 1 else (every, every)
    return named, others


def _by_number(check: Check) -> tuple[Bits, Bits]:
    """Numbers of events begin at 1, so `evt.num = 0` is how one writes "never"."""
    every, none = _every(), 0
    numbers = [text for text in _texts(check) if text.lstrip("+-").isdigit()]
    if check.operator in ("in", "intersects") and check.right == ():
        return none, every
    if check.modifier or len(numbers) != len(_texts(check)) or not numbers:
        return every, every
    values = [int(number[:40]) for number in numbers]
    never = {
        "=": values[0] == 0,
        "<": values[0] in (0, 1),
        "<=": values[0] == 0,
        "in": all(value == 0 for value in values),
        "intersects": all(value == 0 for value in values),
    }.get(check.operator, False)
    always = {"!=": values[0] == 0, ">": values[0] == 0, ">=": values[0] in (0, 1)}.get(check.operator, False)
    return (none, every) if never else (every, none) if always else (every, every)


def codes_of_each(tree: Node) -> dict[int, Codes]:
    """As `codes`, of the condition and of every part of it, by identity."""
    found: dict[int, Codes] = {}

    def visit(node: Node, below: list[tuple[Bits, Bits]]) -> tuple[Bits, Bits]:
        both = _visit(node, below)
        found[id(node)] = _codes(both[0])
        return both

    fold(tree, visit)
    return found
