"""What fuzzing begins with: the shipped rules, whole and in pieces, and the words of the language."""
# ruff: noqa: E501 - words and plans read best with few lines

from __future__ import annotations

import json
from functools import cache

from tiercel.rules.items import PRIORITIES
from tiercel.rules.load import library, load
from tiercel.rules.parse import MODIFIERS, OPERATORS, TRANSFORMERS

WORDS = (
    "and", "or", "not", "(", ")", ",", "[", "]", "'", '"', "\\", "\\x41", "=", "==", "!=", "<", ">=", "val(", "proc.name", "proc.aname", "fd.name",
    "fd.sip", "fd.snet", "fd.sport", "fd.types", "fd.ip", "evt.type", "evt.num", "evt.arg.flags", "evt.rawarg.res", "evt.buffer", "thread.cpu",
    "evt.failed", "proc.env[HOME]", "fd.sip.name", "openat", "close", "uname", "0", "-1", "1.5", "0x10", "99999999999999999999", "a", "names",
    "m", "1.2.3.4", "::1", "10.0.0.0/8", "true", "<NA>", "%", "%proc.name", "%20", "*", "[a-", "(?i)", "{9999}", " ", "\n", "\t", "\0", "ä", "🙂",
    *OPERATORS, *MODIFIERS, *(f"{name}(" for name in TRANSFORMERS),
)  # fmt: skip
KEYS = (
    "list", "macro", "rule", "items", "condition", "output", "desc", "priority", "source", "enabled", "capture", "capture_duration",
    "warn_evttypes", "skip-if-unknown-filter", "tags", "exceptions", "append", "override", "name", "fields", "comps", "values",
    "required_engine_version", "required_plugin_versions", "version", "alternatives", "throttle", "per", "burst", "every",
)  # fmt: skip
SCALARS = (*PRIORITIES, "append", "replace", "r", "m", "names", "syscall", "evt.type = openat", "m and proc.name in (names)", "or m", "in", "pmatch",
           "= ", "startswith anyof", "proc.name", "tolower(proc.name)", "0.63.0", "container", "%proc.name", "~", "yes", "", "a b", "5s")  # fmt: skip

PLAN_KEYS = (
    "field", "constant", "list", "call", "all", "any", "not", "test", "left", "right", "op", "values", "modifier", "hex", "name", "args",
    "option", "index", "key", "throttle", "extra",
)  # fmt: skip


@cache
def items() -> list[str]:
    """The items of the shipped rule files, each as it is written."""
    files = [path.read_text() for path in library()]
    return ["- " + item for text in files for item in ("\n" + text).split("\n- ")[1:]]


@cache
def conditions() -> list[str]:
    """The conditions of the shipped rules."""
    return [rule.condition for rule in load(library()).rules]


@cache
def outputs() -> list[str]:
    """The outputs of the shipped rules."""
    return [rule.output for rule in load(library()).rules]


@cache
def plans() -> list[str]:
    """What the engine reads of single shipped rules."""
    whole = load(library())
    found = []
    for rule in whole.rules[::7]:
        whole.rules[:] = [rule]
        found.append(whole.plan())
    return found


def small() -> str:
    """One plan with something of everything."""
    node = {"test": {"left": 0, "op": "startswith", "modifier": "anyof", "values": ["a", {"hex": "ff"}]}}
    return json.dumps(
        {
            "format": 1, "version": "v", "matching": "all", "base64": True,
            "operands": [{"field": {"name": "proc.name"}}, {"field": {"name": "proc.aname", "index": 2}}, {"constant": "x"},
                         {"list": [0, 2]}, {"call": {"name": "join", "args": [2, 3]}}, {"field": {"name": "fd.num"}}],
            "nodes": [node, {"test": {"left": 4, "op": "=", "right": 0}}, {"test": {"left": 5, "op": ">", "values": [7]}},
                      {"all": [0, 1]}, {"not": 2}, {"any": [3, 4]}],
            "rules": [{"name": "r", "source": "syscall", "priority": "Error", "tags": ["t"], "output": "%proc.name", "node": 5,
                       "codes": [307], "sha256": "0", "extra": [{"field": "fd.num"}, {"text": {"key": "k", "format": "%fd.name"}}],
                       "throttle": {"per": ["proc.name"], "burst": 1, "every": 1000000000}}],
        }
    )  # fmt: skip
