"""The shipped rules: loaded without a warning, their tests as data, and what each must have."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from tiercel import _engine
from tiercel.rules.compile import CompiledRule
from tiercel.rules.events import codes
from tiercel.rules.load import library, load
from tiercel.rules.testing.coverage import Coverage
from tiercel.rules.testing.run import Runner
from tiercel.rules.testing.suite import LIBRARY, RuleTest, find
from tiercel.schemas import tables

ROOT = Path(__file__).parent.parent.parent
RUNNER, SUITES = Runner(), find([LIBRARY])
TESTS = [test for suite in SUITES for test in suite.tests]
RULES = load(library()).rules
TECHNIQUES = tomllib.loads((ROOT / "scripts/techniques.toml").read_text(encoding="utf-8"))
PARTS = re.compile(r"[^\n]{60,}\nFirst steps: [^\n]{40,}\nFalse positives: [^\n]{15,}\n?")


@pytest.mark.parametrize("test", TESTS, ids=lambda test: f"{test.suite.file.stem}: {test.name}")
def test_library(test: RuleTest) -> None:
    assert RUNNER.one(test, RUNNER.rules(test.suite)).failure is None


def test_loads_without_a_warning() -> None:
    loaded = load(library())
    assert loaded.problems == []
    assert len(_engine.RuleSet(loaded.plan()).names) == len(loaded.rules) >= 60


def test_each_file_needs_only_what_all_share() -> None:
    shared = LIBRARY / "00-macros.yaml"
    for file in library():
        loaded = load([shared, file])
        assert loaded.errors == []
        elsewhere = {name for rule in RULES if Path(rule.file) != file for name in rule.lists}
        ours = {name for rule in loaded.rules for name in rule.lists}
        wanted = {name for rule in RULES if Path(rule.file) == file for name in rule.lists}
        assert wanted == ours, f"{file.name} uses lists of other files: {sorted((wanted - ours) & elsewhere)}"


def test_every_rule_has_a_hit_and_a_near_miss() -> None:
    coverage = Coverage()
    for test in TESTS:
        rules = RUNNER.rules(test.suite)
        coverage.add(RUNNER.one(test, rules), rules)
    rows = coverage.rows()
    assert {row.rule for row in rows} == {rule.name for rule in RULES}
    assert [row.rule for row in rows if not row.hits or not row.near_misses] == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_what_a_rule_must_have(rule: CompiledRule) -> None:
    names = _engine.Format("*" + rule.output).names
    assert {"proc.name", "proc.exepath", "proc.pname", "proc.aname[2]", "user.name", "proc.pid"} <= set(names)
    assert {"container.id"} <= set(names)
    assert rule.output.startswith(rule.name)
    techniques = [tag for tag in rule.tags if tag.startswith("T1")]
    assert techniques
    assert set(techniques) <= TECHNIQUES.keys()
    assert any(tag.startswith("mitre_") for tag in rule.tags)
    assert {"host", "container"} & set(rule.tags)
    assert rule.exceptions
    assert PARTS.fullmatch(rule.desc)
    assert len(codes(rule.tree)) < 20, "it must be asked on few kinds of events"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_outputs_have_only_what_an_event_of_the_rule_has(rule: CompiledRule) -> None:
    matched = codes(rule.tree)
    there = {param.name for event in tables.events() if event.code in matched for param in event.params}
    wanted = {name.removeprefix("evt.arg.") for name in _engine.Format("*" + rule.output).names if "evt.arg." in name}
    assert wanted <= there


def test_no_technique_is_left_over() -> None:
    assert {tag for rule in RULES for tag in rule.tags if tag.startswith("T1")} == TECHNIQUES.keys()
