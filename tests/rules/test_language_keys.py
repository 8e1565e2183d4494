"""The language, chapter 4: keys of items, and every code of an error or a warning, with Falco's JSON."""
# ruff: noqa: E501 - the tables of cases read best with few lines

from __future__ import annotations

from typing import Any

import pytest

from tests.rules.language import NAMES, OPEN, change, codes, loaded, messages, rule, rules_holding, with_name
from tiercel.commands.problems import results
from tiercel.rules.load import load
from tiercel.rules.problems import ERRORS, WARNINGS
from tiercel.rules.required import ENGINE_VERSION


@pytest.mark.parametrize(
    ("word", "name"),
    [("EMERGENCY", "Emergency"), ("alert", "Alert"), ("Critical", "Critical"), ("eRRor", "Error"), ("WARNING", "Warning"),
     ("notice", "Notice"), ("INFORMATIONAL", "Informational"), ("info", "Informational"), ("debug", "Debug")],
)  # fmt: skip
def test_priorities(word: str, name: str) -> None:
    assert change(rule(OPEN, priority=word)).priority == name


@pytest.mark.parametrize("word", ["7", "err", "warn", "''", "0"])
def test_what_is_no_priority(word: str) -> None:
    assert codes(rule(OPEN, priority=word)) == ["LOAD_ERR_YAML_VALIDATE"]


@pytest.mark.parametrize("missing", ["condition", "output", "desc", "priority"])
def test_what_a_rule_must_have(missing: str) -> None:
    item = rule(OPEN)
    del item[missing]
    assert messages(item) == [f"the rule has no '{missing}'"]


@pytest.mark.parametrize(
    ("version", "fine"),
    [(63, True), (1, True), ("0.63.0", True), ("0.57.0", True), (64, False), ("0.64.0", False), ("1.0.0", False),
     ("0.63.0-rc1", True), ("x", False), ("", False), (-1, False), ("0.63", False)],
)  # fmt: skip
def test_required_engine_version(version: object, fine: bool) -> None:
    assert ENGINE_VERSION == (0, 63, 0)
    found = codes({"required_engine_version": version})
    assert found == ([] if fine else [found[0]])
    if not fine:
        assert found[0] in ("LOAD_ERR_VALIDATE", "LOAD_ERR_YAML_VALIDATE")


@pytest.mark.parametrize(
    ("plugins", "fine"),
    [
        ([{"name": "container", "version": "0.2.0"}], True), ([{"name": "container", "version": "0.99.0"}], False),
        ([{"name": "container", "version": "1.0.0"}], False), ([{"name": "json", "version": "0.7.0"}], False),
        ([{"name": "json", "version": "0.7.0", "alternatives": [{"name": "container", "version": "0.2.0"}]}], True),
        ([{"name": "json", "version": "0.7.0", "alternatives": [{"name": "x", "version": "0.2.0"}]}], False),
        ([{"name": "container", "version": "0.2.0"}, {"name": "k8saudit", "version": "0.7.0"}], False),
        ([{"name": "container"}], False), ([{"version": "0.1.0"}], False), (["container"], False), ("x", False),
        ([{"name": "container", "version": "new"}], False),
    ],
)  # fmt: skip
def test_required_plugin_versions(plugins: object, fine: bool) -> None:
    found = codes({"required_plugin_versions": plugins})
    assert len(found) == (0 if fine else 1)


def test_keys_that_change_what_is_loaded() -> None:
    assert codes(rule("proc.name = a")) == ["LOAD_NO_EVTTYPE"]
    assert codes(rule("proc.name = a", warn_evttypes=False)) == []
    assert codes(rule(OPEN, capture=True, capture_duration=5000)) == []
    assert codes(rule(OPEN, capture="maybe")) == ["LOAD_ERR_YAML_VALIDATE"]
    assert codes(rule(OPEN, capture_duration="long")) == ["LOAD_ERR_YAML_VALIDATE"]
    assert rules_holding(loaded(rule(OPEN, enabled=False))) == []
    for flag in ("true", "yes", "on", "y", "True", "ON"):
        assert rules_holding(loaded(rule(OPEN, enabled=flag))) == ["r"]


@pytest.mark.parametrize(
    "more",
    [{"condition": f"{OPEN} and some.field = 1"}, {"condition": "evt.type = opneat"}, {"output": "%some.field"},
     {"condition": f"{OPEN} and evt.arg.nosuch = 1"}],
)  # fmt: skip
def test_skip_if_unknown_filter(more: dict[str, str]) -> None:
    text = loaded(rule(OPEN, **{"skip-if-unknown-filter": True}) | more)
    assert [problem.code for problem in text.problems] == ["LOAD_UNKNOWN_FILTER"]
    assert text.rules == []
    assert loaded(rule(OPEN) | more).errors
    wrong = loaded(rule(f"{OPEN} and proc.pid = x", **{"skip-if-unknown-filter": True}))
    assert [problem.code for problem in wrong.problems] == ["LOAD_ERR_COMPILE_CONDITION"]


def test_an_unknown_source_keeps_its_name() -> None:
    text = loaded(rule("ka.verb = x", source="k8s_audit"), rule(OPEN, rule="s"))
    assert [problem.code for problem in text.problems] == ["LOAD_UNKNOWN_SOURCE"]
    assert [each.name for each in text.rules] == ["s"]
    assert messages(rule("ka.verb = x", source="k8s_audit"), rule(OPEN)) == [
        "the rule exists with source k8s_audit, which cannot change"
    ]


def test_several_documents_and_empty_ones() -> None:
    text = loaded(
        "- list: names\n  items: [a]\n---\n---\n- macro: m\n  condition: proc.name in (names)\n...\n",
        rule(f"{OPEN} and m"),
    )
    assert with_name(text, "a")
    assert codes("") == codes("---\n") == codes("# nothing\n") == []


@pytest.mark.parametrize(
    ("items", "code"),
    [
        (["- ["], "LOAD_ERR_YAML_PARSE"), (["a: b"], "LOAD_ERR_YAML_VALIDATE"), ([rule("x and")], "LOAD_ERR_COMPILE_CONDITION"),
        ([rule(OPEN, output="%nosuch.field")], "LOAD_ERR_COMPILE_OUTPUT"), ([rule("nosuch")], "LOAD_ERR_VALIDATE"),
        ([rule(OPEN, source="nosuch")], "LOAD_UNKNOWN_SOURCE"), ([rule("proc.name = a")], "LOAD_NO_EVTTYPE"),
        ([rule("a.b = 1", **{"skip-if-unknown-filter": True})], "LOAD_UNKNOWN_FILTER"),
        ([{"macro": "m", "condition": OPEN}], "LOAD_UNUSED_MACRO"), ([NAMES], "LOAD_UNUSED_LIST"), ([{"x": 1}], "LOAD_UNKNOWN_ITEM"),
        ([rule(OPEN, nosuch=1)], "LOAD_UNKNOWN_KEY"), ([rule(f"{OPEN} and evt.dir = <")], "LOAD_DEPRECATED_ITEM"),
        ([rule(OPEN, output="%container.info")], "LOAD_DEPRECATED_ITEM"), ([rule(OPEN, output="%evt.latency")], "LOAD_DEPRECATED_ITEM"),
        ([rule(OPEN), {"rule": "r", "enabled": True}], "LOAD_DEPRECATED_ITEM"),
        ([rule(OPEN, exceptions=[{"name": "e", "fields": "fd.num"}]),
          {"rule": "r", "exceptions": [{"name": "e"}], "override": {"exceptions": "append"}}], "LOAD_APPEND_NO_VALUES"),
        ([rule(OPEN, exceptions=[{"name": "e", "fields": "fd.num"}] * 2)], "LOAD_EXCEPTION_NAME_NOT_UNIQUE"),
        ([{"macro": "m-1", "condition": OPEN}], "LOAD_INVALID_MACRO_NAME"), ([{"list": "a b", "items": []}], "LOAD_INVALID_LIST_NAME"),
        ([rule(f"{OPEN} and proc.name = proc.pname")], "LOAD_COMPILE_CONDITION"),
    ],
)  # fmt: skip
def test_codes(items: list[dict[str, Any] | str], code: str) -> None:
    text = loaded(*items)
    found = {problem.code for problem in text.problems}
    assert code in found
    assert found - {code} <= {"LOAD_UNUSED_MACRO", "LOAD_UNUSED_LIST"}
    has_shape_of_falcos(results(text), found)


def has_shape_of_falcos(shown: dict[str, Any], found: set[str]) -> None:
    """The JSON of problems with these codes, key by key."""
    entries = {}
    for result in shown.pop("falco_load_results"):
        assert set(result) == {"name", "successful", "errors", "warnings"}
        assert result["successful"] is (result["errors"] == [])
        for kind, known in (("errors", ERRORS), ("warnings", WARNINGS)):
            assert {entry["code"] for entry in result[kind]} <= set(known)
            entries |= {entry["code"]: (entry, result["name"]) for entry in result[kind]}
    assert (set(entries), shown) == (found, {})
    for entry, name in entries.values():
        assert set(entry) == {"context", "code", "codedesc", "message"}
        assert set(entry["context"]) == {"locations", "snippet"}
        assert entry["message"]
        assert entry["codedesc"]
        for location in entry["context"]["locations"]:
            assert set(location) == {"item_type", "item_name", "position"}
            assert location["item_type"] in ITEM_TYPES or location["item_type"].startswith("value for")
            assert set(location["position"]) == {"name", "line", "column", "offset"}
            assert location["position"]["name"] == name
        assert entry["context"]["locations"][0]["item_type"] == "rules content"


# Falco's words for what stands in a rule file.
ITEM_TYPES = {
    "exceptions", "exception", "exception values", "exception value", "rules content", "rules content item",
    "required_engine_version", "required plugin versions", "required plugin versions entry",
    "required plugin versions alternative", "list", "list item", "macro", "macro condition", "rule", "rule condition",
    "condition expression", "rule output", "rule output expression", "rule priority", "overrides", "extension item",
}  # fmt: skip


def test_codes_of_what_cannot_occur_are_known() -> None:
    """Extensions and the fields of the Kubernetes audit log come from plugins; codes of files from the disk."""
    rows = next(mark for mark in test_codes.pytestmark if mark.name == "parametrize").args[1]
    tested = {code for _, code in rows}
    apart = {"LOAD_ERR_FILE_READ", "LOAD_ERR_EXTENSION", "LOAD_WARNING_EXTENSION", "LOAD_UNSAFE_NA_CHECK"}
    assert set(ERRORS) | set(WARNINGS) == tested | apart
    assert load(["/nosuch"]).errors[0].code == "LOAD_ERR_FILE_READ"


def test_one_fault_hides_no_other_and_makes_none() -> None:
    """What is wrong itself still defines its name."""
    text = loaded(
        {"macro": "m", "condition": "proc.name ="}, {"list": "names", "items": "x"}, rule("m and proc.name in (names)", priority="x"),
        {"rule": "r", "condition": "and fd.nmae = a and fd.num = x", "override": {"condition": "append"}},
        {"rule": "r", "tags": "x", "override": {"tags": "append"}}, {"macro": "n", "items": []}, rule("n and m", rule="s"),
    )  # fmt: skip
    assert [problem.message for problem in text.errors] == [
        "'items' must be a list", "'x' is no priority; one of Emergency, Alert, Critical, Error, Warning, Notice, Informational, Debug",
        "'tags' must be a list", "the macro has no 'condition'", "expected a value, found end of the condition",
        "unknown field fd.nmae; did you mean fd.name?", "'x' is not a valid number",
    ]  # fmt: skip
