"""The language, chapter 1: grammar and tokens."""
# ruff: noqa: E501 - the tables of cases read best with few lines

from __future__ import annotations

import pytest

from tests.rules.language import holds, loaded, refused, rule, rules_holding
from tiercel.rules.parse import ConditionError, parse
from tiercel.rules.tree import Check, Text

A, B, C = "proc.name = a", "proc.pname = b", "user.uid = 0"
YES, NO = {"proc.name": "a"}, {"proc.name": "x"}


@pytest.mark.parametrize("a", [True, False])
@pytest.mark.parametrize("b", [True, False])
@pytest.mark.parametrize("c", [True, False])
def test_and_binds_tighter_than_or_and_not_to_the_next_check(a: bool, b: bool, c: bool) -> None:
    fields = {"proc.name": "a" if a else "", "proc.pname": "b" if b else "", "user.uid": 0 if c else 1}
    rows = [
        (f"{A} or {B} and {C}", a or (b and c)),
        (f"{A} and {B} or {C}", (a and b) or c),
        (f"({A} or {B}) and {C}", (a or b) and c),
        (f"not {A} and {B}", not a and b),
        (f"not ({A} and {B})", not (a and b)),
        (f"not({A} or {B})", not (a or b)),
        (f"not not {A} or {C}", a or c),
        (f"not not not {A}", not a),
        (f"{A} or not {B} and not {C}", a or (not b and not c)),
        (f"{A} and({B})or({C})", (a and b) or c),
        (f"not(not({A}))and not({B})", a and not b),
    ]
    for text, wanted in rows:
        assert holds(text, fields) == wanted, text


@pytest.mark.parametrize("blank", [" ", "\t", "\b", "\r", "\n", " \t\b\r\n "])
def test_blanks(blank: str) -> None:
    words = ["proc.name", "=", "'a'", "and", "(", "not", "fd.num", "in", "(", "'1'", ",", "'2'", ")", ")"]
    parse(blank + blank.join(words) + blank)


@pytest.mark.parametrize("text", ["proc.name=a", "proc.name==a", "proc.name!=a", "fd.num>=3", "fd.num<3", "proc.name='a'",
                                  'proc.name="a"and proc.name=a', "fd.num in(1)", "proc.name exists and(fd.num=1)"])  # fmt: skip
def test_symbols_need_no_blanks(text: str) -> None:
    parse(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'condition' must not be empty"),
        (" ", "expected a field, a macro, 'not' or '(', found end of the condition"),
        ("proc.name = a # no comments", "unexpected '#', expecting 'and' or 'or'"),
        ("proc.name = a AND proc.name = b", "unexpected 'AND', expecting 'and' or 'or'"),
        ("proc.name = a and", "expected a blank or '(' after 'and', found end of the condition"),
        ("proc.name = a and ", "expected a field, a macro, 'not' or '(', found end of the condition"),
        ("proc.name = a andproc.name = b", "expected a blank or '(' after 'and', found 'proc.name'"),
        ("proc.name = a proc.name = b", "unexpected 'proc.name', expecting 'and' or 'or'"),
        ("(proc.name = a", "expected ')' for the '(' at column 1, found end of the condition"),
        ("proc.name = a)", "unexpected ')', expecting 'and' or 'or'"),
        ("()", "expected a field, a macro, 'not' or '(', found ')'"),
        ("proc.name CONTAINS a", "expected an operator (one of "),
        ("proc.name containsa", "expected an operator, found 'containsa'; did you mean contains?"),
        ("proc.name contians a", "expected an operator, found 'contians'; did you mean contains?"),
        ("proc.name startswith", "expected a blank after the operator 'startswith'"),
        ("proc.name startswith ", "expected a value, found end of the condition"),
        ("proc.name ~ a", "expected an operator (one of "),
        ("procname = a", "procname is no field, as it has no dot; did you mean proc.name?"),
        ("proc_name contains a", "proc_name is no field, as it has no dot; did you mean proc.name?"),
        ("1proc.name = a", "expected a field, a macro, 'not' or '(', found '1proc.name'"),
        ("_a", "expected a field, a macro, 'not' or '(', found '_a'"),
        ("proc. = a", "unexpected '.', expecting 'and' or 'or'"),
        ("proc.1 = a", "unexpected '.1', expecting 'and' or 'or'"),
        ("proc.name = a b", "unexpected 'b', expecting 'and' or 'or'"),
        ("proc.name = (a)", "expected a value, found '('"),
        ("proc.name = a=b", "unexpected '=', expecting 'and' or 'or'"),
        ("proc.name = a,b", "unexpected ',', expecting 'and' or 'or'"),
        ("proc.name = 'a", "the string that begins here has no closing '"),
        ('proc.name = "a\'', 'the string that begins here has no closing "'),
        (r"proc.name = 'a\q'", r"\q is no escape in a '-quoted string"),
        (r"proc.name = 'a\"'", "\\\" is no escape in a '-quoted string"),
        (r"proc.name = '\x4'", r"\x is no escape in a '-quoted string"),
        ("fd.num > many", "expected a number or a transformer, found 'many'"),
        ("fd.num > '1'", "expected a number or a transformer, found '''"),
        ("fd.num in 1, 2", "expected a list in parentheses, the name of a list or a transformer, found '1'"),
        ("fd.num in (1,)", "expected a value, found ')'"),
        ("fd.num in (1 2)", "expected ',' or ')' in the list, found '2'"),
        ("fd.num in (1", "expected ',' or ')' in the list, found end of the condition"),
        ("proc.aname[] = a", "expected an argument between '[' and ']'"),
        ("proc.aname[1 = a", "expected ']' after the argument '1'"),
        ("proc.env[a b] = a", "expected ']' after the argument 'a'"),
        ("proc.name exists a", "unexpected 'a', expecting 'and' or 'or'"),
        ("val(proc.name) = a", "val(…) stands only to the right of an operator"),
        ("lower(proc.name) = a", "unknown transformer lower; did you mean tolower?"),
        ("proc.name = val()", "expected a field as argument, found ')'"),
        ("proc.name = val(tolower(proc.name))", "expected a field as argument, found 'tolower'"),
        ("tolower(a) = b", "expected a field, a transformer, a quoted string or a number as argument, found 'a'"),
        ("tolower(proc.name = b", "expected ',' or ')' in tolower(…), found '='"),
        ("concat(proc.name" + ", 'a'" * 10_000 + ") = b", "a transformer holds more than 10000 operands"),
        ("(" * 199 + "a.b exists" + ")" * 199, "the condition is nested too deeply (limit 1000)"),
    ],
)  # fmt: skip
def test_what_is_no_condition(text: str, message: str) -> None:
    errors = loaded(rule(text)).errors
    assert len(errors) == 1
    assert errors[0].message.startswith(message)


@pytest.mark.parametrize("name", ["notes", "android", "orphan", "in_x", "existsx", "a", "A1_b", "tolower", "val"])
def test_names_of_macros(name: str) -> None:
    text = loaded({"macro": name, "condition": "proc.name = a"}, rule(name))
    assert rules_holding(text, YES) == ["r"]
    assert rules_holding(text, NO) == []


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("abc", "abc"),
        ("0x1F", "0x1F"),
        ("-1.5e+3", "-1.5e+3"),
        ("a[0]{1}*?|&;$#@!~^%`<>:/\\.-_", "a[0]{1}*?|&;$#@!~^%`<>:/\\.-_"),
        ("a\\n", "a\\n"),
        ("ünï", "ünï"),
        ("''", ""),
        ('""', ""),
        ("'a \"b\" (c), d = e'", 'a "b" (c), d = e'),
        ("\"it's\"", "it's"),
        (r'"\b\f\n\r\t\\\/\""', '\b\f\n\r\t\\/"'),
        (r"'\''", "'"),
        (r'"\x41\x7e"', "A~"),
        (r'"a\ b"', "a\\b"),
        ("and", "and"),
        ("not", "not"),
        ("(a, 'b', 3)", ("a", "b", "3")),
        ("()", ()),
    ],
)  # fmt: skip
def test_values(text: str, value: str | tuple[str, ...]) -> None:
    node = parse(f"proc.name {'in' if isinstance(value, tuple) else '='} {text}")
    assert isinstance(node, Check)
    right = node.right
    found = tuple(each.text for each in right) if isinstance(right, tuple) else right.text  # type: ignore[union-attr]
    assert found == value


@pytest.mark.parametrize("number", ["3", "-3", "+3", "3.5", "3.", "0xfF", "1e5", "2E-3"])
def test_numbers(number: str) -> None:
    node = parse(f"thread.cpu < {number}")
    assert isinstance(node, Check)
    assert node.right == Text(number, 13)


def test_a_modifier_is_a_word_before_a_list() -> None:
    for modifier in ("oneof", "anyof", "allof"):
        node = parse(f"proc.name startswith {modifier} (a, b)")
        assert isinstance(node, Check)
        assert (node.modifier, len(node.right or ())) == (modifier, 2)  # type: ignore[arg-type]
        plain = parse(f"proc.name = {modifier} and proc.name = a")
        assert plain.children[0].right == Text(modifier, 12)  # type: ignore[union-attr]
    with pytest.raises(ConditionError):
        parse("fd.num < anyof (1, 2)")
    with pytest.raises(ConditionError):
        parse("proc.name in anyof (1, 2)")


def test_the_limit_of_nesting_is_falcos() -> None:
    assert refused("(" * 198 + "proc.name exists" + ")" * 198) is None
    assert refused("not(" * 248 + "proc.name exists" + ")" * 248) is None
    assert refused("not(" * 249 + "proc.name exists" + ")" * 249) == "the condition is nested too deeply (limit 1000)"


def test_as_many_operands_as_the_engine_takes() -> None:
    assert holds("concat(proc.name" + ", 'a'" * 9_998 + ") startswith aaaa", {"proc.name": "a"})
