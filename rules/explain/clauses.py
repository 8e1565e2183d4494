"""A rule as a tree of clauses: each part of its condition, under the names of its macros and exceptions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tiercel._engine import Clauses
from tiercel.rules import events, writing
from tiercel.rules.compile import CompiledRule
from tiercel.rules.plan import Planner
from tiercel.rules.tree import And, Call, Check, FieldRef, Node, Not, Operand, Or, children, fold, fold_operand

AND, OR, NOT, TEST = "and", "or", "not", "test"
ABOUT = ("evt.num", "evt.rawtime", "evt.type", "evt.res", "proc.name", "proc.pid", "proc.cmdline", "fd.name")


@dataclass(slots=True)
class Clause:
    """A part of a condition. `number` is that of its rule among the clauses of the engine."""

    node: Node
    kind: str
    number: int
    macros: tuple[str, ...] = ()
    """Macros that are this clause, the outermost first."""
    exception: str = ""
    children: list[Clause] = field(default_factory=list)
    left: int | None = None
    """Number of the operand on the left of a test, and"""
    right: int | None = None
    """of one on its right that is no constant."""

    def text(self, most: int = writing.MOST) -> str:
        """The clause as one would write it."""
        return writing.condition(self.node, most)

    def walk(self) -> Iterator[Clause]:
        """This clause and all below it, in the order of the condition."""
        stack = [self]
        while stack:
            clause = stack.pop()
            yield clause
            stack.extend(reversed(clause.children))

    def fields(self) -> list[str]:
        """The fields that its comparisons ask, as written, each once and in order."""
        out: dict[str, None] = {}
        for clause in self.walk():
            if isinstance(clause.node, Check):
                out |= dict.fromkeys(fields_of(clause.node.left))
                out |= dict.fromkeys(fields_of(clause.node.right) if isinstance(clause.node.right, Call) else ())
        return list(out)

    def conjuncts(self) -> list[Clause]:
        """The clauses that all must hold, those within macros included."""
        out, stack = [], [self]
        while stack:
            clause = stack.pop()
            if clause.kind == AND:
                stack.extend(reversed(clause.children))
            else:
                out.append(clause)
        return out


def fields_of(operand: Operand) -> list[str]:
    """The fields in an operand, as written."""
    out: list[str] = []
    fold_operand(operand, lambda part, _: out.append(writing.operand(part)) if isinstance(part, FieldRef) else None)
    return out


@dataclass(slots=True)
class Dissected:
    """Rules taken apart, and all their clauses in one set that the engine evaluates."""

    rules: list[CompiledRule]
    roots: list[Clause]
    engine: Clauses
    about: dict[str, int]
    """Numbers of the operands that tell what an event was."""

    @classmethod
    def of(cls, rules: Sequence[CompiledRule]) -> Dissected:
        planner = _Planner()
        roots = [planner.dissect(rule) for rule in rules]
        about = {name: planner._operand(FieldRef(name, None, 0)) for name in ABOUT}
        return cls(list(rules), roots, Clauses(planner.plan()), about)


class _Planner(Planner):
    """A plan whose rules are clauses: equal ones of all rules are one."""

    def __init__(self) -> None:
        super().__init__(matching="all")
        self.add("", Check(FieldRef("evt.num", None, 0), "exists", None, None, 0), "")
        self.template = self.rules.pop()
        self.numbers: dict[tuple[int, frozenset[int]], int] = {}

    def dissect(self, rule: CompiledRule) -> Clause:
        called: dict[int, tuple[str, ...]] = {}
        for name, tree in rule.macros.items():
            called[id(tree)] = (*called.get(id(tree), ()), name)
        numbers = self.number(rule.tree)
        root = self.clause(rule.tree, called, numbers)
        given = [shape.name for shape in rule.exceptions if shape.values]
        if given and root.kind == AND:
            for clause, name in zip(root.children[-len(given) :], given, strict=True):
                clause.exception = name
        return root

    def number(self, tree: Node) -> dict[int, int]:
        """Numbers of the clauses, by identity of their nodes; one that is new becomes a rule of the plan."""
        codes, numbers = events.codes_of_each(tree), dict[int, int]()

        def visit(node: Node, below: list[int]) -> int:
            made = self._node(node, below)
            key = made, codes[id(node)]
            if key not in self.numbers:
                self.numbers[key] = len(self.rules)
                self.rules.append(self.template | {"node": made, "codes": sorted(key[1])})
            numbers[id(node)] = self.numbers[key]
            return made

        fold(tree, visit)
        return numbers

    def clause(self, tree: Node, called: dict[int, tuple[str, ...]], numbers: dict[int, int]) -> Clause:
        """Iterative, as conditions can be deep. What stands in a condition several times is several clauses."""

        def one(node: Node) -> Clause:
            kind = {And: AND, Or: OR, Not: NOT}.get(type(node), TEST)
            clause = Clause(node, kind, numbers[id(node)], called.get(id(node), ()))
            if isinstance(node, Check):
                clause.left = self._operand(node.left)
                clause.right = self._operand(node.right) if isinstance(node.right, Call) else None
            return clause

        root = one(tree)
        stack = [root]
        while stack:
            clause = stack.pop()
            clause.children = [one(child) for child in children(clause.node)]
            stack += clause.children
        return root
