"""What a rule needs: fields, events, macros, lists, operators, and what it costs on an event."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tiercel._engine import Format
from tiercel.rules import events, writing
from tiercel.rules.check import EVENT_TYPES
from tiercel.rules.compile import CompiledRule
from tiercel.rules.fields import resolve, rule_codes
from tiercel.rules.parse import parse
from tiercel.rules.tree import Call, Check, FieldRef, Node, Operand, fold, fold_operand
from tiercel.schemas import tables

KEPT = {"process": "process", "user": "process", "fd": "descriptor"}
"""Scopes of fields whose tests the engine keeps, and with what: computed once until that changes."""
SCOPES = ("process", "descriptor", "event")


@dataclass(frozen=True, slots=True)
class Needs:
    """`tests` counts distinct comparisons by what the engine keeps their results with: of a process or a descriptor
    they are computed once as long as it does not change, others on each event that gets so far. Tests of the event's
    type cost nothing and are left out. It bounds what one rule alone can cost: tests that rules share are made once.
    """

    condition_fields: tuple[str, ...]
    output_fields: tuple[str, ...]
    operators: tuple[str, ...]
    events: tuple[str, ...]
    every_event: bool
    tests: dict[str, int]

    @property
    def cost(self) -> str:
        """In a few words: `2 event + 9 process on 3 events`."""
        parts = [f"{self.tests[scope]} {scope}" for scope in SCOPES if self.tests[scope]]
        count = "every event" if self.every_event else f"{len(self.events)} event{'s' if len(self.events) != 1 else ''}"
        return f"{' + '.join(parts) or 'none'} on {count}"


def of(rule: CompiledRule) -> Needs:
    """What a compiled rule needs, its macros, lists and exceptions included."""
    checks: dict[str, Check] = {}

    def visit(node: Node, _: list[None]) -> None:
        if isinstance(node, Check):
            checks.setdefault(writing.check(node, 1 << 30), node)

    fold(rule.tree, visit)
    tests = dict.fromkeys(SCOPES, 0)
    for check in checks.values():
        if not (isinstance(check.left, FieldRef) and check.left.name in EVENT_TYPES):
            tests[_scope(check)] += 1
    codes = events.codes(rule.tree)
    names = {event.code: event.name for event in tables.events()}
    return Needs(
        condition_fields=_sorted(field for check in checks.values() for field in _fields(check)),
        output_fields=_sorted(name for text in Format("*" + rule.output).names for name in _of_output(text)),
        operators=_sorted(check.operator for check in checks.values()),
        events=_sorted(names[code] for code in codes),
        every_event=codes == rule_codes(),
        tests=tests,
    )


def details(rule: CompiledRule) -> dict[str, Any]:
    """The rule and its needs under the keys of Falco's `-L`, and `cost`."""
    needs = of(rule)
    return {
        "info": {
            "name": rule.name,
            "description": rule.desc,
            "condition": rule.condition,
            "output": rule.output,
            "priority": rule.priority,
            "source": rule.source,
            "enabled": rule.enabled,
            "tags": list(rule.tags),
            "file": rule.file,
            "line": rule.line,
            **({"throttle": rule.throttle.written()} if rule.throttle else {}),
        },
        "details": {
            "condition_fields": list(needs.condition_fields),
            "condition_operators": list(needs.operators),
            "output_fields": list(needs.output_fields),
            "events": list(needs.events),
            "macros": sorted(rule.macros),
            "lists": list(rule.lists),
            "exceptions": [
                {"name": shape.name, "fields": list(shape.fields), "comps": list(shape.comps), "values": shape.values}
                for shape in rule.exceptions
            ],
            "exception_names": [shape.name for shape in rule.exceptions],
            "exception_fields": list(_sorted(field for shape in rule.exceptions for field in shape.fields)),
            "exception_operators": list(_sorted(comp for shape in rule.exceptions for comp in shape.comps)),
            "plugins": [],
        },
        "cost": {"tests": needs.tests, "events": len(needs.events)},
    }


def _scope(check: Check) -> str:
    """The shortest-lived of the fields on both sides."""
    sides = [check.left, *([check.right] if isinstance(check.right, Call) else [])]
    kept = {KEPT.get(resolve(ref).field.scope, "event") for side in sides for ref in _refs(side)}
    return kept.pop() if len(kept) == 1 else "event"


def _refs(operand: Operand) -> list[FieldRef]:
    found: list[FieldRef] = []
    fold_operand(operand, lambda part, _: found.append(part) if isinstance(part, FieldRef) else None)
    return found


def _fields(check: Check) -> list[str]:
    sides = [check.left, *([check.right] if isinstance(check.right, Call) else [])]
    return [writing.operand(ref) for side in sides for ref in _refs(side)]


def _of_output(text: str) -> list[str]:
    """The fields in one place of an output, transformers taken off."""
    check = parse(f"{text} exists")
    assert isinstance(check, Check)
    return [writing.operand(ref) for ref in _refs(check.left)]


def _sorted(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(names)))
