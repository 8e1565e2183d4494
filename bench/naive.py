"""What a plain Python consumer manages: each enriched batch decoded with fastavro, each rule asked of each event.

It is flattered: the state of the host, which it would have to keep, is done already, and fields that are not in the
batch are simply absent. The rules are the same, their conditions evaluated from the tree with short circuits.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tiercel.rules.load import rules_from
from tiercel.rules.tree import And, Check, FieldRef, Node, Not, Text, fold
from tiercel.schemas import avro

Fields = Mapping[str, Any]
Test = Callable[[Fields], bool]


def rules(paths: Sequence[str | Path]) -> list[Test]:
    """The conditions of all enabled rules."""
    return [_test(rule.condition) for rule in rules_from(paths).rules if rule.enabled]


def _test(root: Node) -> Test:
    def visit(node: Node, below: list[Test]) -> Test:
        if isinstance(node, Check):
            return _check(node)
        if isinstance(node, Not):
            child = below[0]
            return lambda fields: not child(fields)
        return (
            (lambda fields: all(t(fields) for t in below))
            if isinstance(node, And)
            else (lambda fields: any(t(fields) for t in below))
        )

    return fold(root, visit)


def _check(node: Check) -> Test:
    if not isinstance(node.left, FieldRef):
        return lambda _fields: False
    name, right = node.left.name, node.right
    if right is None:
        return lambda fields: fields.get(name) is not None
    words = [one.text for one in ((right,) if isinstance(right, Text) else right if isinstance(right, tuple) else ())]
    members = frozenset(words)
    compare: dict[str, Callable[[str], bool]] = {
        "=": lambda value: value in members,
        "in": lambda value: value in members,
        "!=": lambda value: value not in members,
        "contains": lambda value: any(word in value for word in words),
        "startswith": lambda value: value.startswith(tuple(words)),
        "endswith": lambda value: value.endswith(tuple(words)),
        "pmatch": lambda value: any(value == word or value.startswith(word + "/") for word in words),
    }
    ask = compare.get(node.operator, lambda _value: False)
    return lambda fields: (value := fields.get(name)) is not None and ask(value)


def measure(messages: Sequence[bytes], tests: Sequence[Test], seconds: float = 10.0) -> tuple[int, int, float]:
    """(events, matches, events a second) of as many messages as there is time for."""
    begun, events, matches = time.monotonic(), 0, 0
    for message in messages:
        batch = avro.decode("event_batch", message)
        codes = {code["code"]: code for code in batch["codes"]}
        for event in batch["events"]:
            fields = _fields(batch, codes, event)
            matches += sum(test(fields) for test in tests)
            events += 1
        if time.monotonic() - begun > seconds:
            break
    return events, matches, events / (time.monotonic() - begun)


def _fields(batch: dict[str, Any], codes: dict[int, Any], event: dict[str, Any]) -> dict[str, str | None]:
    code = codes[event["code"]]
    found: dict[str, str | None] = {"evt.type": code["name"], "evt.num": str(batch["first_seq"] + event["seq"])}
    for name, value in zip(code["params"], event["values"], strict=False):
        text = value.decode(errors="replace") if isinstance(value, bytes) else None if value is None else str(value)
        found[f"evt.arg.{name}"] = text
    if event["process"] is not None:
        process = batch["processes"][event["process"]]
        texts = {key: value.decode(errors="replace") for key, value in process.items() if isinstance(value, bytes)}
        words = [word.decode(errors="replace") for word in process["args"]]
        found |= {
            "proc.name": texts["name"],
            "proc.exe": texts["exe"],
            "proc.exepath": texts["exepath"],
            "proc.cwd": texts["cwd"],
            "proc.cmdline": " ".join([texts["name"], *words]),
            "proc.args": " ".join(words),
            "proc.pid": str(process["pid"]),
            "user.name": texts["user"],
            "user.uid": str(process["uid"]),
            "container.id": texts["container_id"] or "host",
            "proc.tty": str(process["tty"]),
        }
        if process["ancestors"]:
            found["proc.pname"] = process["ancestors"][0]["name"].decode(errors="replace")
    if event["file"] is not None:
        file = batch["files"][event["file"]]
        found |= {
            "fd.name": file["name"].decode(errors="replace"),
            "fd.typechar": file["typechar"],
            "fd.l4proto": file["l4proto"],
        }
    return found
