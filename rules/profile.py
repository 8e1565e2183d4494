"""What rules and their predicates cost: counts of the engine, put to the rows of the plan that they are about."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from tiercel.rules import writing

Counts = dict[str, list[tuple[int, int, int]]]
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Predicate:
    """One test, or a condition that a look-up of words answers, however many rules ask it."""

    text: str
    tests: int
    held: int
    ns: int
    rules: int
    """Rules that ask it."""


@dataclass(frozen=True, slots=True)
class RuleCost:
    """A rule's own share: of a test that several rules ask, each bears a part."""

    name: str
    tests: float
    ns: float
    alone: int
    """How often all was true that it asks together with other rules, so that only its own tests were left."""
    matches: int


@dataclass(frozen=True, slots=True)
class Profile:
    """The whole, what costs most first."""

    events: int
    """Events that some rule may match."""
    ns: int
    """What they took, counting included."""
    rules: list[RuleCost]
    predicates: list[Predicate]


def profile(plan: str, counts: Counts) -> Profile:
    """Of what `RuleSet.profile` counted for a rule set of this plan; nothing if nothing was measured."""
    rows = json.loads(plan)
    if not counts:
        return Profile(0, 0, [], [])
    tests, ((events, _, ns),) = counts["tests"], counts["events"]
    asked = [sorted(_below(rows["nodes"], rule["node"])) for rule in rows["rules"]]
    users = [0] * len(tests)
    for nodes in asked:
        for node in nodes:
            users[node] += 1
    predicates = [
        Predicate(_node(rows, node), times, held, spent, users[node])
        for node, (times, held, spent) in enumerate(tests)
        if times
    ]
    rules = [
        RuleCost(
            name=rule["name"],
            tests=sum(tests[node][0] / users[node] for node in nodes),
            ns=sum(tests[node][2] / users[node] for node in nodes),
            alone=alone,
            matches=matches,
        )
        for rule, nodes, (alone, matches, _) in zip(rows["rules"], asked, counts["rules"], strict=True)
    ]
    predicates.sort(key=lambda predicate: (-predicate.ns, predicate.text))
    rules.sort(key=lambda rule: (-rule.ns, rule.name))
    return Profile(events, ns, rules, predicates)


def _below(nodes: list[Row], root: int) -> set[int]:
    """A node and all that it is made of."""
    met, stack = {root}, [root]
    while stack:
        ((kind, body),) = nodes[stack.pop()].items()
        below = [] if kind == "test" else [body] if kind == "not" else body
        stack += [child for child in below if child not in met]
        met.update(below)
    return met


def _node(rows: Row, node: int, depth: int = 2) -> str:
    """A condition as text; what is deep within is left out."""
    ((kind, body),) = rows["nodes"][node].items()
    if kind == "test":
        return _text(rows, body)
    if not depth:
        return "(…)"
    if kind == "not":
        return f"not {_node(rows, body, depth - 1)}"
    parts = [_node(rows, child, depth - 1) for child in body[: writing.MOST]]
    more = ["…"] if len(body) > writing.MOST else []
    between = " and " if kind == "all" else " or "
    return f"({between.join([*parts, *more])})"


def _text(rows: Row, test: Row) -> str:
    operator = " ".join([test["op"], *([test["modifier"]] if "modifier" in test else [])])
    left = f"{_operand(rows, test['left'])} {operator}"
    if "right" in test:
        return f"{left} {_operand(rows, test['right'])}"
    values = [_constant(value) for value in test.get("values", [])]
    if test["op"] in ("in", "intersects", "pmatch") or "modifier" in test:
        more = [f"… {len(values) - writing.MOST} more"] if len(values) > writing.MOST else []
        return f"{left} ({', '.join([*values[: writing.MOST], *more])})"
    return " ".join([left, *values])


def _operand(rows: Row, number: int) -> str:
    ((kind, body),) = rows["operands"][number].items()
    match kind:
        case "field":
            argument = body.get("key", body.get("index"))
            return str(body["name"] if argument is None else f"{body['name']}[{argument}]")
        case "constant":
            return _constant(body)
        case "list":
            return f"({', '.join(_operand(rows, item) for item in body)})"
        case _:
            selector = f"[{body['option']}]" if "option" in body else ""
            return f"{body['name']}({', '.join(_operand(rows, item) for item in body['args'])}){selector}"


def _constant(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case str():
            return writing.text(value)
        case {"hex": str(digits)}:
            return writing.text(bytes.fromhex(digits).decode(errors="replace"))
        case _:
            return str(value)
