"""The shipped rules: loaded without a warning, and their cases as data."""

from __future__ import annotations

from pathlib import Path

import pytest

from tiercel import _engine
from tiercel.rules import cases
from tiercel.rules.load import library, load

CASES = [case for path in sorted(Path(__file__).parent.glob("*.yaml")) for case in cases.read(path)]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.file.stem}: {case.name}")
def test_case(case: cases.Case) -> None:
    assert case.failure() is None


def test_loads_without_a_warning() -> None:
    loaded = load(library())
    assert loaded.problems == []
    assert len(_engine.RuleSet(loaded.plan()).names) == 5


def test_every_rule_has_hits_and_near_misses() -> None:
    hits = {rule for case in CASES for rule, _ in case.alerts}
    assert {rule.name for rule in load(library()).rules} <= hits
    for path in {case.file for case in CASES}:
        assert any(not case.alerts for case in CASES if case.file == path)


def test_rules_name_program_parents_user_and_technique() -> None:
    for rule in load(library()).rules:
        names = _engine.Format("*" + rule.output).names
        assert {"proc.name", "proc.pname", "proc.aname[2]", "user.name", "proc.pid"} <= set(names)
        assert any(tag.startswith("T1") for tag in rule.tags)
        assert any(tag.startswith("mitre_") for tag in rule.tags)


def test_a_wrong_expectation_is_told(tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text("rules: [tiercel.yaml]\ncases:\n- {name: n, fields: {}, alerts: [Execution from shared memory]}\n")
    assert cases.read(path)[0].failure() == "n: expected alerts ['Execution from shared memory'], got []"
