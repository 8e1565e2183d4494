"""Whatever is given as a condition, rule file, plan or output is read or refused, never anything else.

More by hand: TIERCEL_FUZZ_EXAMPLES=20000 pytest --timeout 0 tests/fuzz/test_any.py
"""

from __future__ import annotations

import json
import os
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz import targets, texts

many = settings(
    max_examples=int(os.environ.get("TIERCEL_FUZZ_EXAMPLES", "150")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)
WORD = st.sampled_from(texts.WORDS)
ANY = st.text(st.characters(codec="utf-8"), max_size=60)
WORDS = st.builds(str.join, st.sampled_from([" ", ""]), st.lists(WORD | ANY, max_size=30))
MARKS = st.sampled_from([": ", "\n- ", "\n  ", "- ", "[", "{", "&a ", "*a", "|", ">", "!!", "# ", "---\n"])


@st.composite
def mutated(draw: st.DrawFn, seeds: list[str], words: st.SearchStrategy[str]) -> str:
    """One of the texts after some changes: a span is taken out, repeated, moved or replaced."""
    text = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(1, 6))):
        start = draw(st.integers(0, len(text)))
        stop = min(len(text), start + draw(st.integers(0, 12)))
        how = draw(st.sampled_from(["out", "repeat", "move", "replace", "insert"]))
        if how == "move":
            rest, to = text[:start] + text[stop:], draw(st.integers(0, len(text)))
            text = rest[:to] + text[start:stop] + rest[to:]
        else:
            new = {"out": "", "repeat": text[start:stop] * 2}.get(how) if how in ("out", "repeat") else draw(words)
            text = text[:start] + str(new) + text[start if how == "insert" else stop :]
    return text


def changed(draw: st.DrawFn, value: Any, other: st.SearchStrategy[Any]) -> Any:
    """The JSON value with one value somewhere in it taken out, repeated or replaced."""
    path: list[tuple[Any, Any]] = []
    at = value
    while isinstance(at, dict | list) and at and (not path or draw(st.integers(0, 5))):
        key = draw(st.sampled_from(sorted(at) if isinstance(at, dict) else list(range(len(at)))))
        path.append((at, key))
        at = at[key]
    if not path:
        return draw(other)
    parent, key = path[-1]
    how = draw(st.sampled_from(["out", "repeat", "replace", "replace"]))
    if how == "out":
        del parent[key]
    elif how == "repeat" and isinstance(parent, list):
        parent.insert(key, at)
    else:
        parent[key] = draw(other)
    return value


SCALAR = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | WORD | ANY
VALUE = st.recursive(
    SCALAR, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ANY, inner, max_size=3), max_leaves=8
)
NUMBER = st.integers(-1, 12)
PLAN_WORD = st.sampled_from(texts.PLAN_KEYS)


@st.composite
def plan_texts(draw: st.DrawFn) -> str:
    value = json.loads(draw(st.sampled_from([texts.small(), *texts.plans()])))
    other = NUMBER | VALUE | st.lists(NUMBER, max_size=3) | st.dictionaries(PLAN_WORD, NUMBER | VALUE, max_size=3)
    for _ in range(draw(st.integers(1, 4))):
        value = changed(draw, value, other)
    return json.dumps(value)


KEYED = st.recursive(
    st.sampled_from(texts.SCALARS) | SCALAR,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(texts.KEYS), inner, max_size=8),
    max_leaves=30,
)
ITEM = st.dictionaries(st.sampled_from(texts.KEYS), KEYED, max_size=6)


@st.composite
def trees(draw: st.DrawFn) -> Any:
    """What a rule file could hold: items that are nearly right, and anything else."""
    items = []
    for _ in range(draw(st.integers(0, 6))):
        kind = draw(st.sampled_from(["rule", "macro", "list", "any"]))
        name = {kind: draw(st.sampled_from(["r", "m", "names"]))}
        whole = {"rule": targets.RULE, "macro": {"condition": "proc.name = a"}, "list": {"items": ["a"]}}.get(kind, {})
        begun = whole if draw(st.booleans()) else {}
        items.append(draw(ITEM | KEYED) if kind == "any" else begun | name | draw(ITEM))
    return draw(st.just(items) | KEYED) if draw(st.integers(0, 9)) == 0 else items


def written(tree: Any) -> str:
    """As YAML, with quotes where PyYAML puts them."""
    return str(yaml.safe_dump(tree, allow_unicode=True, sort_keys=False))


@many
@given(ANY | WORDS)
def test_any_text_as_a_condition(text: str) -> None:
    targets.condition(text)


@many
@given(mutated(texts.conditions(), WORD | ANY))
def test_conditions_of_the_library_changed(text: str) -> None:
    targets.condition(text)


@many
@given(mutated(texts.items(), WORD | ANY | MARKS))
def test_rule_files_of_the_library_changed(text: str) -> None:
    targets.rule_file(text)


@many
@given(ANY | WORDS)
def test_any_text_as_a_rule_file(text: str) -> None:
    targets.rule_file(text)


@many
@given(trees())
def test_trees_as_rule_files(tree: Any) -> None:
    targets.rule_file(written(tree))
    targets.rule_file(json.dumps(tree))


@many
@given(plan_texts() | ANY)
def test_plans_changed(text: str) -> None:
    targets.plan(text)


@many
@given(WORDS.map(lambda text: "%" + text) | mutated(texts.outputs(), WORD | ANY))
def test_any_text_as_an_output(text: str) -> None:
    targets.output(text)
