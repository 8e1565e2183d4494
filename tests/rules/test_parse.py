"""The condition grammar, row by row, and Falco's own verdict on its test strings."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiercel.rules.parse import ConditionError, parse
from tiercel.rules.tree import And, Call, Check, FieldRef, Items, MacroCall, Not, Or, Text

VECTORS = Path(__file__).parents[3] / "shared/reference/parser_vectors.json"


def check(text: str) -> Check:
    node = parse(text)
    assert isinstance(node, Check)
    return node


def test_and_binds_tighter_than_or() -> None:
    node = parse("a or b and c")
    assert isinstance(node, Or)
    assert isinstance(node.children[1], And)


def test_not_binds_to_the_next_check_and_pairs_cancel() -> None:
    node = parse("not a and b")
    assert isinstance(node, And)
    assert node.children[0] == Not(MacroCall("a", 4), 0)
    assert parse("not not a") == MacroCall("a", 8)


def test_a_macro_may_begin_with_a_keyword() -> None:
    assert parse("notes") == MacroCall("notes", 0)
    assert parse("android or orphan") == Or((MacroCall("android", 0), MacroCall("orphan", 11)), 0)


@pytest.mark.parametrize(
    ("text", "operator", "right"),
    [
        ("fd.num>=3", ">=", Text("3", 8)),
        ("proc.name == cat", "=", Text("cat", 13)),
        ("proc.name='a b'", "=", Text("a b", 10, quoted=True)),
        ("proc.name exists", "exists", None),
        ("proc.name in (a, 'b c')", "in", (Text("a", 14), Text("b c", 17, quoted=True))),
        ("proc.name in ()", "in", ()),
        ("proc.name intersects names", "intersects", (Text("names", 21),)),
        ("fd.name pmatch (/etc)", "pmatch", (Text("/etc", 16),)),
        ("fd.name glob /a*[b]?", "glob", Text("/a*[b]?", 13)),
    ],
)
def test_operators(text: str, operator: str, right: object) -> None:
    node = check(text)
    assert (node.operator, node.right) == (operator, right)


@pytest.mark.parametrize("word", ["oneof", "anyof", "allof"])
def test_modifiers(word: str) -> None:
    assert check(f"proc.name contains {word} (a, b)").modifier == word
    assert check(f"proc.name = {word}").right == Text(word, 12)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r'"a\"b\\c\/"', 'a"b\\c/'),
        (r"'it\'s'", "it's"),
        (r'"\b\f\n\r\t"', "\b\f\n\r\t"),
        (r'"\x41\xff"', "A\udcff"),
        (r'"a\ b"', "a\\b"),
        ("0a!@#456:/\\.;!$%^&*[]{}|", "0a!@#456:/\\.;!$%^&*[]{}|"),
    ],
)
def test_strings(text: str, value: str) -> None:
    right = check(f"proc.name = {text}").right
    assert isinstance(right, Text)
    assert right.text == value


def test_fields_and_their_arguments() -> None:
    assert check("proc.aname[2] = a").left == FieldRef("proc.aname", "2", 0)
    assert check("proc.env['A B'] = a").left == FieldRef("proc.env", "A B", 0)
    assert check("evt.arg.flags = a").left == FieldRef("evt.arg.flags", None, 0)


def test_transformers_nest() -> None:
    left = check('join("-", (fd.name, tolower(proc.name), 3)) = x').left
    assert isinstance(left, Call)
    assert left.arguments[0] == Text("-", 5, quoted=True)
    assert isinstance(left.arguments[1], Items)
    assert left.arguments[1].items[1] == Call("tolower", (FieldRef("proc.name", None, 28),), None, 20)
    option = check("getopt(proc.args, 'n:')[n] = 3").left
    assert isinstance(option, Call)
    assert option.selector == "n"


def test_a_field_on_the_right_needs_val() -> None:
    assert check("proc.name = val(proc.pname)").right == Call("val", (FieldRef("proc.pname", None, 16),), None, 12)
    assert check("proc.name = proc.pname").right == Text("proc.pname", 12)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("", 0),
        ("proc.name =", 11),
        ("proc.name = a b", 14),
        ("(proc.name = a", 14),
        ("a andb", 5),
        ("proc.name in (a,)", 16),
        ("proc.name ~ a", 10),
        ("fd.num > many", 9),
        ("proc.name = 'a", 12),
        (r"proc.name = 'a\q'", 14),
        ("proc.env[] = a", 9),
        ("val(fd.name) = a", 0),
    ],
)
def test_errors_say_where(text: str, at: int) -> None:
    with pytest.raises(ConditionError) as caught:
        parse(text)
    assert caught.value.at == at


def test_depth_is_bounded() -> None:
    assert parse("(" * 198 + "a" + ")" * 198) == MacroCall("a", 198)
    for text in ("(" * 100_000, "not(" * 100_000, "tolower(" * 100_000, "not " * 100_000):
        with pytest.raises(ConditionError):
            parse(text)


UNITS = ["a and ", "proc.name in (a, b) or ", "not ", "tolower(", "proc.name = 'a\\'", "((", '"', "a.b.c."]


@pytest.mark.parametrize("unit", UNITS)
def test_time_is_linear(unit: str) -> None:
    started = time.process_time()
    with pytest.raises(ConditionError):
        parse(unit * 40_000 + "(")
    assert time.process_time() - started < 5


@given(st.text(alphabet=" ()\"'\\=<>,.abnotrdfvl[]0x-\t\n\ufffd", max_size=60))
def test_any_text_parses_or_fails_with_a_place(text: str) -> None:
    try:
        parse(text)
    except ConditionError as error:
        assert 0 <= error.at <= len(text)


@pytest.mark.skipif(not VECTORS.exists(), reason="the shared reference vectors are not here")
def test_falcos_verdict_on_its_own_strings() -> None:
    for vector in json.loads(VECTORS.read_text())["vectors"]:
        try:
            parse(vector["filter"])
            parsed = True
        except ConditionError:
            parsed = False
        assert parsed == vector["parses"], vector["filter"][:200]
