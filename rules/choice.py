"""What the operator's settings make of loaded rules: which run, and what their alerts carry besides."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from tiercel import _engine
from tiercel.config import AppendOutput, Selection
from tiercel.errors import ConfigError
from tiercel.rules.compile import CompiledRule
from tiercel.rules.items import PRIORITIES, priority
from tiercel.schemas import tables


def chosen(
    rules: Iterable[CompiledRule], selections: Sequence[Selection] = (), least_urgent: str = "debug"
) -> list[CompiledRule]:
    """The rules, switched on and off by the selections in order; less urgent ones than `least_urgent` are off."""
    out, least = [], priority(least_urgent)
    assert least is not None
    for rule in rules:
        enabled = rule.enabled
        for selection in selections:
            enabled = selection.enable is not None if _concerns(selection, rule) else enabled
        out.append(replace(rule, enabled=enabled and PRIORITIES.index(rule.priority) <= least))
    return out


def _concerns(selection: Selection, rule: CompiledRule) -> bool:
    what = selection.what
    return (what.rule is None or matches(what.rule, rule.name)) and (what.tag is None or what.tag in rule.tags)


def matches(pattern: str, name: str) -> bool:
    """Whether a name is as the pattern has it; `*` stands for any text, all else for itself."""
    return fnmatch.fnmatchcase(name, re.sub(r"([?[])", r"[\1]", pattern))


def appended(rules: Iterable[CompiledRule], entries: Sequence[AppendOutput]) -> list[CompiledRule]:
    """The rules with what the entries add to their output and output_fields; ConfigError if it is no output."""
    for entry in entries:
        _check(entry)
    return [_with_all(rule, entries) for rule in rules]


def _check(entry: AppendOutput) -> None:
    texts = [entry.extra_output or ""]
    for field in entry.extra_fields:
        texts += [f"%{field}"] if isinstance(field, str) else field.values()
    for text in texts:
        try:
            names = _engine.Format("*" + text).names
        except ValueError as error:
            raise ConfigError(f"worker.append_output: {text!r}: {error}") from None
        if text[1:] in entry.extra_fields and names != [text[1:]]:
            raise ConfigError(f"worker.append_output: {text[1:]!r} is no field; write KEY: FORMAT for a text")


def _with_all(rule: CompiledRule, entries: Sequence[AppendOutput]) -> CompiledRule:
    output, extra = rule.output, dict(rule.extra)
    for entry in entries:
        match = entry.match
        if match.source not in (None, rule.source) or match.rule not in (None, rule.name):
            continue
        if not set(match.tags) <= set(rule.tags):
            continue
        if entry.extra_output:
            output += f" {entry.extra_output}"
        for field in entry.extra_fields:
            extra |= {field: None} if isinstance(field, str) else field
        if entry.suggested_output:
            output += suggested(output)
    return replace(rule, output=output, extra=tuple(extra.items()))


def suggested(output: str) -> str:
    """` name=%field` for each field that is suggested for outputs and does not stand in this one."""
    present = _engine.Format("*" + output).names
    fields = (field.name for field in tables.fields().values() if "suggested" in field.flags)
    return "".join(f" {name.replace('.', '_')}=%{name}" for name in fields if name not in present)
