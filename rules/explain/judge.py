"""Asks the engine how a rule stood on events: those of a recording, or one event told by its fields."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tiercel._engine import Batch, Host
from tiercel.errors import RuleError
from tiercel.rules.compile import CompiledRule
from tiercel.rules.explain.clauses import ABOUT, AND, OR, Clause, Dissected
from tiercel.rules.fields import event_codes
from tiercel.schemas import tables

Batches = Callable[[], Iterable[tuple[Host, Batch, str]]]
"""The events of a recording from its beginning: host, batch and the host's name; each call with a new host."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A rule on one event: which clauses held, and the values of all operands."""

    rule: CompiledRule
    root: Clause
    event: dict[str, Any]
    holding: frozenset[int]
    values: list[Any]
    unknown: dict[str, str] = field(default_factory=dict)
    """Fields that nobody recorded, and why: their values are not absent, but not known."""
    recorded: tuple[str, ...] | None = None
    """Names of the rules that matched when the event happened, if that was recorded."""

    @property
    def matched(self) -> bool:
        return self.holds(self.root)

    def holds(self, clause: Clause) -> bool:
        return clause.number in self.holding

    def first_false(self) -> Clause | None:
        """The first clause on which the rule failed, None if it matched. Of alternatives that of the one that came
        furthest: of which the fewest clauses were false.
        """
        if self.matched:
            return None
        clause = self.root
        while clause.kind in (AND, OR) and clause.children:
            below = [child for child in clause.children if not self.holds(child)]
            if clause.kind == AND:
                clause = below[0]
            else:
                clause = min(below, key=lambda child: sum(not self.holds(part) for part in child.conjuncts()))
        return clause

    def causes(self, clause: Clause) -> list[Clause]:
        """What makes a true clause true: comparisons, macros and negations."""
        out, stack = [], [clause]
        while stack:
            part = stack.pop()
            if part.kind == OR and (part is clause or not part.macros):
                stack.append(next(child for child in part.children if self.holds(child)))
            elif part.kind == AND and (part is clause or not part.macros):
                stack.extend(reversed(part.children))
            else:
                out.append(part)
        return out


class Judge:
    """One rule, taken apart."""

    def __init__(self, rule: CompiledRule) -> None:
        self.dissected = Dissected.of([rule])
        self.rule, self.root = rule, self.dissected.roots[0]

    def survey(self, batches: Batches) -> tuple[list[int], int | None]:
        """Numbers of the events that the rule matches, and if there are none of the first that fulfils most of it."""
        must = {clause.number for clause in self.root.conjuncts()}
        matched, best, most = [], None, 0
        for number, holding in self.holding(batches()):
            if self.root.number in holding:
                matched.append(number)
            elif not matched and len(must & holding) > most:
                best, most = number, len(must & holding)
        return matched, None if matched else best

    def holding(self, batches: Iterable[tuple[Host, Batch, str]]) -> Iterator[tuple[int, set[int]]]:
        for host, batch, hostname in batches:
            for number, holding in self.dissected.engine.holding(host, batch, hostname=hostname):
                yield number, set(holding)

    def on(self, batches: Batches, numbers: Sequence[int]) -> Iterator[Verdict]:
        """The verdicts on the events with these numbers, which ascend; those that there are none of are left out."""
        wanted = list(numbers)
        for host, batch, hostname in batches():
            if not wanted:
                return
            told = self.dissected.engine.on(host, batch, wanted, hostname=hostname)
            wanted = wanted[len(told) :]
            for holding, values in told:
                about = {name: values[operand] for name, operand in self.dissected.about.items()}
                yield Verdict(self.rule, self.root, about, frozenset(holding), values)

    def of_row(self, row: dict[str, Any]) -> Verdict:
        """The verdict on a stored event, as History.event tells it; RuleError if the engine cannot take it."""
        fields = row["fields"] | {"evt.type": row["type"]}
        codes = event_codes().get(row["type"], frozenset())
        name = next((event.name for event in tables.events() if event.code in codes), row["type"])
        try:
            holding, values = self.dissected.engine.try_event(name, fields)
        except (ValueError, TypeError) as error:
            raise RuleError(f"the event {row['id']} cannot be judged: {error}") from None
        about = {"id": row["id"], **{field: fields[field] for field in ABOUT if fields.get(field) is not None}}
        return Verdict(self.rule, self.root, about, frozenset(holding), values, row["unknown"], tuple(row["rules"]))
