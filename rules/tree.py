"""The syntax tree of a condition: made by parse.py, read by check, events, plan and sql.

Nodes are frozen and carry `at`, the offset in the text they came from. Macros stand in the tree as `MacroCall` until
load.py replaces them; what check.py has passed holds none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class FieldRef:
    """A field as written: `name` may end in an argument (`evt.arg.flags`); `argument` is what stood in brackets."""

    name: str
    argument: str | None
    at: int


@dataclass(frozen=True, slots=True)
class Text:
    """A constant. Bytes that are no UTF-8 (`"\\xff"`) are surrogates, as os.fsdecode makes them."""

    text: str
    at: int
    quoted: bool = False


@dataclass(frozen=True, slots=True)
class Items:
    """A list in parentheses among the arguments of a transformer."""

    items: tuple[Operand, ...]
    at: int


@dataclass(frozen=True, slots=True)
class Call:
    """A transformer: `tolower(fd.name)`; `selector` is the `[c]` after `getopt(…)`."""

    name: str
    arguments: tuple[Operand, ...]
    selector: str | None
    at: int


Operand = FieldRef | Call | Text | Items
"""What can be an argument of a transformer. The left side of a check is a FieldRef or a Call."""


@dataclass(frozen=True, slots=True)
class Check:
    """A comparison. `right` is None for exists, a tuple for a list, a Call for `val(…)` and other transformers.

    `==` is kept as `=`; `modifier` is oneof, anyof, allof or none.
    """

    left: FieldRef | Call
    operator: str
    modifier: str | None
    right: Text | tuple[Text, ...] | Call | None
    at: int


@dataclass(frozen=True, slots=True)
class MacroCall:
    """The name of a macro."""

    name: str
    at: int


@dataclass(frozen=True, slots=True)
class Not:
    child: Node
    at: int


@dataclass(frozen=True, slots=True)
class And:
    children: tuple[Node, ...]
    at: int


@dataclass(frozen=True, slots=True)
class Or:
    children: tuple[Node, ...]
    at: int


Node = And | Or | Not | Check | MacroCall


def children(node: Node) -> tuple[Node, ...]:
    """The nodes directly below `node`."""
    if isinstance(node, And | Or):
        return node.children
    return (node.child,) if isinstance(node, Not) else ()


class Fold(Generic[R]):
    """Bottom-up over trees: `visit(node, results of its children)`, once per distinct node object.

    Iterative, so a deep condition cannot exhaust the stack; what trees share (macros) costs once.
    """

    def __init__(self, visit: Callable[[Node, list[R]], R]) -> None:
        self._visit = visit
        # By identity; the node is kept so that its identity is not given to another.
        self._done: dict[int, tuple[R, Node]] = {}

    def __call__(self, root: Node) -> R:
        """The result of a tree."""
        done, visit = self._done, self._visit
        stack = [root]
        while stack:
            node = stack[-1]
            if id(node) in done:
                stack.pop()
                continue
            below = children(node)
            missing = [child for child in below if id(child) not in done]
            if missing:
                missing.reverse()
                stack += missing
            else:
                stack.pop()
                done[id(node)] = visit(node, [done[id(child)][0] for child in below]), node
        return done[id(root)][0]


def fold(root: Node, visit: Callable[[Node, list[R]], R]) -> R:
    """`Fold` over one tree."""
    return Fold(visit)(root)


def operand_children(operand: Operand) -> tuple[Operand, ...]:
    """The operands directly below `operand`."""
    match operand:
        case Call():
            return operand.arguments
        case Items():
            return operand.items
        case FieldRef() | Text():
            return ()


def fold_operand(root: Operand, visit: Callable[[Operand, list[R]], R]) -> R:
    """As `fold`, over an operand."""
    if isinstance(root, FieldRef | Text):
        return visit(root, [])
    done: dict[int, R] = {}
    stack: list[tuple[Operand, bool]] = [(root, False)]
    while stack:
        operand, ready = stack.pop()
        below = operand_children(operand)
        if ready or not below:
            done[id(operand)] = visit(operand, [done[id(child)] for child in below])
        else:
            stack.append((operand, True))
            stack.extend((child, False) for child in reversed(below))
    return done[id(root)]


def written(operand: Operand) -> str:
    """The operand as one would write it; arguments are separated by `,` without blanks, texts are not quoted."""

    def visit(node: Operand, below: list[str]) -> str:
        match node:
            case FieldRef():
                return node.name if node.argument is None else f"{node.name}[{node.argument}]"
            case Text():
                return node.text
            case Items():
                return f"({','.join(below)})"
            case Call():
                selector = "" if node.selector is None else f"[{node.selector}]"
                return f"{node.name}({','.join(below)}){selector}"

    return fold_operand(operand, visit)
