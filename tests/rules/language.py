"""What the tests of the language ask: does a condition hold on an event told by its fields, or why is it refused."""

from __future__ import annotations

import json
from typing import Any

from tiercel import _engine
from tiercel.rules.load import Loaded, Loader


def loaded(*items: dict[str, Any] | str) -> Loaded:
    """Items of one rule file, given as objects or as YAML."""
    loader = Loader()
    for number, item in enumerate(items, 1):
        loader.read_text(f"{number}.yaml", item if isinstance(item, str) else json.dumps([item]))
    return loader.finish()


OPEN = "evt.type = openat"
NAMES = {"list": "names", "items": ["a", "b"]}


def rule(condition: str, **more: Any) -> dict[str, Any]:
    """A rule item."""
    return {"rule": "r", "condition": condition, "output": "o", "desc": "d", "priority": "INFO"} | more


def holds(condition: str, fields: dict[str, Any] | None = None, event: str = "openat") -> bool:
    """Whether a condition is true of an event; fields that are not given have no value."""
    return rules_holding(loaded(rule(condition)), fields, event) == ["r"]


def rules_holding(rules: Loaded, fields: dict[str, Any] | None = None, event: str = "openat") -> list[str]:
    """Names of the rules that an event matches."""
    ruleset = _engine.RuleSet(rules.check().plan(matching="all"))
    return [name for name, _, _ in ruleset.try_event(event, fields or {})]


def refused(condition: str) -> str | None:
    """Why a condition is refused; none if it is not."""
    errors = loaded(rule(condition)).errors
    assert all(error.code == "LOAD_ERR_COMPILE_CONDITION" for error in errors)
    return errors[0].message if errors else None


def warned(condition: str) -> set[str]:
    """Codes of the warnings about a condition, but for the one about events."""
    return {problem.code for problem in loaded(rule(condition)).warnings} - {"LOAD_NO_EVTTYPE"}


def shown(output: str, fields: dict[str, Any] | None = None, event: str = "openat") -> tuple[str, dict[str, Any]]:
    """The message and output_fields of an alert with this output."""
    ruleset = _engine.RuleSet(loaded(rule("evt.num exists or not evt.num exists", output=output)).check().plan())
    ((_, message, values),) = ruleset.try_event(event, fields or {})
    return message, values


def with_name(text: Loaded, name: str) -> bool:
    """Whether an openat of a process with this name matches the rule."""
    return rules_holding(text, {"proc.name": name}) == ["r"]


def codes(*items: dict[str, Any] | str) -> list[str]:
    """Codes of the errors and warnings about items of a rule file."""
    return [problem.code for problem in loaded(*items).problems]


def messages(*items: dict[str, Any] | str) -> list[str]:
    """What is wrong with items of a rule file."""
    return [problem.message for problem in loaded(*items).errors]


def change(*items: dict[str, Any]) -> Any:
    """The rule `r` after further items."""
    (compiled,) = loaded(rule(f"{OPEN} and proc.name = a", tags=["t"], source="syscall"), *items).check().rules
    return compiled
