"""Meaning of conditions: fields, operators, constants; events they concern; Falco's verdicts and warnings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tiercel import _engine
from tiercel.rules import events
from tiercel.rules.check import check_condition, constants
from tiercel.rules.fields import event_codes, rule_codes
from tiercel.rules.load import Loader
from tiercel.rules.parse import ConditionError, parse
from tiercel.rules.tree import Check
from tiercel.schemas import tables

VECTORS = Path(__file__).parents[3] / "shared/reference/parser_vectors.json"

# docs/differences.md: numbers with decimals may have decimals.
MENDED = {"thread.cpu = 1.0"}
# Warnings that differ: (filter, ours beyond theirs or theirs beyond ours, why).
OTHER_WARNINGS = {
    "evt.type == anyof (getcwd, openat)": "we see which events `anyof` names; Falco takes all",
    "evt.type == anyof (getcwd)": "as above",
    "evt.type == anyof (openat, execve)": "as above",
    "evt.type == anyof ()": "as above",
}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("proc.nmae = cat", "unknown field proc.nmae; did you mean proc.name?"),
        ("evt.type = opneat", "unknown event type opneat; did you mean openat?"),
        ("evt.arg.flgas contains x", "evt.arg: no event has an argument 'flgas'; did you mean flags?"),
        ("evt.arg contains x", "evt.arg needs an argument: evt.arg[index] or .name"),
        ("proc.name[1] = a", "proc.name[1]: it takes no argument"),
        ("proc.aname[x] = a", "proc.aname[x]: 'x' is not a valid number"),
        (
            "proc.pid contains 1",
            "'contains' cannot compare proc.pid (int64); it knows != < <= = > >= exists in intersects",
        ),
        ("evt.failed > 1", "'>' cannot compare evt.failed (bool); it knows != = exists in intersects"),
        ("proc.name bcontains 00", "'bcontains' cannot compare proc.name (charbuf)"),
        ("proc.pid = many", "'many' is not a valid number"),
        ("evt.failed = yes", "'yes' must be true or false"),
        ("fd.sip = 300.1.1.1", "'300.1.1.1' is no IP address"),
        ("fd.snet = 10.0.0.0", "'10.0.0.0' is no network; write address/bits"),
        ("fd.sport = nosuchservice", "'nosuchservice' is neither a port nor a service"),
        ("evt.buffer bcontains 0g", "'0g' must be hex digits, two a byte"),
        ("proc.name regex '('", "the regular expression '(' is wrong: unclosed group"),
        ("proc.name = '\\x00'", "a value cannot hold a NUL byte"),
        ("proc.name = " + "a" * 256, "a value cannot be longer than 255 bytes"),
        ("tolower(proc.pid) = 1", "tolower() cannot transform a value of type int64"),
        ("tolower(proc.aname) = a", "tolower() cannot transform proc.aname"),
        ("tolower(evt.type) = open", "evt.type and syscall.type cannot be transformed"),
        ("join('-', 'a') = b", "join() takes a separator and a list"),
        ("concat(proc.name) = b", "concat() takes two or more texts"),
        ("getopt('a', 'n') intersects (n)", "getopt() takes a list of arguments and the options as text"),
        ("proc.pid = val(proc.name)", "proc.pid is of type int64, val(proc.name) of type charbuf"),
        ("proc.name regex val(proc.pname)", "'regex' cannot compare proc.name with a field"),
        ("fd.name = val(fd.ip)", "fd.ip cannot be compared with a field"),
    ],
)
def test_faults(text: str, message: str) -> None:
    with pytest.raises(ConditionError) as caught:
        check_condition(parse(text))
    assert caught.value.message.startswith(message)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("proc.pid in (1, -2)", [1, -2]),
        ("proc.tty = -1", [2**32 - 1]),
        ("evt.num = -1", [2**64 - 1]),
        ("evt.failed = false", [False]),
        ("fd.sport in (http, 8080)", [80, 8080]),
        ("fd.sip = ::1", ["::1"]),
        ("fd.snet in ('10.1.2.3/8', '::1/128')", ["10.0.0.0/8", "::1/128"]),
        ("evt.buffer bcontains 414243", ["ABC"]),
        ("evt.rawarg.res = 1", [1]),
        ("evt.rawarg.trusted_exepath = 1", ["1"]),
    ],
)
def test_constants(text: str, values: list[object]) -> None:
    node = parse(text)
    assert isinstance(node, Check)
    check_condition(node)
    assert constants(node) == values


@pytest.mark.parametrize("field", tables.fields().values(), ids=lambda field: field.name)
def test_every_field_can_be_asked_for(field: tables.Field) -> None:
    argument = {
        "[n]": "[1]", "[NAME]": "[HOME]", ".name": ".res", "[index] or .name": ".res", "[index] or [key]": "[0]",
        ".subsys": ".cpu", "[fd]": "[0]", "[n] or [NAME]": "[HOME]", "[ns]": "[1767323045000000000]",
        ".src or .dst": ".dst", ".eventname or .code": ".openat",
    }.get(field.arg_syntax or "", "")  # fmt: skip
    check_condition(parse(f"{field.name}{argument} exists"))
    if "filter_only" in field.flags:
        with pytest.raises(ValueError, match="unknown filter"):
            _engine.Format(f"%{field.name}")
    else:
        assert _engine.Format(f"%{field.name}{argument}").names == [field.name + argument]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("evt.type = openat", {"openat"}),
        ("evt.type in (openat, close) and not evt.type = close", {"openat"}),
        ("evt.type = openat or evt.type = close and proc.name = a", {"openat", "close"}),
        ("not (evt.type != openat)", {"openat"}),
        ("evt.type = openat and evt.num = 0", set()),
        ("evt.num < 1 or evt.type = close", {"close"}),
        ("evt.type = uname", {"syscall"}),
        ("evt.type = openat and evt.type = close", set()),
    ],
)
def test_event_types_of_a_condition(text: str, names: set[str]) -> None:
    assert events.codes(parse(text)) == {code for name in names for code in event_codes()[name]}


@pytest.mark.parametrize(
    "text", ["proc.name = a", "not proc.name = a", "evt.num > 0", "proc.name = a or evt.type = close"]
)
def test_conditions_on_every_event(text: str) -> None:
    assert events.codes(parse(text)) == rule_codes()


def test_the_generic_event_stands_for_many_calls() -> None:
    (generic,) = event_codes()["syscall"]
    assert generic in events.codes(parse("not evt.type = uname"))
    assert generic in events.codes(parse("evt.type != uname"))


@pytest.mark.skipif(not VECTORS.exists(), reason="the shared reference vectors are not here")
def test_falcos_verdict_and_warnings() -> None:
    for vector in json.loads(VECTORS.read_text())["vectors"]:
        text = vector["filter"]
        items: list[dict[str, str]] = [
            {"macro": name, "condition": "evt.num > 0"} for name in vector.get("macros") or []
        ]
        items.append({"rule": "r", "condition": text, "output": "x", "desc": "d", "priority": "debug"})
        loader = Loader()
        loader.read_text("rules.yaml", json.dumps(items))
        loaded = loader.finish()
        if text in MENDED:
            assert not loaded.errors
            continue
        accepted = vector["falco"] == "accepted"
        assert (not loaded.errors) == accepted, (text, [str(error) for error in loaded.errors])
        if accepted:
            _engine.RuleSet(loaded.plan())
            ours = {problem.code for problem in loaded.warnings} - {"LOAD_UNUSED_MACRO"}
            assert ours == set(vector.get("warnings", [])) or text in OTHER_WARNINGS, text
