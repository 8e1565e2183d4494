"""What rules cost: each test counted once, whoever asks it, and shared among the rules that do."""

import json
from pathlib import Path

import pytest

from tests.cli.run import tiercel
from tiercel._engine import RuleSet
from tiercel.local import bundled_capture
from tiercel.rules.load import load
from tiercel.rules.profile import profile

RULES = """
- rule: etc
  desc: d
  condition: evt.type = openat and fd.name startswith /etc/ and proc.name = cat
  output: o
  priority: DEBUG
- rule: tmp
  desc: d
  condition: evt.type = openat and fd.num > 5 and proc.name = cat
  output: o
  priority: DEBUG
"""


@pytest.fixture
def plan(tmp_path: Path) -> str:
    file = tmp_path / "rules.yaml"
    file.write_text(RULES)
    return load([file]).check().plan(matching="all")


def test_nothing_is_counted_unasked(plan: str) -> None:
    rules = RuleSet(plan)
    rules.try_event("openat", {"proc.name": "cat", "fd.name": "/etc/x", "fd.num": 7})
    found = profile(plan, rules.profile())
    assert (found.events, found.predicates, found.rules) == (0, [], [])


def test_a_shared_test_is_made_once_and_borne_by_both(plan: str) -> None:
    rules = RuleSet(plan)
    rules.measure()
    for name, number in (("cat", 7), ("cat", 3), ("vi", 7)):
        rules.try_event("openat", {"proc.name": name, "fd.name": "/etc/x", "fd.num": number})
    rules.try_event("close", {"proc.name": "cat"})
    found = profile(plan, rules.profile())
    assert found.events == 3
    assert found.ns > 0
    predicates = {one.text: (one.tests, one.held, one.rules) for one in found.predicates}
    # Of the process first: what it rules out is asked no further.
    assert predicates == {
        "proc.name = cat": (3, 2, 2),
        "fd.name startswith /etc/": (2, 2, 1),
        "fd.num > 5": (2, 1, 1),
    }
    assert {one.name: (one.tests, one.alone, one.matches) for one in found.rules} == {
        "etc": (3.5, 2, 2),
        "tmp": (3.5, 2, 1),
    }


def test_many_constants_are_looked_up_together(tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    rule = (
        "- rule: r{0}\n  desc: d\n  condition: evt.type = openat and fd.name = /f{0}\n  output: o\n  priority: DEBUG\n"
    )
    file.write_text("".join(rule.format(number) for number in range(40)))
    plan = load([file]).check().plan(matching="all")
    rules = RuleSet(plan)
    rules.measure()
    assert [match[0] for match in rules.try_event("openat", {"fd.name": "/f7"})] == ["r7"]
    found = profile(plan, rules.profile())
    assert {one.text for one in found.predicates if one.held} == {"fd.name = /f7"}
    assert [one.name for one in found.rules if one.matches] == ["r7"]
    assert sum(one.alone for one in found.rules) == 1


def test_replay_says_what_rules_cost(tmp_path: Path) -> None:
    done = tiercel("replay", bundled_capture(), "--profile", "--json", home=tmp_path)
    assert done.returncode == 0
    assert all(json.loads(line)["rule"] for line in done.stdout.splitlines())
    for part in ("events that a rule may match", "predicate", "ns each", "Sensitive file read"):
        assert part in done.stderr


@pytest.mark.parametrize("width", ["80", "200"])
def test_what_rules_cost_is_shown_at_any_width(tmp_path: Path, width: str) -> None:
    done = tiercel("replay", bundled_capture(), "--profile", "--json", home=tmp_path, COLUMNS=width)
    header = next(line for line in done.stderr.splitlines() if line.startswith("predicate"))
    assert header.split() == ["predicate", "rules", "tests", "held", "ns", "each", "ms"]
    assert len(header) > 80, "predicates in a file are not cut as for a terminal"
