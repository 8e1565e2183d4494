"""Rule files: what they may say, and one clear line for each thing that is wrong."""
# ruff: noqa: E501 - the tables of cases read best with one row a line

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tiercel import _engine
from tiercel.errors import RuleError
from tiercel.rules.load import Loaded, Loader, load, rules_from

FALCO_RULES = Path(__file__).parents[3] / "shared/falco-rules"
RULE = """
- rule: r
  desc: d
  condition: {condition}
  output: o %proc.name
  priority: {priority}
"""


def loaded(*texts: str) -> Loaded:
    loader = Loader()
    for number, text in enumerate(texts, 1):
        loader.read_text(f"{number}.yaml", text)
    return loader.finish()


def rule(condition: str, priority: str = "NOTICE", more: str = "") -> str:
    return RULE.format(condition=condition, priority=priority) + more


def errors(*texts: str) -> list[str]:
    return [str(problem) for problem in loaded(*texts).errors]


def matches(text: Loaded, event: str = "openat", **fields: object) -> list[str]:
    named = {name.replace("__", "."): value for name, value in fields.items()}
    return [rule for rule, _, _ in _engine.RuleSet(text.check().plan(matching="all")).try_event(event, named)]


OPEN = "evt.type = openat and "


def test_lists_are_text_and_macros_are_units() -> None:
    text = loaded(
        "- list: inner\n  items: [cat, 'two words']\n"
        "- list: names\n  items: [inner, sh]\n"
        "- macro: odd\n  condition: proc.name = x or proc.name = y\n"
        + rule(OPEN + "not odd and proc.name in (names, z)")
    )
    assert text.problems == []
    for name in ("cat", "two words", "sh", "z"):
        assert matches(text, proc__name=name) == ["r"]
    for name in ("inner", "x"):
        assert matches(text, proc__name=name) == []


def test_an_empty_list_takes_a_comma_with_it() -> None:
    for values in ("(none, a)", "(a, none)", "(a,none , b)"):
        text = loaded("- list: none\n  items: []\n" + rule(f"{OPEN}proc.name in {values}"))
        assert matches(text, proc__name="a") == ["r"]
    assert matches(loaded("- list: none\n  items: []\n" + rule(f"{OPEN}proc.name in (none)")), proc__name="") == []


def test_append_and_override() -> None:
    text = loaded(
        "- list: names\n  items: [a]\n- macro: m\n  condition: proc.name in (names)\n" + rule(OPEN + "m"),
        "- list: names\n  items: [b]\n  override: {items: append}\n"
        "- macro: m\n  condition: or proc.name = c\n  override: {condition: append}\n"
        "- rule: r\n  condition: and user.uid = 0\n  output: more %user.uid\n  priority: debug\n  tags: [x]\n"
        "  override: {condition: append, output: append, priority: replace, tags: append}\n",
    )
    assert matches(text, proc__name="b", user__uid=0) == ["r"]
    assert matches(text, proc__name="c", user__uid=0) == ["r"]
    assert matches(text, proc__name="a", user__uid=1) == []
    (compiled,) = text.rules
    assert (compiled.output, compiled.priority, compiled.tags) == ("o %proc.name more %user.uid", "Debug", ("x",))


def test_deprecated_append_warns_and_reads_condition_and_exceptions_only() -> None:
    text = loaded(
        rule(OPEN + "proc.name = a"), "- rule: r\n  append: true\n  condition: and user.uid = 0\n  output: ignored\n"
    )
    assert [problem.code for problem in text.warnings] == ["LOAD_DEPRECATED_ITEM"]
    assert text.rules[0].output == "o %proc.name"


def test_a_later_definition_takes_the_place_of_the_earlier() -> None:
    text = loaded(
        rule(OPEN + "proc.name = a"),
        rule(OPEN + "user.uid = 0").replace(": r\n", ": s\n"),
        rule(OPEN + "proc.name = b"),
    )
    assert [compiled.name for compiled in text.rules] == ["r", "s"]
    assert matches(text, proc__name="b") == ["r"]


def test_enabled_alone_switches_a_rule() -> None:
    text = loaded(rule(OPEN + "proc.name = a"), "- rule: r\n  enabled: false\n")
    assert not text.rules[0].enabled
    assert matches(text, proc__name="a") == []


def test_macros_see_what_was_defined_before() -> None:
    good = "- macro: a\n  condition: proc.name = a\n- macro: b\n  condition: a\n"
    assert not errors(good + rule(OPEN + "b"))
    assert not errors(good + rule(OPEN + "b"), "- macro: a\n  condition: proc.name = z\n")
    assert errors("- macro: b\n  condition: a\n- macro: a\n  condition: proc.name = a\n" + rule(OPEN + "b")) == [
        "1.yaml:2:14: Undefined macro 'a' used in filter: it is defined later (in macro 'b', LOAD_ERR_VALIDATE)"
    ]
    assert "it uses itself" in errors(good, "- macro: a\n  condition: b\n" + rule(OPEN + "b"))[0]
    assert "it is not defined" in errors(rule(OPEN + "nothing"))[0]


EXCEPTIONS = """  exceptions:
  - name: single
    fields: proc.name
    values: [a, "b c"]
  - name: pairs
    fields: [proc.name, fd.name]
    comps: [=, startswith]
    values:
    - [d, /tmp]
    - [e, "/x y"]
  - name: lists
    fields: [proc.pname, user.uid]
    comps: [in, "="]
    values: [[[p, q], 0]]
  - name: placeholder
    fields: fd.name
    comps: pmatch
"""


def test_exceptions() -> None:
    text = loaded(rule(OPEN + "(user.uid = 0 or proc.name = z)", more=EXCEPTIONS))
    assert text.problems == []
    assert matches(text, proc__name="x", user__uid=0) == ["r"]
    assert matches(text, proc__name="b c", user__uid=0) == []
    assert matches(text, proc__name="d", fd__name="/tmp/x", user__uid=0) == []
    assert matches(text, proc__name="d", fd__name="/var", user__uid=0) == ["r"]
    assert matches(text, proc__name="e", fd__name="/x y z", user__uid=0) == []
    assert matches(text, proc__name="x", proc__pname="q", user__uid=0) == []


def test_exceptions_appended() -> None:
    more = "- rule: r\n  exceptions:\n  - {name: single, values: [n]}\n  - {name: placeholder, values: [/opt]}\n  override: {exceptions: append}\n"
    text = loaded(rule(OPEN + "user.uid = 0", more=EXCEPTIONS), more)
    assert text.problems == []
    assert matches(text, proc__name="n", user__uid=0) == []
    assert matches(text, proc__name="x", fd__name="/opt/x", user__uid=0) == []
    assert matches(text, proc__name="a", user__uid=0) == []


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("- rule: [", "2:1: "),
        ("a: b\n", "1:1: a rule file is a list of items (LOAD_ERR_YAML_VALIDATE)"),
        ("- 7\n", "1:3: an item must have keys (LOAD_ERR_YAML_VALIDATE)"),
        ("- rule: x\n  condition: evt.type = open\n", "1:3: the rule has no 'output' (in rule 'x', LOAD_ERR_YAML_VALIDATE)"),
        (rule("a.b = 1", "LOUD"), "6:13: 'LOUD' is no priority; one of Emergency, "),
        (rule("proc.nmae = cat"), "4:14: unknown field proc.nmae; did you mean proc.name? (in rule 'r', LOAD_ERR_COMPILE_CONDITION)"),
        (rule("proc.name = cat and (proc.pid = 1"), "4:47: expected ')' for the '(' at column 21"),
        (rule(">\n    proc.name = cat and\n    proc.pid = x"), "6:16: 'x' is not a valid number"),
        (rule("'proc.name = ''a'' and proc.pid = x'"), "4:48: 'x' is not a valid number"),
        (rule("evt.type = open").replace("%proc.name", "%proc.nmae"), "5:13: unknown filter: proc.nmae; did you mean proc.name? (in rule 'r', LOAD_ERR_COMPILE_OUTPUT)"),
        ("- macro: m\n  condition: proc.pid = x\n" + rule("m"), "2:25: 'x' is not a valid number (in macro 'm', LOAD_ERR_COMPILE_CONDITION)"),
        ("- list: l\n  items: x\n", "2:10: 'items' must be a list (in list 'l', LOAD_ERR_YAML_VALIDATE)"),
        ("- list: l\n  items: [a]\n  append: true\n", "1:3: there is no list 'l' before this to append to or override"),
        ("- macro: m\n  condition: a\n  append: true\n  override: {condition: append}\n", "4:13: 'append' and 'override' cannot be combined"),
        (rule("a.b = 1") + "  override: {condition: append}\n", "5:3: 'output' stands beside 'override'"),
        ("- required_engine_version: 99.0.0\n", "1:28: the rules need engine version 99.0.0, this is 0.63.0"),
        ("- required_plugin_versions:\n  - {name: nosuch, version: 1.0.0}\n", "2:5: the plugin nosuch 1.0.0 is not available"),
        (rule("evt.type = open", more="  enabled: maybe\n"), "7:12: 'enabled' must be true or false"),
        (rule("evt.type = open", more="  desc: again\n"), "7:3: the key 'desc' stands here twice"),
        (rule("evt.type = open", more="  exceptions: [{name: e}]\n"), "7:23: exception 'e' has no fields"),
        (rule("evt.type = open", more="  exceptions: [{name: e, fields: proc.nmae}]\n"), "7:34: exception 'e': unknown field proc.nmae"),
        (rule("evt.type = open", more="  exceptions: [{name: e, fields: [proc.name], comps: [=, =]}]\n"), "7:55: exception 'e': fields and comps"),
        (rule("evt.type = open", more="  exceptions: [{name: e, fields: [proc.name], values: [[a, b]]}]\n"), "7:56: exception 'e': each of its values"),
        ("- list: l\n  items: *x\n", "2:10: "),
    ],
)  # fmt: skip
def test_bad_files(text: str, line: str) -> None:
    found = errors(text)
    assert found, "no error"
    assert found[0].startswith(f"1.yaml:{line}")
    assert "\n" not in found[0]
    with pytest.raises(RuleError) as caught:
        loaded(text).check()
    assert (caught.value.file, caught.value.line) == ("1.yaml", int(line.split(":", maxsplit=1)[0]))


def test_all_errors_are_collected() -> None:
    found = errors(
        rule("proc.nmae = a") + rule("proc.pid = x").replace(": r\n", ": s\n"),
        "- list: 1\n",
        rule("x and").replace(": r\n", ": t\n"),
    )
    assert [text.split(":", 1)[0] for text in found] == ["2.yaml", "1.yaml", "1.yaml", "3.yaml"]


def test_warnings() -> None:
    text = loaded(
        "- nothing: 1\n- list: l\n  items: [a]\n- macro: m-1\n  condition: proc.name = a\n  foo: 1\n",
        rule("proc.name = a", more="  source: k8s_audit\n"),
        rule("proc.name = proc.pname").replace(": r\n", ": s\n"),
    )
    assert [problem.code for problem in text.problems] == [
        "LOAD_UNKNOWN_ITEM", "LOAD_UNKNOWN_KEY", "LOAD_INVALID_MACRO_NAME", "LOAD_UNKNOWN_SOURCE", "LOAD_COMPILE_CONDITION",
        "LOAD_NO_EVTTYPE", "LOAD_UNUSED_MACRO", "LOAD_UNUSED_LIST",
    ]  # fmt: skip
    assert [compiled.name for compiled in text.rules] == ["s"]


def test_skip_if_unknown_filter() -> None:
    text = loaded(rule(OPEN + "some.field = 1", more="  skip-if-unknown-filter: true\n"))
    assert [problem.code for problem in text.problems] == ["LOAD_UNKNOWN_FILTER"]
    assert text.rules == []


def test_hostile_files() -> None:
    bomb = "- list: &a0 [x]\n" + "".join(f"- list: &a{n + 1} [{', '.join([f'*a{n}'] * 10)}]\n" for n in range(9))
    doubling = "- macro: m0\n  condition: proc.name = a\n" + "".join(
        f"- macro: m{n + 1}\n  condition: m{n} or m{n} and not m{n}\n" for n in range(60)
    )
    started = time.process_time()
    assert "more than 1000000 nodes" in errors(bomb)[0]
    assert "nested deeper than" in errors("[" * 100)[0]
    assert "nest" in errors("[" * 100_000)[0]  # PyYAML has a limit of its own since 6.0.4
    assert "has more than 200000 parts" in errors(doubling + rule("m60"))[0]
    assert errors("- rule: \x01\n")
    assert errors("- rule: '" + "x" * 100)
    assert time.process_time() - started < 20


def test_files_and_directories(tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_text(rule(OPEN + "m"))
    (tmp_path / "a.yml").write_text("- macro: m\n  condition: proc.name = a\n---\n- list: l\n  items: []\n")
    (tmp_path / "readme.txt").write_text("no rules")
    assert [Path(name).name for name in load([tmp_path]).files] == ["a.yml", "b.yaml"]
    assert load([tmp_path]).errors == []
    with pytest.raises(RuleError, match=r"nosuch\.yaml:1:1: cannot be read: No such file or directory"):
        rules_from([tmp_path / "nosuch.yaml"])
    (tmp_path / "latin.yaml").write_bytes(b"- rule: \xff\n")
    assert load([tmp_path / "latin.yaml"]).errors[0].code == "LOAD_ERR_FILE_READ"


def test_what_never_ends_and_what_holds_nothing_is_no_rule_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "rules.yaml")
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "rules.yaml", Path("/dev/zero"), tmp_path / "empty"):
        (error,) = load([path]).errors
        assert (error.code, error.file) == ("LOAD_ERR_FILE_READ", str(path))


def test_plans_are_the_same_each_time_and_differ_where_rules_do() -> None:
    plans = [loaded(rule(OPEN + f"proc.name = {name}")).plan() for name in ("a", "a", "b")]
    assert plans[0] == plans[1]
    assert len({_engine.RuleSet(plan).version for plan in plans}) == 2


@pytest.mark.skipif(not FALCO_RULES.exists(), reason="the shared rule files are not here")
def test_the_public_rules_load_and_plan() -> None:
    files = [FALCO_RULES / f"falco{part}_rules.yaml" for part in ("", "-incubating", "-sandbox")]
    assert [len(load([file]).check().rules) for file in files] == [25, 31, 37]
    everything = load(files).check()
    assert len(everything.rules) == 93
    assert len(_engine.RuleSet(everything.plan()).names) == 81
