"""What tests leave untried: clauses of rules that were never true, rules without a hit or without a near miss."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from tiercel.errors import CaptureError, RuleError
from tiercel.rules.explain.clauses import TEST, Clause, Dissected
from tiercel.rules.testing.run import Outcome, Rules, batches


@dataclass(slots=True)
class Covered:
    """A rule, and what tests have tried of it. A near miss is an event on which one thing alone was missing: of the
    clauses that all must hold exactly one did not.
    """

    rule: str
    file: str
    clauses: list[str]
    true: set[int] = field(default_factory=set)
    hits: int = 0
    near_misses: int = 0

    @property
    def never(self) -> list[str]:
        """Comparisons that were never true, with the macros that they stand in."""
        return [text for number, text in enumerate(self.clauses) if number not in self.true]


class Coverage:
    """Collects over tests; a rule of which several files of tests try parts is counted once."""

    def __init__(self) -> None:
        self._rules: dict[tuple[str, str], Covered] = {}
        self._dissected: dict[int, tuple[Rules, Dissected, list[_Parts]]] = {}

    def add(self, outcome: Outcome, rules: Rules) -> None:
        """Count one test that has run."""
        _, dissected, parts = self._of(rules)
        fired = {alert.rule for alert in outcome.alerts}
        near: set[int] = set()
        try:
            for host, batch, hostname in batches(outcome.test):
                for _, numbers in dissected.engine.holding(host, batch, hostname=hostname):
                    holding = set(numbers)
                    for index, part in enumerate(parts):
                        part.covered.true.update(part.seen(holding))
                        if len(part.must - holding) == 1:
                            near.add(index)
        except (CaptureError, RuleError):
            return  # the failure of the test says so
        for index, part in enumerate(parts):
            part.covered.hits += part.covered.rule in fired
            part.covered.near_misses += index in near and part.covered.rule not in fired

    def rows(self) -> list[Covered]:
        """Every rule that was among those tested, in the order of files."""
        return list(self._rules.values())

    def _of(self, rules: Rules) -> tuple[Rules, Dissected, list[_Parts]]:
        if id(rules) not in self._dissected:
            enabled = [rule for rule in rules.loaded.rules if rule.enabled]
            dissected, parts = Dissected.of(enabled), []
            for rule, root in zip(enabled, dissected.roots, strict=True):
                leaves = dict(_leaves(root))
                covered = Covered(rule.name, rule.file, list(leaves.values()))
                covered = self._rules.setdefault((rule.file, rule.name), covered)
                places = {number: place for place, number in enumerate(leaves)}
                parts.append(_Parts(covered, places, {clause.number for clause in root.conjuncts()}))
            self._dissected[id(rules)] = rules, dissected, parts
        return self._dissected[id(rules)]


@dataclass(frozen=True, slots=True)
class _Parts:
    covered: Covered
    leaves: dict[int, int]
    """Number of a comparison in the engine → its place in the rule."""
    must: set[int]

    def seen(self, holding: set[int]) -> list[int]:
        return [self.leaves[number] for number in holding & self.leaves.keys()]


def _leaves(root: Clause) -> Iterator[tuple[int, str]]:
    """Each comparison of a rule once, in order, with where it stands."""
    seen: set[int] = set()
    stack: list[tuple[Clause, tuple[str, ...]]] = [(root, ())]
    while stack:
        clause, within = stack.pop()
        names = (*within, *([f"exception {clause.exception}"] if clause.exception else []), *clause.macros)
        if clause.kind == TEST and clause.number not in seen:
            seen.add(clause.number)
            yield clause.number, "".join(f"{name}: " for name in names) + clause.text(4)
        stack.extend((child, names) for child in reversed(clause.children))
