"""Runs tests: their events go through a host of the engine with the rules, and its alerts are what they say or not."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

from tiercel._engine import Batch, Host, RuleSet
from tiercel.errors import CaptureError, RuleError
from tiercel.recording import Capture
from tiercel.rules.explain import render
from tiercel.rules.explain.judge import Judge
from tiercel.rules.load import Loaded, Loader
from tiercel.rules.source import File
from tiercel.rules.testing.form import meant
from tiercel.rules.testing.suite import RuleTest, Suite
from tiercel.rules.testing.world import World
from tiercel.schemas import avro

HEADER: dict[str, Any] = {
    **{"host_id": "test", "host": "test", "boot_id": "test", "run": 1, "first_seq": 1},
    **{"produced": 0, "delivered": 0, "lost": []},
}


class Alert(NamedTuple):
    """An alert that came: the event's number counts from 1."""

    rule: str
    message: str
    event: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a test; no failure: it passed."""

    test: RuleTest
    failure: str | None
    seconds: float
    alerts: tuple[Alert, ...] = ()


class Rules:
    """The rules that a suite tests, those it expects enabled; compiled once."""

    def __init__(self, loaded: Loaded, wanted: frozenset[str]) -> None:
        rules = [replace(rule, enabled=rule.enabled or rule.name in wanted) for rule in loaded.rules]
        self.loaded = Loaded(loaded.files, rules, loaded.problems)
        self.names = [rule.name for rule in rules]

    @cached_property
    def compiled(self) -> RuleSet:
        return RuleSet(self.loaded.plan(matching="all"))


class Runner:
    """Runs tests of many files; rule files that several of them name are read once."""

    def __init__(self) -> None:
        self._loaded: dict[object, Loaded] = {}
        self._rules: dict[object, Rules] = {}

    def run(self, suites: Iterable[Suite]) -> Iterator[Outcome]:
        """All tests, in order; RuleError if a file of tests or of rules is wrong."""
        for suite in suites:
            rules = self.rules(suite)
            _check_names(suite, rules)
            for test in suite.tests:
                yield self.one(test, rules)

    def rules(self, suite: Suite) -> Rules:
        files = tuple(path.resolve() for path in suite.files)
        key = (files, suite.file if suite.inline else None, tuple(id(item) for item in suite.inline))
        if key not in self._loaded:
            self._loaded[key] = _load(suite)
        disabled = frozenset(rule.name for rule in self._loaded[key].rules if not rule.enabled) & suite.wanted()
        if (key, disabled) not in self._rules:
            self._rules[key, disabled] = Rules(self._loaded[key], disabled)
        return self._rules[key, disabled]

    def one(self, test: RuleTest, rules: Rules) -> Outcome:
        """One test. What is wrong with itself is its failure, too, and the others run."""
        start = time.perf_counter()
        try:
            alerts = tuple(alert for batch in batches(test) for alert in _alerts(batch, rules))
        except (CaptureError, RuleError) as error:
            return Outcome(test, str(error), time.perf_counter() - start)
        failure = _of_capture(test, alerts) if test.capture else _of_events(test, alerts)
        if failure is not None:
            failure += "".join(f"; {why}" for why in _reasons(test, rules, alerts))
        return Outcome(test, failure, time.perf_counter() - start, alerts)


def _load(suite: Suite) -> Loaded:
    loader = Loader()
    for path in suite.files:
        loader.read(path)
    if suite.inline:
        loader.names.append(suite.form.file)
        loader.read_items(File(suite.form.file, suite.text), suite.inline)
    return loader.finish().check()


def batches(test: RuleTest) -> Iterator[tuple[Host, Batch, str]]:
    """The events of a test, a batch at a time, with the host that they happen on and its name."""
    host = Host()
    if test.capture is not None:
        capture = Capture(test.capture)
        for batch in capture:
            yield host, batch, capture.hostname
        return
    world = World(test.suite.form, test.suite.defaults)
    for event in test.events:
        world.event(event)
    yield host, world.batch(), ""


def _alerts(given: tuple[Host, Batch, str], rules: Rules) -> Iterator[Alert]:
    host, batch, hostname = given
    for body in host.replay(batch, rules.compiled, header=HEADER | {"host": hostname}):
        alert = avro.decode("alert", avro.frame("alert", body))
        yield Alert(alert["rule"], alert["message"], alert["seq"])


def _reasons(test: RuleTest, rules: Rules, alerts: tuple[Alert, ...]) -> Iterator[str]:
    """Of each expected rule that matched nothing the clause on which it failed, where it came furthest."""
    came = {alert.rule for alert in alerts}
    for rule in dict.fromkeys(
        [*(alert.rule for alert in test.alerts), *(rule for rule, count in test.counts if count)]
    ):
        if rule in came:
            continue
        judge = Judge(next(found for found in rules.loaded.rules if found.name == rule))
        _, best = judge.survey(lambda: batches(test))
        for verdict in judge.on(lambda: batches(test), [best] if best is not None else []):
            clause = verdict.first_false()
            assert clause is not None
            yield f"'{rule}' did not match {render.event(verdict.event)}, first false: {render.reason(verdict, clause)}"
    if not test.capture:
        wanted = {alert.rule for alert in test.alerts}
        yield from (f"got {alert.message}" for alert in alerts if alert.rule not in wanted)


def _check_names(suite: Suite, rules: Rules) -> None:
    """Expecting an alert of a rule that there is not is a mistake, and so is never expecting one."""
    for test in suite.tests:
        named = [(alert.rule, alert.at) for alert in test.alerts]
        named += [(rule, test.at) for rule in (*test.absent, *(rule for rule, _ in test.counts))]
        for rule, at in named:
            if rule not in rules.names:
                raise suite.form.error(
                    f"there is no rule {rule!r} in the rules of this file{meant(rule, rules.names)}", at
                )


def _of_events(test: RuleTest, alerts: tuple[Alert, ...]) -> str | None:
    came, wanted = [alert.rule for alert in alerts], [alert.rule for alert in test.alerts]
    if came != wanted:
        return f"expected {_listed(wanted)}, got {_listed(came)}"
    for alert, expected in zip(alerts, test.alerts, strict=True):
        if expected.output not in alert.message:
            return f"the output of '{alert.rule}' lacks {expected.output!r}: {alert.message}"
    return None


def _of_capture(test: RuleTest, alerts: tuple[Alert, ...]) -> str | None:
    counts = Counter(alert.rule for alert in alerts)
    wrong = [
        f"expected {count} of '{rule}', got {counts[rule]}" for rule, count in test.counts if counts[rule] != count
    ]
    for expected in test.alerts:
        of_rule = [alert.message for alert in alerts if alert.rule == expected.rule]
        if not any(expected.output in message for message in of_rule):
            part = f" with {expected.output!r}" if expected.output else ""
            wrong.append(f"expected '{expected.rule}'{part}, got {len(of_rule)} of it")
    wrong += [f"expected no '{rule}', got {counts[rule]}" for rule in test.absent if counts[rule]]
    return "; ".join(wrong) or None


def _listed(rules: list[str]) -> str:
    return ", ".join(f"'{rule}'" for rule in rules) or "no alert"
