"""Conditions as text again: of a tree, with lists cut to what a line can hold."""

from __future__ import annotations

import re

from tiercel.rules.tree import (
    And,
    Call,
    Check,
    FieldRef,
    Items,
    MacroCall,
    Node,
    Not,
    Operand,
    Or,
    Text,
    fold,
    fold_operand,
)

PLAIN = re.compile(r"[^()\"'\s=,]+")
MOST = 8
"""Items of a list that are shown."""


def text(value: str) -> str:
    """A constant as one would write it."""
    if PLAIN.fullmatch(value):
        return value
    return f'"{value}"' if '"' not in value else f"'{value}'"


def operand(of: Operand) -> str:
    """An operand as one would write it."""

    def visit(node: Operand, below: list[str]) -> str:
        match node:
            case FieldRef():
                return node.name if node.argument is None else f"{node.name}[{node.argument}]"
            case Text():
                return text(node.text)
            case Items():
                return f"({', '.join(below)})"
            case Call():
                selector = "" if node.selector is None else f"[{node.selector}]"
                return f"{node.name}({', '.join(below)}){selector}"

    return fold_operand(of, visit)


def check(of: Check, most: int = MOST) -> str:
    """A comparison; of a longer list so many items, and how many more there are."""
    modifier = f" {of.modifier}" if of.modifier else ""
    left = f"{operand(of.left)} {of.operator}{modifier}"
    match of.right:
        case None:
            return left
        case tuple():
            shown = [text(item.text) for item in of.right[:most]]
            rest = [f"… {len(of.right) - most} more"] if len(of.right) > most else []
            return f"{left} ({', '.join([*shown, *rest])})"
        case Text():
            return f"{left} {text(of.right.text)}"
        case _:
            return f"{left} {operand(of.right)}"


def condition(tree: Node, most: int = MOST) -> str:
    """A whole condition on one line."""

    def visit(node: Node, below: list[tuple[str, bool]]) -> tuple[str, bool]:
        """The text, and whether it needs parentheses within another."""
        wrapped = [f"({part})" if group else part for part, group in below]
        match node:
            case And():
                return " and ".join(wrapped), len(below) > 1
            case Or():
                return " or ".join(wrapped), len(below) > 1
            case Not():
                return f"not {wrapped[0]}", False
            case Check():
                return check(node, most), False
            case MacroCall():
                return node.name, False

    return fold(tree, visit)[0]
