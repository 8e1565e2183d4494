"""The shipped rules: loaded without a warning, and their tests as data."""

from __future__ import annotations

import pytest

from tiercel import _engine
from tiercel.rules.load import library, load
from tiercel.rules.testing.run import Runner
from tiercel.rules.testing.suite import LIBRARY, RuleTest, find

RUNNER, SUITES = Runner(), find([LIBRARY])
TESTS = [test for suite in SUITES for test in suite.tests]


@pytest.mark.parametrize("test", TESTS, ids=lambda test: f"{test.suite.file.stem}: {test.name}")
def test_library(test: RuleTest) -> None:
    assert RUNNER.one(test, RUNNER.rules(test.suite)).failure is None


def test_loads_without_a_warning() -> None:
    loaded = load(library())
    assert loaded.problems == []
    assert len(_engine.RuleSet(loaded.plan()).names) == len(loaded.rules) > 0


def test_every_rule_has_hits_and_near_misses() -> None:
    hits = {alert.rule for test in TESTS for alert in test.alerts}
    assert {rule.name for rule in load(library()).rules} <= hits
    for suite in SUITES:
        assert any(not test.alerts for test in suite.tests)


def test_rules_name_program_parents_user_and_technique() -> None:
    for rule in load(library()).rules:
        names = _engine.Format("*" + rule.output).names
        assert {"proc.name", "proc.pname", "proc.aname[2]", "user.name", "proc.pid"} <= set(names)
        assert any(tag.startswith("T1") for tag in rule.tags)
        assert any(tag.startswith("mitre_") for tag in rule.tags)
