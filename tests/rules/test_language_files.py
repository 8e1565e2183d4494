"""The language, chapter 4: lists, macros, and what later items change."""
# ruff: noqa: E501 - the tables of cases read best with few lines

from __future__ import annotations

from typing import Any

import pytest

from tests.rules.language import NAMES, OPEN, change, loaded, messages, rule, rules_holding, with_name

# Lists are text


@pytest.mark.parametrize(
    ("condition", "items", "yes", "no"),
    [
        ("proc.name in (names)", ["a", "b"], "ab", "cn"), ("proc.name in (names, c)", ["a", "b"], "abc", "n"),
        ("proc.name in names", ["a"], "a", "bn"), ("proc.name in (c,names)", ["a"], "ac", "n"),
        ("proc.name=names", ["a"], "a", "n"), ("proc.name = 'names'", ["a"], "n", "a"),
        ("proc.name in (names)", [], "", "an"), ("proc.name in (c, names)", [], "c", "an"),
        ("proc.name in (names, c)", [], "c", "an"), ("proc.name in (c , names , d)", [], "cd", "an"),
        ("proc.name in (c,names,names,d)", [], "cd", "an"), ("proc.name in (names, names)", [], "", "an"),
        ("proc.name in (xnames, names.x)", ["a"], "", "an"),
    ],
)  # fmt: skip
def test_lists(condition: str, items: list[str], yes: str, no: str) -> None:
    text = loaded(NAMES | {"items": items}, rule(f"{OPEN} and {condition}"))
    values = {"n": "names"}
    for letter in yes:
        assert with_name(text, values.get(letter, letter)), letter
    for letter in no:
        assert not with_name(text, values.get(letter, letter)), letter


def test_lists_stand_in_strings_as_words() -> None:
    text = loaded(NAMES | {"items": ["a", "b"]}, rule(f"{OPEN} and proc.name = 'x names y'"))
    assert with_name(text, "x a, b y")
    text = loaded(NAMES, rule(f"{OPEN} and proc.name = 'xnames'"))
    assert with_name(text, "xnames")


def test_a_list_may_be_defined_after_its_use() -> None:
    assert with_name(loaded(rule(f"{OPEN} and proc.name in (names)"), NAMES), "b")
    text = loaded({"macro": "m", "condition": "proc.name in (names)"}, rule(f"{OPEN} and m"), NAMES)
    assert with_name(text, "b")


def test_items_of_lists_are_quoted_where_needed() -> None:
    text = loaded(
        NAMES | {"items": ["a b", "'c d'", '"e f"', "", 'say "hi" you']}, rule(f"{OPEN} and proc.name in (names)")
    )
    for name in ("a b", "c d", "e f", "", 'say "hi" you'):
        assert with_name(text, name), name


def test_lists_in_lists_are_put_in_one_level_deep_and_only_if_defined_before() -> None:
    inner, middle, outer = ({"list": name, "items": items} for name, items in (
        ("inner", ["a"]), ("middle", ["inner", "b"]), ("outer", ["middle", "c"])))  # fmt: skip
    text = loaded(inner, middle, outer, rule(f"{OPEN} and proc.name in (outer)"))
    assert [name for name in ("a", "inner", "b", "middle", "c") if with_name(text, name)] == ["inner", "b", "c"]
    text = loaded(outer, middle, inner, rule(f"{OPEN} and proc.name in (outer)"))
    assert [name for name in ("a", "inner", "b", "middle", "c") if with_name(text, name)] == ["middle", "c"]
    touched = {"list": "outer", "items": ["d"], "override": {"items": "append"}}
    text = loaded(outer, middle, inner, touched, rule(f"{OPEN} and proc.name in (outer)"))
    assert with_name(text, "b")


# Macros are trees


def test_a_macro_is_a_unit() -> None:
    text = loaded({"macro": "m", "condition": "proc.name = a or proc.name = b"}, rule(f"{OPEN} and not m"))
    assert [with_name(text, name) for name in "abc"] == [False, False, True]


@pytest.mark.parametrize(
    ("items", "message"),
    [
        (["m"], "Undefined macro 'n' used in filter: it is not defined"),
        (["m uses n", "n"], "Undefined macro 'n' used in filter: it is defined later"),
        (["n", "m uses n", "n uses m"], "Undefined macro 'n' used in filter: it uses itself"),
        (["m uses m"], "Undefined macro 'm' used in filter: it is defined later"),
        (["m", "m uses m"], "Undefined macro 'm' used in filter: it uses itself"),
        (["n", "m uses n"], None),
        (["m uses n", "n", "m uses n again"], None),
        (["n", "m uses n", "n again"], None),
    ],
)
def test_macros_see_what_was_defined_before_their_last_touch(items: list[str], message: str | None) -> None:
    macros = [
        {"macro": text[0], "condition": "proc.name = a" if "uses" not in text else text.split("uses ")[1][0]}
        for text in items
    ]
    used = "n" if items == ["m"] else "m"
    assert messages(*macros, rule(f"{OPEN} and {used}"))[:1] == ([message] if message else [])


def test_rules_see_all_macros() -> None:
    assert not messages(rule(f"{OPEN} and m"), {"macro": "m", "condition": "proc.name = a"})


# Changes


def override(**keys: str) -> dict[str, str]:
    return {key.replace("__", "-"): how for key, how in keys.items()}


@pytest.mark.parametrize(
    ("keys", "how", "attribute", "wanted"),
    [
        ({"condition": "or proc.name = b"}, "append", "condition", f"{OPEN} and proc.name = a or proc.name = b"),
        ({"condition": OPEN}, "replace", "condition", OPEN),
        ({"output": "x"}, "append", "output", "o x"), ({"output": "x"}, "replace", "output", "x"),
        ({"desc": "x"}, "append", "desc", "d x"), ({"desc": "x"}, "replace", "desc", "x"),
        ({"tags": ["t", "s"]}, "append", "tags", ("s", "t")), ({"tags": ["s"]}, "replace", "tags", ("s",)),
        ({"priority": "debug"}, "replace", "priority", "Debug"), ({"enabled": False}, "replace", "enabled", False),
    ],
)  # fmt: skip
def test_overrides_of_rules(keys: dict[str, Any], how: str, attribute: str, wanted: object) -> None:
    found = change({"rule": "r", "override": dict.fromkeys(keys, how)} | keys)
    assert getattr(found, attribute) == wanted


OVERRIDES = {
    "rule": {
        "append": {"condition", "output", "desc", "tags", "exceptions"},
        "replace": {"condition", "output", "desc", "tags", "exceptions", "priority", "capture", "capture_duration", "enabled",
                    "warn_evttypes", "skip-if-unknown-filter"},
    },
    "macro": {"append": {"condition"}, "replace": {"condition"}},
    "list": {"append": {"items"}, "replace": {"items"}},
}  # fmt: skip
VALUES: dict[str, Any] = {
    "condition": "and proc.name = a", "output": "x", "desc": "x", "tags": ["x"], "exceptions": [], "priority": "INFO",
    "capture": True, "capture_duration": 5, "enabled": True, "warn_evttypes": False, "skip-if-unknown-filter": True,
    "items": ["x"], "source": "syscall", "append": True,
}  # fmt: skip


@pytest.mark.parametrize("kind", ["rule", "macro", "list"])
@pytest.mark.parametrize("how", ["append", "replace", "remove"])
@pytest.mark.parametrize("key", VALUES)
def test_what_can_be_overridden(kind: str, how: str, key: str) -> None:
    first = {
        "rule": rule(OPEN), "macro": {"macro": "r", "condition": OPEN}, "list": {"list": "r", "items": []},
    }[kind]  # fmt: skip
    value = VALUES[key].removeprefix("and ") if key == "condition" and how == "replace" else VALUES[key]
    found = messages(first, {kind: "r", key: value, "override": {key: how}})
    if key in OVERRIDES[kind].get(how, ()):
        assert found == []
    else:
        assert found


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ({"rule": "r", "override": {"condition": "append"}}, "override names 'condition', which the rule does not have"),
        ({"rule": "r", "condition": "and a.b = 1", "tags": [], "override": {"condition": "append"}},
         "'tags' stands beside 'override' but is not named in it"),
        ({"rule": "x", "condition": "and a.b = 1", "override": {"condition": "append"}},
         "there is no rule 'x' before this to append to or override"),
        ({"macro": "x", "condition": "or proc.name = b", "append": True}, "there is no macro 'x' before this to append to or override"),
        ({"list": "x", "items": [], "override": {"items": "replace"}}, "there is no list 'x' before this to append to or override"),
        ({"rule": "r", "condition": "x", "append": True, "override": {"condition": "append"}},
         "'append' and 'override' cannot be combined"),
        ({"rule": "r", "override": "append"}, "'override' must have keys"),
        ({"rule": "r", "condition": OPEN, "output": "o", "desc": "d", "priority": "INFO", "source": "other"},
         "the rule exists with source syscall, which cannot change"),
        ({"rule": "x", "enabled": False}, "there is no rule 'x' before this to append to or override"),
    ],
)  # fmt: skip
def test_changes_that_are_refused(item: dict[str, Any], message: str) -> None:
    assert messages(rule(OPEN), item) == [message]


def test_appended_texts_have_no_parentheses() -> None:
    text = loaded(
        rule(f"{OPEN} and proc.name = a"),
        {"rule": "r", "condition": "or proc.name = b", "override": {"condition": "append"}},
    )
    assert rules_holding(text, {"proc.name": "b"}, "close") == ["r"]
    text = loaded(
        {"macro": "m", "condition": "proc.name = a"},
        {"macro": "m", "condition": "or proc.name = b", "append": True},
        rule(f"{OPEN} and m"),
    )
    assert [with_name(text, name) for name in "abc"] == [True, True, False]


def test_a_redefinition_keeps_the_place_and_takes_all_else_anew() -> None:
    first, second = rule(OPEN, tags=["t"], enabled=False), rule(OPEN, rule="s")
    text = loaded(first, second, rule(f"{OPEN} and proc.name = b")).check()
    assert [(each.name, each.tags, each.enabled) for each in text.rules] == [("r", (), True), ("s", (), True)]
    text = loaded(NAMES, {"list": "names", "items": ["z"]}, rule(f"{OPEN} and proc.name in (names)"))
    assert [with_name(text, name) for name in "abz"] == [False, False, True]
    text = loaded(
        {"macro": "m", "condition": "proc.name = a"},
        {"macro": "m", "condition": "proc.name = z"},
        rule(f"{OPEN} and m"),
    )
    assert [with_name(text, name) for name in "az"] == [False, True]


def test_append_true_reads_condition_and_exceptions_alone() -> None:
    exceptions = [{"name": "e", "fields": "user.uid", "values": [0]}]
    text = loaded(
        rule(f"{OPEN} and proc.name = a"),
        {"rule": "r", "append": True, "condition": "or proc.name = b", "exceptions": exceptions, "output": "new",
         "priority": "DEBUG", "tags": ["x"], "enabled": False},
    )  # fmt: skip
    (compiled,) = text.rules
    assert (compiled.output, compiled.priority, compiled.tags, compiled.enabled) == ("o", "Informational", (), True)
    assert [problem.code for problem in text.problems] == ["LOAD_DEPRECATED_ITEM", "LOAD_NO_EVTTYPE"]
    assert with_name(text, "b")
    assert not rules_holding(text, {"proc.name": "b", "user.uid": 0})
