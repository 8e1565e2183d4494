"""The language, chapter 4: exceptions in every form of fields, comparisons and values."""
# ruff: noqa: E501 - the tables of cases read best with few lines

from __future__ import annotations

from typing import Any

import pytest

from tests.rules.language import NAMES, OPEN, codes, loaded, rule, rules_holding, with_name


@pytest.mark.parametrize(
    ("exception", "excepted", "kept"),
    [
        ({"fields": "proc.name", "values": ["a", "b c"]}, [{"proc.name": "a"}, {"proc.name": "b c"}], [{"proc.name": "b"}, {}]),
        ({"fields": "proc.name", "comps": "in", "values": ["a"]}, [{"proc.name": "a"}], [{"proc.name": "b"}]),
        ({"fields": "fd.name", "comps": "pmatch", "values": ["/etc", "/opt/*"]}, [{"fd.name": "/etc/x"}, {"fd.name": "/opt/y/z"}],
         [{"fd.name": "/etcetera"}, {"fd.name": "/opt"}]),
        ({"fields": "proc.name", "comps": "intersects", "values": ["a"]}, [{"proc.name": "a"}], [{"proc.name": "b"}]),
        ({"fields": "proc.name", "comps": "startswith anyof", "values": ["a", "b"]}, [{"proc.name": "ax"}, {"proc.name": "bx"}],
         [{"proc.name": "xa"}]),
        ({"fields": ["proc.name", "user.uid"], "values": [["a", 0], ["b", 1]]},
         [{"proc.name": "a", "user.uid": 0}, {"proc.name": "b", "user.uid": 1}],
         [{"proc.name": "a", "user.uid": 1}, {"proc.name": "a"}]),
        ({"fields": ["proc.name", "fd.name"], "comps": ["=", "startswith"], "values": [["a", "/x y"]]},
         [{"proc.name": "a", "fd.name": "/x y/z"}], [{"proc.name": "a", "fd.name": "/x"}]),
        ({"fields": ["proc.name", "user.uid"], "comps": ["in", "="], "values": [[["a", "b"], 0]]},
         [{"proc.name": "b", "user.uid": 0}], [{"proc.name": "c", "user.uid": 0}]),
        ({"fields": ["proc.name", "user.uid"], "comps": ["in", "!="], "values": [["a", 0]]},
         [{"proc.name": "a", "user.uid": 5}], [{"proc.name": "a", "user.uid": 0}]),
        ({"fields": ["proc.name", "fd.name"], "comps": ["in", "contains"], "values": [["(a, b)", "x"]]},
         [{"proc.name": "b", "fd.name": "axb"}], [{"proc.name": "c", "fd.name": "axb"}]),
        ({"fields": ["proc.name"], "comps": ["glob"], "values": [["a*"], ["b?"]]}, [{"proc.name": "axx"}, {"proc.name": "bx"}],
         [{"proc.name": "b"}]),
        ({"fields": ["fd.name"], "comps": ["endswith anyof"], "values": [[[".a", ".b"]]]}, [{"fd.name": "x.b"}], [{"fd.name": "b"}]),
        ({"fields": "tolower(proc.name)", "values": ["a"]}, [{"proc.name": "A"}], [{"proc.name": "B"}]),
        ({"fields": "proc.aname[2]", "values": ["a"]}, [{"proc.aname[2]": "a"}], [{}]),
        ({"fields": "proc.name", "values": ["names"]}, [{"proc.name": "b"}], [{"proc.name": "names"}]),
        ({"fields": "proc.name"}, [], [{"proc.name": "a"}]),
        ({"fields": "proc.name", "values": []}, [], [{"proc.name": "a"}]),
    ],
)  # fmt: skip
def test_exceptions(exception: dict[str, Any], excepted: list[dict[str, Any]], kept: list[dict[str, Any]]) -> None:
    text = loaded(NAMES, rule(f"{OPEN} or {OPEN}", exceptions=[{"name": "e"} | exception]))
    assert not text.errors
    for fields in excepted:
        assert rules_holding(text, fields) == []
    for fields in kept:
        assert rules_holding(text, fields) == ["r"]


def test_several_exceptions_and_appended_values() -> None:
    given = [
        {"name": "one", "fields": "proc.name", "values": ["a"]},
        {"name": "two", "fields": ["user.uid"], "comps": ["<"]},
    ]
    more = {
        "rule": "r",
        "exceptions": [{"name": "two", "values": [[5]]}, {"name": "three", "fields": "fd.num", "values": [7]}],
    }
    text = loaded(rule(OPEN, exceptions=given), more | {"override": {"exceptions": "append"}})
    assert text.problems == []
    for fields in ({"proc.name": "a"}, {"user.uid": 4}, {"fd.num": 7}):
        assert rules_holding(text, fields) == []
    assert rules_holding(text, {"proc.name": "b", "user.uid": 5, "fd.num": 8}) == ["r"]
    text = loaded(rule(OPEN, exceptions=given), more | {"exceptions": given[1:], "override": {"exceptions": "replace"}})
    assert with_name(text, "a")


@pytest.mark.parametrize(
    ("exception", "code"),
    [
        ({"fields": "proc.name"}, "LOAD_ERR_YAML_VALIDATE"),
        ({"name": "e"}, "LOAD_ERR_VALIDATE"),
        ({"name": "e", "fields": "proc.nmae"}, "LOAD_ERR_VALIDATE"),
        ({"name": "e", "fields": "proc.name", "comps": "="}, "LOAD_ERR_VALIDATE"),
        ({"name": "e", "fields": "proc.name", "comps": ["in"]}, "LOAD_ERR_VALIDATE"),
        ({"name": "e", "fields": ["proc.name"], "comps": "in"}, "LOAD_ERR_VALIDATE"),
        ({"name": "e", "fields": ["proc.name"], "comps": ["is"]}, "LOAD_ERR_VALIDATE"),
        ({"name": "e", "fields": ["proc.name", "fd.num"], "comps": ["="]}, "LOAD_ERR_VALIDATE"),
        ({"name": "e", "fields": ["proc.name", "fd.num"], "values": [["a"]]}, "LOAD_ERR_VALIDATE"),
        ({"name": "e", "fields": ["proc.name"], "values": ["a"]}, "LOAD_ERR_VALIDATE"),
        ({"name": "e", "fields": "proc.name", "values": [["a"]]}, "LOAD_ERR_VALIDATE"),
        ({"name": "e", "fields": "proc.name", "values": "a"}, "LOAD_ERR_YAML_VALIDATE"),
        ({"name": "e", "fields": "proc.pid", "values": ["a"]}, "LOAD_ERR_COMPILE_CONDITION"),
    ],
)  # fmt: skip
def test_exceptions_that_are_refused(exception: dict[str, Any], code: str) -> None:
    assert codes(rule(OPEN, exceptions=[exception])) == [code]
