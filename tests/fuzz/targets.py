"""What is fuzzed: each target takes any text and fails unless it is read, or refused as the documentation says.

test_any.py feeds them from strategies, guided.py by coverage.
"""

from __future__ import annotations

import json
from collections.abc import Callable

from tiercel import _engine
from tiercel.commands.problems import lines, results
from tiercel.errors import RuleError
from tiercel.rules.load import Loaded, Loader
from tiercel.rules.parse import ConditionError, parse

FIELDS = {
    "proc.name": "cat",
    "fd.name": "/etc/shadow",
    "proc.aname": ["sh", "sshd"],
    "user.uid": 0,
    "fd.types": ["file"],
}
RULE = {"rule": "r", "condition": "evt.type = openat", "output": "%proc.name", "desc": "d", "priority": "INFO"}


def checked(loaded: Loaded) -> None:
    """What is wrong can be shown; what is right can be run."""
    for problem in loaded.problems:
        assert problem.file in loaded.files
        assert min(problem.place) >= 0
        assert str(problem).startswith(f"{problem.file}:")
        assert problem.message
        assert str(problem).isprintable(), "one line that drives no terminal"
    assert len(list(lines(loaded, colour=False))) == len(loaded.problems)
    json.dumps(results(loaded)).encode()
    if loaded.errors:
        try:
            loaded.plan()
        except RuleError:
            return
        raise AssertionError("rules with errors have a plan")
    plan = loaded.plan(matching="all", resolver=lambda _: [])
    asked(_engine.RuleSet(plan))


def asked(rules: _engine.RuleSet) -> None:
    """Every rule can be asked about an event with values and one without."""
    for event, fields in (("openat", FIELDS), ("close", {})):
        for name, _, values in rules.try_event(event, fields):
            assert name in rules.names
            json.dumps(values)


def condition(text: str) -> None:
    """A condition, as such and as that of a rule and of a macro."""
    try:
        parse(text)
    except ConditionError as error:
        assert 0 <= error.at <= len(text)
    names = {"list": "names", "items": ["a", "b c"]}
    macro = {"macro": "m", "condition": text}
    items = [names, RULE | {"condition": text}, macro, RULE | {"rule": "s", "condition": "m"}]
    rule_file(json.dumps(items))


def rule_file(text: str) -> None:
    """A rule file."""
    loader = Loader()
    loader.read_text("r.yaml", text)
    checked(loader.finish())


def plan(text: str) -> None:
    """The JSON that the engine reads."""
    try:
        rules = _engine.RuleSet(text)
    except ValueError:
        return
    asked(rules)


def output(text: str) -> None:
    """An output, as the engine compiles it and as that of a rule."""
    try:
        names = _engine.Format(text).names
    except ValueError:
        pass
    else:
        assert len(set(names)) == len(names)
    rule_file(json.dumps([RULE | {"output": text}]))


TARGETS: dict[str, Callable[[str], None]] = {
    "condition": condition, "rule_file": rule_file, "plan": plan, "output": output,
}  # fmt: skip
