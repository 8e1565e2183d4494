"""The language, chapter 5: on which events a rule is asked, and which rules an event tells of."""
# ruff: noqa: E501 - the tables of cases read best with few lines

from __future__ import annotations

from typing import Any

import pytest

from tests.rules.language import loaded, refused, rule
from tiercel import _engine
from tiercel.rules import events
from tiercel.rules.fields import event_codes, rule_codes
from tiercel.rules.parse import parse

ALL = rule_codes()
GENERIC = event_codes()["syscall"]


def of(*names: str) -> frozenset[int]:
    return frozenset(code for name in names for code in event_codes()[name])


def others(*names: str) -> frozenset[int]:
    """All but these, and the event of all calls that have none of their own."""
    return (ALL - of(*names)) | GENERIC


@pytest.mark.parametrize(
    ("condition", "wanted"),
    [
        # Tests of the type
        ("evt.type = openat", of("openat")), ("evt.type == openat", of("openat")), ("syscall.type = openat", of("openat")),
        ("evt.type in (openat, close)", of("openat", "close")), ("evt.type in ()", of()), ("evt.type intersects (openat)", of("openat")),
        ("evt.type != openat", others("openat")), ("not evt.type = openat", others("openat")),
        ("not evt.type in (openat, close)", others("openat", "close")), ("not evt.type != openat", of("openat")),
        ("evt.type = anyof (openat, close)", of("openat", "close")), ("evt.type = oneof (openat, close)", ALL),
        ("evt.type startswith open", ALL), ("evt.type exists", ALL), ("evt.type = uname", of("uname")),
        # Anything else says nothing, whether negated or not
        ("proc.name = a", ALL), ("not proc.name = a", ALL), ("proc.name = a and evt.type = openat", of("openat")),
        ("not (proc.name = a and evt.type = openat)", ALL), ("not (proc.name = a or evt.type = openat)", others("openat")),
        # and, or, not
        ("evt.type = openat or evt.type = close", of("openat", "close")), ("evt.type = openat and evt.type = close", of()),
        ("evt.type = openat or proc.name = a", ALL), ("evt.type = openat and proc.name = a or evt.type = close", of("openat", "close")),
        ("not (evt.type = openat or evt.type = close)", others("openat", "close")), ("not (evt.type != openat and evt.type != close)", of("openat", "close")),
        ("not (not (evt.type = openat))", of("openat")), ("evt.type in (openat, close) and not evt.type = close", of("openat")),
        # Numbers of events begin at 1
        ("evt.num = 0", of()), ("evt.num < 0", of()), ("evt.num < 1", of()), ("evt.num <= 0", of()), ("evt.num in (0)", of()),
        ("evt.num in ()", of()), ("evt.num in (0, 0)", of()), ("not evt.num = 0", ALL), ("not evt.num > 0", of()), ("not evt.num != 0", of()),
        ("not evt.num >= 1", of()), ("not evt.num >= 0", of()), ("evt.num != 0", ALL), ("evt.num > 0", ALL), ("evt.num >= 1", ALL), ("evt.num >= 0", ALL),
        ("evt.num = 1", ALL), ("not evt.num = 1", ALL), ("evt.num < 2", ALL), ("evt.num <= 1", ALL), ("evt.num in (0, 1)", ALL), ("evt.num > 1", ALL), ("evt.num exists", ALL),
        ("evt.num = 0 or evt.type = close", of("close")), ("evt.num = 0 and evt.type = close", of()), ("evt.num > 0 and evt.type = close", of("close")),
        ("(evt.num = 0 or not evt.num = 0) and evt.type = close", of("close")),
    ],
)  # fmt: skip
def test_on_which_events_a_rule_is_asked(condition: str, wanted: frozenset[int]) -> None:
    assert events.codes(parse(condition)) == wanted


def test_macros_are_looked_into() -> None:
    never = {"macro": "never_true", "condition": "(evt.num = 0)"}
    opens = {"macro": "opens", "condition": "evt.type in (names)"}
    names = {"list": "names", "items": ["openat", "open"]}
    found = loaded(never, opens, names, rule("opens and proc.name = a"), rule("opens and never_true", rule="s")).check()
    assert [each.codes for each in found.rules] == [of("openat", "open"), of()]


@pytest.mark.parametrize(
    "condition", ["tolower(evt.type) = openat", "evt.type = val(syscall.type)", "evt.type = val(proc.name)"]
)
def test_what_cannot_be_indexed_is_refused(condition: str) -> None:
    assert refused(condition) is not None


def told(event: str, fields: dict[str, Any], **how: Any) -> list[str]:
    """Rules that an event matches; of four one is off."""
    rules = loaded(
        rule("evt.type = openat and proc.name = a", rule="one"), rule("proc.name in (a, b)", rule="two"),
        rule("evt.type in (openat, close)", rule="off", enabled=False), rule("evt.type = openat", rule="three"),
        rule("evt.type = close and proc.name = a", rule="one"),
    )  # fmt: skip
    return [name for name, _, _ in _engine.RuleSet(rules.check().plan(**how)).try_event(event, fields)]


@pytest.mark.parametrize(
    ("event", "name", "names"),
    [("openat", "a", ["two", "three"]), ("close", "a", ["one", "two"]), ("close", "b", ["two"]), ("openat", "c", ["three"]), ("close", "c", [])],
)  # fmt: skip
def test_the_first_of_the_rules_in_their_order_or_all(event: str, name: str, names: list[str]) -> None:
    """A rule that is defined again keeps its place."""
    assert told(event, {"proc.name": name}) == names[:1]
    assert told(event, {"proc.name": name}, matching="first") == names[:1]
    assert told(event, {"proc.name": name}, matching="all") == names
