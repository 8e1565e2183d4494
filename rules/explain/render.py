"""Verdicts as text for people and as JSON for programs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tiercel.printable import printable
from tiercel.rules import writing
from tiercel.rules.explain.clauses import AND, NOT, OR, TEST, Clause, fields_of
from tiercel.rules.explain.judge import Verdict
from tiercel.rules.tree import Call, Check, Operand

LONGEST = 120
GROUPS = {AND: "all of", OR: "any of"}


def text(verdict: Verdict) -> Iterator[str]:
    """The lines of a verdict: what became of it, then each clause with its mark and its value."""
    said = "matched" if verdict.matched else "did not match"
    yield f"{verdict.rule.name}: {said} {event(verdict.event)}"
    first = verdict.first_false()
    if first is not None:
        yield f"first false: {reason(verdict, first)}"
    if verdict.recorded is not None and (verdict.rule.name in verdict.recorded) != verdict.matched:
        then = "matched" if verdict.rule.name in verdict.recorded else "did not match"
        yield f"when it happened, a rule of this name {then}"
    for name, why in verdict.unknown.items():
        yield f"taken as absent: {name}, which {why}"
    yield ""
    yield from _lines(verdict, first)


def event(about: dict[str, Any]) -> str:
    """One event in a few words."""
    parts = [f"event {about.get('id', about.get('evt.num'))}:", str(about.get("evt.type") or "?")]
    if about.get("fd.name"):
        parts.append(_short(str(about["fd.name"])))
    if about.get("proc.name"):
        name = _short(str(about["proc.name"]))
        parts.append(f"by {name} [{about.get('proc.pid')}]: {_short(str(about.get('proc.cmdline')))}")
    return " ".join(parts)


def reason(verdict: Verdict, clause: Clause) -> str:
    """A false clause, and the values that made it so."""
    if clause.kind != NOT:
        return f"{_named(clause)}{_with_value(verdict, clause)}"
    inner = clause.children[0]
    if inner.kind == TEST:
        return f"{_named(clause)}not {_named(inner)}{_with_value(verdict, inner)}"
    causes = [", ".join(part.macros) or _with_value(verdict, part) for part in verdict.causes(inner)]
    return f"{_named(clause)}not {_named(inner)}({' and '.join(causes)})"


def _with_value(verdict: Verdict, clause: Clause) -> str:
    return f"{clause.text(4)} {value(verdict, clause)}" if clause.kind == TEST else _short(clause.text(4))


def value(verdict: Verdict, clause: Clause) -> str:
    """`— is …` of the left side of a test, and of its right side where that is no constant."""
    node = clause.node
    assert isinstance(node, Check)
    assert clause.left is not None
    out = f"— is {_value(verdict, node.left, clause.left)}"
    if clause.right is not None and isinstance(node.right, Call):
        out += f", {writing.operand(node.right)} is {_value(verdict, node.right, clause.right)}"
    return out


def _value(verdict: Verdict, operand: Operand, number: int) -> str:
    if missing := next((name for name in fields_of(operand) if name in verdict.unknown), ""):
        return f"not known: {missing} is not in the store"
    return shown(verdict.values[number])


def shown(found: Any) -> str:
    """A value; a missing one says so, and a long one is cut."""
    if found is None:
        return "absent"
    if isinstance(found, bool):
        return str(found).lower()
    if isinstance(found, list):
        return f"({_short(', '.join(map(str, found)))})"
    return _short(str(found)) if found != "" else '""'


def _short(of: str) -> str:
    line = printable(" ".join(of.split()))
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"


def _named(clause: Clause) -> str:
    names = [f"exception {clause.exception}"] if clause.exception else []
    return "".join(f"{name}: " for name in (*names, *clause.macros))


def _lines(verdict: Verdict, first: Clause | None) -> Iterator[str]:
    """Depth first; a group in a group of its kind without a name of its own is part of it."""
    root = verdict.root
    whole = root.kind == AND and not root.macros
    stack = [(clause, 0) for clause in reversed(_members(root) if whole else [root])]
    seen: set[int] = set()
    while stack:
        clause, depth = stack.pop()
        below = clause.children[0] if clause.kind == NOT else clause
        head = _named(clause) + (f"not {_named(below)}" if clause.kind == NOT else "")
        repeated = bool(below.macros) and below.number in seen and below.kind in GROUPS
        seen.add(below.number)
        rest = f"{below.text()} {value(verdict, below)}" if below.kind == TEST else GROUPS.get(below.kind, "")
        mark, note = "✓" if verdict.holds(clause) else "✗", "   ← first false" if clause is first else ""
        yield f"{'  ' * depth}{mark} {head}{'as above' if repeated else rest}".rstrip() + note
        if not repeated:
            members = _members(below) if below.kind in GROUPS else below.children
            stack += [(member, depth + 1) for member in reversed(members)]


def _members(group: Clause) -> list[Clause]:
    out: list[Clause] = []
    for clause in group.children:
        own = clause.macros or clause.exception
        out += _members(clause) if clause.kind == group.kind and not own else [clause]
    return out


def as_json(verdict: Verdict) -> dict[str, Any]:
    """The verdict: `rule`, `matched`, `event`, `first_false` and the tree of `condition`."""
    first = verdict.first_false()
    return {
        "rule": verdict.rule.name,
        "matched": verdict.matched,
        "event": verdict.event,
        "first_false": first.text(1 << 30) if first else None,
        "condition": _node(verdict, verdict.root),
    }


def _node(verdict: Verdict, root: Clause) -> dict[str, Any]:
    """Iterative, as a condition can be deeper than the stack."""
    made: dict[int, dict[str, Any]] = {}
    for clause in reversed(list(root.walk())):
        out: dict[str, Any] = {"clause": clause.text(1 << 30), "kind": clause.kind, "holds": verdict.holds(clause)}
        if clause.macros:
            out["macros"] = list(clause.macros)
        if clause.exception:
            out["exception"] = clause.exception
        if clause.kind == TEST:
            out |= _sides(verdict, clause)
        else:
            out["children"] = [made.pop(id(child)) for child in clause.children]
        made[id(clause)] = out
    return made[id(root)]


def _sides(verdict: Verdict, clause: Clause) -> dict[str, Any]:
    node = clause.node
    assert isinstance(node, Check)
    assert clause.left is not None
    out: dict[str, Any] = {"left": writing.operand(node.left), "value": verdict.values[clause.left]}
    if unknown := {name: verdict.unknown[name] for name in fields_of(node.left) if name in verdict.unknown}:
        out["unknown"] = unknown
    if clause.right is not None and isinstance(node.right, Call):
        out |= {"right": writing.operand(node.right), "right_value": verdict.values[clause.right]}
    return out
