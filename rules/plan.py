"""Lowers checked conditions to the JSON plan of the engine (engine/src/predicate/plan.rs).

Equal operands and equal sub-conditions exist once, over all rules. Tests of one field against many texts
become one test.
"""

from __future__ import annotations

import hashlib
import json
import socket
from collections.abc import Callable, Iterable
from dataclasses import asdict
from functools import cache
from typing import Any, Literal

from tiercel.rules import check, events
from tiercel.rules.fields import resolve
from tiercel.rules.parse import ConditionError
from tiercel.rules.throttle import Throttle
from tiercel.rules.tree import (
    And,
    Call,
    Check,
    FieldRef,
    Fold,
    Items,
    MacroCall,
    Node,
    Not,
    Operand,
    Or,
    Text,
    fold_operand,
)

FORMAT = 1
MERGED = {
    "=": "in",
    "in": "in",
    "contains": "contains",
    "icontains": "icontains",
    "startswith": "startswith",
    "endswith": "endswith",
}

Row = dict[str, Any]
Resolver = Callable[[str], list[str]]


def resolve_host(name: str) -> list[str]:
    """Addresses of a host name, sorted; none if nobody knows it."""
    try:
        return sorted({str(info[4][0]) for info in socket.getaddrinfo(name, None)})
    except (OSError, ValueError):  # UnicodeError is one, of what cannot be a name
        return []


class Planner:
    """Collects rules; `plan()` is what the engine reads."""

    def __init__(
        self,
        *,
        matching: Literal["first", "all"] = "first",
        base64: bool = False,
        resolver: Resolver = resolve_host,
    ) -> None:
        self.matching, self.base64, self.resolver = matching, base64, cache(resolver)
        self.operands, self.nodes = _Table(), _Table()
        self.rules: list[Row] = []
        self.texts: set[int] = set()
        self._fold, self._events = Fold(self._node), events.Events()

    def add(
        self,
        name: str,
        condition: Node,
        output: str,
        *,
        priority: str = "Notice",
        tags: Iterable[str] = (),
        source: str = "syscall",
        codes: Iterable[int] | None = None,
        throttle: Throttle | None = None,
        extra: Iterable[tuple[str, str | None]] = (),
    ) -> None:
        """Add a rule whose condition has passed `check_condition`; `codes` as rules.events finds them.

        `extra`: further output_fields, a field by its name or a name and the format of a text.
        """
        node = self._fold(condition)
        # What is not the default is a part more: ids of alerts stay as they were without it.
        parts: list[object] = [name, self.nodes.digests[node], output, priority, sorted(tags), source]
        row: Row = {
            "name": name,
            "source": source,
            "priority": priority,
            "tags": sorted(tags),
            "output": output,
            "node": node,
            "codes": sorted(self._events.of(condition) if codes is None else codes),
        }
        fields = [{"field": key} if form is None else {"text": {"key": key, "format": form}} for key, form in extra]
        if fields:
            row["extra"] = fields
            parts.append(fields)
        if self.base64:
            parts.append("base64")
        if throttle is not None and throttle.burst:
            row["throttle"] = asdict(throttle)
        self.rules.append(row | {"sha256": _digest(parts)})

    def version(self) -> str:
        """sha256 over all rules, in order."""
        rules = [[rule["sha256"], rule["throttle"]] if "throttle" in rule else rule["sha256"] for rule in self.rules]
        return _digest([FORMAT, self.matching, rules])

    def plan(self, version: Callable[[], str] | None = None) -> str:
        """The JSON text; `version` tells what alerts call the set, by default it is that of its rules."""
        nodes, rules = self._reachable()
        rows = {
            "format": FORMAT,
            "version": version() if version else self.version(),
            "matching": self.matching,
            "base64": self.base64,
            "operands": self.operands.rows,
            "nodes": nodes,
            "rules": rules,
        }
        return json.dumps(rows, ensure_ascii=False, separators=(",", ":"))

    def _reachable(self) -> tuple[list[Row], list[Row]]:
        """Nodes that a rule uses (merging leaves others behind), renumbered in order."""
        used, stack = set[int](), [rule["node"] for rule in self.rules]
        while stack:
            node = stack.pop()
            if node not in used:
                used.add(node)
                stack += _children(self.nodes.rows[node])
        number = {node: index for index, node in enumerate(sorted(used))}
        rules = [rule | {"node": number[rule["node"]]} for rule in self.rules]
        return [_renumbered(self.nodes.rows[node], number) for node in sorted(used)], rules

    # Nodes

    def _node(self, node: Node, below: list[int]) -> int:
        match node:
            case And():
                return self._all(below)
            case Or():
                return self._any(below)
            case Not():
                return self._not(below[0])
            case Check():
                return self._test(node)
            case MacroCall():
                raise ConditionError(f"the macro {node.name} is not defined", node.at)

    def _group(self, kind: str, children: list[int]) -> int:
        kept = list(dict.fromkeys(children))
        if len(kept) == 1:
            return kept[0]
        return self.nodes.add({kind: kept}, [self.nodes.digests[child] for child in kept])

    def _all(self, children: list[int]) -> int:
        """`not a and not b` is `not (a or b)`, and there tests can be merged."""
        negated = [self.nodes.rows[child]["not"] for child in children if "not" in self.nodes.rows[child]]
        if len(negated) < 2:
            return self._group("all", children)
        kept = [child for child in children if "not" not in self.nodes.rows[child]]
        return self._group("all", [*kept, self._not(self._any(negated))])

    def _any(self, children: list[int]) -> int:
        """Tests of one field by one operator become one test with many constants."""
        groups: dict[tuple[int, str], list[int]] = {}
        kept: list[int] = []
        for child in children:
            key = self._mergeable(child)
            if key is None:
                kept.append(child)
            else:
                groups.setdefault(key, []).append(child)
        for (left, operator), members in groups.items():
            if len(members) == 1:
                kept += members
                continue
            values = {_key(value): value for member in members for value in self.nodes.rows[member]["test"]["values"]}
            row: Row = {"left": left, "op": operator, "values": list(values.values())}
            if operator != "in":
                row["modifier"] = "anyof"
            kept.append(self._add_test(row))
        return self._group("any", kept)

    def _mergeable(self, node: int) -> tuple[int, str] | None:
        test = self.nodes.rows[node].get("test")
        if test is None or "right" in test or test["op"] not in MERGED or test["left"] not in self.texts:
            return None
        if test.get("modifier") not in (None, "anyof") or (test["op"] == "in" and not test["values"]):
            return None
        return test["left"], MERGED[test["op"]]

    def _not(self, child: int) -> int:
        row = self.nodes.rows[child]
        return row["not"] if "not" in row else self.nodes.add({"not": child}, [self.nodes.digests[child]])

    def _add_test(self, row: Row) -> int:
        digests = [self.operands.digests[row[side]] for side in ("left", "right") if side in row]
        return self.nodes.add({"test": row}, digests)

    def _test(self, node: Check) -> int:
        if isinstance(node.left, FieldRef) and node.left.name in check.HOST_NAMES:
            return self._host_test(node)
        row: Row = {"left": self._operand(node.left), "op": node.operator}
        if node.operator in ("bcontains", "bstartswith"):
            row["op"] = node.operator.removeprefix("b")
        if isinstance(node.left, FieldRef) and node.left.name == "evt.around" and node.operator != "exists":
            row["op"] = "<="  # the value is the distance
        of = check.type_of(node.left)
        if not of.many and of.name in check.TEXTS:
            self.texts.add(row["left"])
        if node.modifier:
            row["modifier"] = node.modifier
        if isinstance(node.right, Call):
            row["right"] = self._operand(node.right)
        elif node.right is not None:
            row["values"] = [_constant(value) for value in check.constants(node)]
        return self._add_test(row)

    def _host_test(self, node: Check) -> int:
        """A host name is compared by its addresses, which are part of the rule from now on."""
        assert isinstance(node.left, FieldRef)
        if node.right is None:
            return self._add_test({"left": self._operand(node.left), "op": "exists"})
        left = self._operand(FieldRef(node.left.name.removesuffix(".name"), None, node.left.at))
        exists = self._add_test({"left": left, "op": "exists"})
        texts = [node.right.text] if isinstance(node.right, Text) else []
        if isinstance(node.right, tuple):
            texts = [text.text for text in node.right]
        addresses = sorted({address for name in texts for address in self.resolver(name)})
        among = self._add_test({"left": left, "op": "in", "values": addresses})
        if node.operator == "!=":
            return self._group("all", [exists, self._not(among)])
        if node.operator in ("=", "in", "intersects"):
            return among
        raise ConditionError(f"'{node.operator}' cannot compare {node.left.name}; it knows = != in exists", node.at)

    # Operands

    def _operand(self, operand: Operand) -> int:
        return fold_operand(operand, self._operand_row)

    def _operand_row(self, operand: Operand, below: list[int]) -> int:
        digests = [self.operands.digests[child] for child in below]
        match operand:
            case FieldRef():
                resolved = resolve(operand)
                row: Row = {"name": resolved.field.name}
                if isinstance(resolved.argument, int):
                    row["index"] = resolved.argument
                elif resolved.argument is not None:
                    row["key"] = resolved.argument
                return self.operands.add({"field": row}, digests)
            case Text():
                return self.operands.add({"constant": _constant(operand.text)}, digests)
            case Items():
                return self.operands.add({"list": below}, digests)
            case Call(name="val"):
                return below[0]
            case Call():
                call: Row = {"name": operand.name, "args": below}
                if operand.selector is not None:
                    call["option"] = operand.selector
                return self.operands.add({"call": call}, digests)


class _Table:
    """Rows that exist once, each with a digest that does not depend on numbering."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.digests: list[str] = []
        self.known: dict[str, int] = {}

    def add(self, row: Row, below: list[str]) -> int:
        digest = _digest([_anonymous(row), below])
        number = self.known.setdefault(digest, len(self.rows))
        if number == len(self.rows):
            self.rows.append(row)
            self.digests.append(digest)
        return number


def _anonymous(row: Row) -> object:
    """A row without the numbers of others."""
    ((kind, body),) = row.items()
    if kind == "test":
        return [kind, {key: value for key, value in body.items() if key not in ("left", "right")}, "right" in body]
    if kind == "call":
        return [kind, body["name"], body.get("option")]
    return [kind, body] if kind in ("field", "constant") else [kind]


_encoded = json.JSONEncoder(sort_keys=True).encode


def _digest(parts: object) -> str:
    return hashlib.sha256(_encoded(parts).encode()).hexdigest()


def _key(value: object) -> object:
    """What makes two texts of a plan the same."""
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True), isinstance(value, str)


def _constant(value: check.Constant) -> object:
    """A constant as JSON: text that is no UTF-8 as hex."""
    if not isinstance(value, str) or value.isascii():
        return value
    raw = value.encode("utf-8", "surrogateescape")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return {"hex": raw.hex()}


def _children(row: Row) -> list[int]:
    ((kind, body),) = row.items()
    return [] if kind == "test" else [body] if kind == "not" else list(body)


def _renumbered(row: Row, number: dict[int, int]) -> Row:
    ((kind, body),) = row.items()
    if kind == "test":
        return row
    return {kind: number[body] if kind == "not" else [number[child] for child in body]}


def condition_plan(condition: Node) -> str:
    """A plan with one nameless rule: for `tiercel read FILE CONDITION`."""
    planner = Planner()
    planner.add("", condition, "", priority="Debug")
    return planner.plan()
