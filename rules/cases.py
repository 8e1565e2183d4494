"""Tests of rules as data: events told by their fields, and the alerts that must come of them.

    rules: [tiercel.yaml]            # files beside this one or shipped ones; or rules as they stand in a rule file
    defaults: {proc.name: cat}       # fields of every event below
    cases:
    - name: cat reads the passwords
      event: openat
      fields: {fd.name: /etc/shadow, evt.is_open_read: true}
      alerts: [{rule: Sensitive file read, output: file=/etc/shadow}]    # in order; output: part of the message
    - name: but not other files
      fields: {fd.name: /etc/hosts}
      alerts: []

A field left out, or `null`, has no value. A list for `proc.aname` and the like is all ancestors, parent first.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tiercel import _engine
from tiercel.errors import RuleError
from tiercel.rules.load import Loader


@dataclass(frozen=True, slots=True)
class Case:
    """One event and what must come of it."""

    file: Path
    name: str
    event: str
    fields: dict[str, Any]
    alerts: tuple[tuple[str, str], ...]
    plan: str

    def failure(self) -> str | None:
        """What is not as expected, in one sentence."""
        try:
            found = _engine.RuleSet(self.plan).try_event(self.event, self.fields)
        except ValueError as error:
            return f"{self.name}: {error}"
        rules, wanted = [rule for rule, _, _ in found], [rule for rule, _ in self.alerts]
        if rules != wanted:
            return f"{self.name}: expected alerts {wanted}, got {rules}"
        for (rule, message, _), (_, part) in zip(found, self.alerts, strict=True):
            if part not in message:
                return f"{self.name}: the output of '{rule}' lacks {part!r}: {message}"
        return None


def read(path: Path) -> list[Case]:
    """The cases of a file; RuleError if the file or its rules are wrong."""
    data = yaml.safe_load(path.read_text())
    if not isinstance(data, dict) or not isinstance(data.get("cases"), list):
        raise RuleError("a file of rule tests has `rules`, `defaults` and `cases`", file=str(path))
    plan, defaults = _plan(path, data.get("rules", [])), data.get("defaults", {})
    cases = []
    for number, case in enumerate(data["cases"], 1):
        unknown = set(case) - {"name", "event", "fields", "alerts"}
        if unknown or "alerts" not in case:
            raise RuleError(f"case {number}: has unknown keys {sorted(unknown)} or no `alerts`", file=str(path))
        alerts = [{"rule": alert} if isinstance(alert, str) else alert for alert in case["alerts"]]
        cases.append(
            Case(
                file=path,
                name=case.get("name", f"case {number}"),
                event=case.get("event", data.get("event", "openat")),
                fields=defaults | case.get("fields", {}),
                alerts=tuple((alert["rule"], alert.get("output", "")) for alert in alerts),
                plan=plan,
            )
        )
    return cases


def _plan(path: Path, rules: list[Any]) -> str:
    loader = Loader()
    inline = [rule for rule in rules if not isinstance(rule, str)]
    for name in (rule for rule in rules if isinstance(rule, str)):
        beside = path.parent / name
        loader.read(beside if beside.exists() else Path(__file__).parent / "library" / name)
    if inline:
        loader.read_text(str(path), yaml.safe_dump(inline, sort_keys=False))
    return loader.finish().plan(matching="all")
