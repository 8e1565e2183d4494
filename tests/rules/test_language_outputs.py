"""The language, chapter 6: output strings, and what alerts carry of them."""
# ruff: noqa: E501 - the tables of cases read best with few lines

from __future__ import annotations

from typing import Any

import pytest

from tests.rules.language import loaded, rule, shown
from tiercel import _engine

NAME = {"proc.name": "cat"}


@pytest.mark.parametrize(
    ("output", "fields", "message", "values"),
    [
        ("plain", {}, "plain", {}), ("*plain", {}, "*plain", {}),
        ("%proc.name", NAME, "cat", NAME), ("%proc.name", {}, "<NA>", {"proc.name": None}),
        ("%proc.name%proc.pid", NAME | {"proc.pid": 7}, "cat7", NAME | {"proc.pid": 7}),
        ("%proc.name %proc.name", NAME, "cat cat", NAME),
        # The longest text that is a field; what follows is text.
        ("%proc.name.x", NAME, "cat.x", NAME), ("%proc.namex", NAME, "catx", NAME), ("%proc.name,", NAME, "cat,", NAME),
        ("%fd.name_changed", {"fd.name_changed": True, "fd.name": "x"}, "true", {"fd.name_changed": True}),
        ("(%proc.aname[2])", {"proc.aname[2]": "sh"}, "(sh)", {"proc.aname[2]": "sh"}),
        ("%proc.env[HOME]", {"proc.env[HOME]": "/root"}, "/root", {"proc.env[HOME]": "/root"}),
        ("%proc.aname[x]", {"proc.aname": ["a"]}, "a[x]", {"proc.aname": "a"}), ("%proc.env[", {}, "<NA>[", {"proc.env": None}),
        ("%evt.arg.flags.", {"evt.arg.flags": "O_X"}, "O_X.", {"evt.arg.flags": "O_X"}),
        # Cut and padded to so many letters.
        ("%5proc.name|", NAME, "cat  |", NAME), ("%2proc.name|", NAME, "ca|", NAME), ("%0proc.name|", NAME, "|", NAME),
        ("%3proc.name|", {"proc.name": "äöüß"}, "äöü|", {"proc.name": "äöüß"}),
        ("%6proc.name|", {}, "<NA>  |", {"proc.name": None}), ("%6tolower(proc.name)|", NAME, "cat   |", {"tolower(proc.name)": "cat"}),
        # Transformers
        ("%toupper(proc.name)", NAME, "CAT", {"toupper(proc.name)": "CAT"}), ("%len(proc.name)", NAME, "3", {"len(proc.name)": 3}),
        ("%val(proc.name)", NAME, "cat", {"val(proc.name)": "cat"}), ("%toupper(proc.name)", {}, "<NA>", {"toupper(proc.name)": None}),
        ('%concat(proc.name, "-", proc.name)', NAME, "cat-cat", {'concat(proc.name, "-", proc.name)': "cat-cat"}),
        ("%tolower(basename(fd.name)).", {"fd.name": "/a/B"}, "b.", {"tolower(basename(fd.name))": "b"}),
        ('%join("-", fd.types)', {"fd.types": ["file", "ipv4"]}, "file-ipv4", {'join("-", fd.types)': "file-ipv4"}),
        ('%getopt(("-a", "b"), "a:")[a]', {}, "b", {'getopt(("-a", "b"), "a:")[a]': "b"}),
        # Types
        ("%fd.types", {"fd.types": ["file", "ipv4"]}, "(file,ipv4)", {"fd.types": ["file", "ipv4"]}),
        ("%fd.types", {"fd.types": []}, "()", {"fd.types": []}),
        ("%proc.aname", {"proc.aname": ["a", "b"]}, "a b", {"proc.aname": "a b"}),
        ("%evt.failed", {"evt.failed": False}, "false", {"evt.failed": False}), ("%fd.sip:%fd.sport", {"fd.sip": "::1", "fd.sport": 80}, "::1:80", {"fd.sip": "::1", "fd.sport": 80}),
        ("%evt.rawres", {"evt.rawres": -2}, "-2", {"evt.rawres": -2}),
        ("%evt.buffer", {"evt.buffer": "a\nb ü"}, "a.b ..", {"evt.buffer": "a.b .."}),
        ("%container.info.", {}, ".", {}),
    ],
)  # fmt: skip
def test_outputs(output: str, fields: dict[str, Any], message: str, values: dict[str, Any]) -> None:
    assert shown(output, fields) == (message, values)


def test_buffers_may_be_base64() -> None:
    every = rule("evt.num exists or not evt.num exists", output="%evt.buffer %10evt.buffer| %toupper(proc.name)")
    ruleset = _engine.RuleSet(loaded(every).check().plan(base64=True))
    ((_, message, values),) = ruleset.try_event("write", NAME | {"evt.buffer": "a\nb ü"})
    assert message == "YQpiIMO8 YQpiIMO8  | CAT"
    assert values == {"evt.buffer": "YQpiIMO8", "toupper(proc.name)": "CAT"}


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("%proc.nmae", "unknown filter: proc.nmae; did you mean proc.name?"), ("%", "the output ends with a '%'"),
        ("x %20", "the output ends with a '%'"), ("100% of", "unknown filter: of"), ("%%proc.name", "unknown filter: %proc.name"),
        ("%nosuch(proc.name)", "unknown filter: nosuch(proc.name)"), ("%tolower(proc.name", "unknown filter: tolower(proc.name"),
        ("%tolower(fd.num)", "unknown filter: tolower(fd.num)"), ("%fd.ip", "unknown filter: fd.ip"),
        ("%99999proc.name", "the width 99999 is too large"), ("", "'output' must not be empty"),
        ("%evt.arg.nosuch", "unknown filter: evt.arg.nosuch; did you mean evt.args?"), ("%evt.arg[x]", "unknown filter: evt.arg[x]"),
    ],
)  # fmt: skip
def test_what_is_no_output(output: str, message: str) -> None:
    assert [problem.message for problem in loaded(rule("evt.type = openat", output=output)).errors] == [message]


def test_a_deprecated_field_is_said() -> None:
    text = loaded(rule("evt.type = openat", output="%evt.dir %evt.latency"))
    assert [problem.code for problem in text.problems] == ["LOAD_DEPRECATED_ITEM"] * 2
