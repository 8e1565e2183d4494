"""The language, chapter 2: which operators a type knows, and what they say."""
# ruff: noqa: E501 - the tables of cases read best with few lines

from __future__ import annotations

import pytest

from tests.rules.language import holds, refused
from tiercel.rules.fields import event_codes
from tiercel.schemas import tables

NUMBERS = {"int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "reltime", "abstime", "port", "pid",
           "fd", "double", "flags8", "flags16", "flags32", "enumflags8", "enumflags16", "enumflags32", "syscallid",
           "sigtype", "errno", "uid", "gid", "mode", "l4proto", "sockfamily", "pid32", "fd32"}  # fmt: skip
EQUAL = "= == != in intersects exists"
ACCEPTED = {
    **dict.fromkeys(NUMBERS, f"{EQUAL} < <= > >="),
    "bool": EQUAL,
    **dict.fromkeys(
        ("charbuf", "fspath", "fsrelpath"),
        f"{EQUAL} < <= > >= contains icontains startswith endswith glob iglob regex pmatch",
    ),
    "bytebuf": f"{EQUAL} contains startswith endswith bcontains bstartswith",
    **dict.fromkeys(("ipv4addr", "ipv6addr", "ipaddr", "ipv4net", "ipv6net", "ipnet"), EQUAL),
    "list": "in intersects exists",
}
OPERATORS = {
    "=", "==", "!=", "<", "<=", ">", ">=", "contains", "icontains", "startswith", "endswith", "glob", "iglob", "regex",
    "bcontains", "bstartswith", "in", "intersects", "pmatch", "exists",
}  # fmt: skip
ARGUMENTS = {
    "[n]": "[1]", "[NAME]": "[HOME]", "[index] or .name": "[0]", "[index] or [key]": "[0]", ".subsys": ".cpu",
    "[fd]": "[0]", "[n] or [NAME]": "[HOME]", "[ns]": "[1767323045000000000]", ".src or .dst": ".dst",
    ".eventname or .code": ".openat",
}  # fmt: skip
# Fields with rules of their own, further down.
OWN = {"evt.around", "evt.rawarg", "fd.cip.name", "fd.sip.name", "fd.lip.name", "fd.rip.name"}


def constant(field: tables.Field, operator: str) -> str:
    if operator in ("bcontains", "bstartswith"):
        return "41"
    if operator[0] in "<>":
        return "1"
    if field.name in ("evt.type", "syscall.type"):
        return "openat"
    if field.type in NUMBERS:
        return "1"
    return {"bool": "true", "ipv4addr": "1.2.3.4", "ipv6addr": "::1", "ipaddr": "1.2.3.4", "ipv4net": "1.2.3.0/24",
            "ipv6net": "fe80::/16", "ipnet": "1.2.3.0/24"}.get(field.type, "a")  # fmt: skip


@pytest.mark.parametrize("field", [f for f in tables.fields().values() if f.name not in OWN], ids=lambda f: f.name)
def test_each_field_accepts_the_operators_of_its_type(field: tables.Field) -> None:
    name = field.name + ARGUMENTS.get(field.arg_syntax or "", "")
    accepted = set(ACCEPTED["list" if field.list else field.type].split())
    for operator in OPERATORS:
        value = constant(field, operator)
        right = "" if operator == "exists" else f"({value})" if operator in ("in", "intersects", "pmatch") else value
        reason = refused(f"{name} {operator} {right}")
        if operator in accepted:
            assert reason is None, (operator, reason)
        else:
            assert reason is not None, operator
            assert reason.startswith(f"'{operator.replace('==', '=')}' cannot compare {name} ("), reason


TEXT = "proc.name"
PATH = "fd.name"


@pytest.mark.parametrize(
    ("condition", "value", "wanted"),
    [
        # =, != and the order of bytes
        ("= cat", "cat", True), ("= cat", "Cat", False), ("= cat", "cat ", False), ("!= cat", "Cat", True),
        ("== cat", "cat", True), ("!= cat", "cat", False), ("= ''", "", True), ("= ''", "a", False), ("!= ''", "a", True),
        # substrings
        ("contains at", "cat", True), ("contains At", "cat", False), ("contains ''", "", True), ("contains cat", "ca", False),
        ("icontains aT", "cAt", True), ("icontains ä", "Ä", False), ("icontains xat", "cat", False),
        ("startswith ca", "cat", True), ("startswith Ca", "cat", False), ("startswith cats", "cat", False),
        ("endswith at", "cat", True), ("endswith AT", "cat", False), ("endswith scat", "cat", False),
        # fnmatch without flags
        ("glob c*", "cat", True), ("glob c?t", "cat", True), ("glob c?t", "ct", False), ("glob [a-d]at", "cat", True),
        ("glob [!a-d]at", "cat", False), ("glob C*", "cat", False), ("glob cat", "cats", False), ("glob *", "", True),
        ("glob /etc/*", "/etc/ssh/key", True), ("glob *", ".hidden", True), ("glob 'a\\*b'", "a*b", None),
        ("glob [[:digit:]]*", "1x", True), ("glob [[:digit:]]*", "x1", False),
        ("iglob C?T", "cat", True), ("iglob [A-D]AT", "cat", True), ("iglob x*", "cat", False),
        # the whole value
        ("regex c.t", "cat", True), ("regex c.t", "cats", False), ("regex c.t", "a cat", False), ("regex c|cat", "cat", True),
        ("regex c.*", "ca\nt", False), ("regex '(?s)c.*'", "ca\nt", True), ("regex ''", "", True), ("regex '(?i)CAT'", "cat", True),
        ("regex '[a-z]+'", "ab", True), ("regex '^cat$'", "cat", True), ("regex '\\\\w+'", "cat", True),
    ],
)  # fmt: skip
def test_texts(condition: str, value: str, wanted: bool | None) -> None:
    if wanted is None:  # a backslash and a star is no escape of quoted strings
        assert refused(f"{TEXT} {condition}") == "\\* is no escape in a '-quoted string"
        return
    assert holds(f"{TEXT} {condition}", {TEXT: value}) is wanted


@pytest.mark.parametrize(
    ("operator", "less", "equal", "more"),
    [("<", True, False, False), ("<=", True, True, False), (">", False, False, True), (">=", False, True, True),
     ("=", False, True, False), ("!=", True, False, True)],
)  # fmt: skip
def test_order(operator: str, less: bool, equal: bool, more: bool) -> None:
    for value, wanted in ((4, less), (5, equal), (6, more)):
        assert holds(f"fd.num {operator} 5", {"fd.num": value}) is wanted
    for value, wanted in ((-6, less), (-5, equal), (7, more)):
        assert holds(f"evt.rawres {operator} -5", {"evt.rawres": value}) is wanted
    if operator in ("=", "!="):
        return
    # Texts are ordered by bytes; the constant must look like a number.
    for text, wanted in (("49", less), ("5", equal), ("6", more), ("5x", more), ("a", more), ("", less)):
        assert holds(f"proc.name {operator} 5", {"proc.name": text}) is wanted


def test_a_number_may_be_a_text_for_operators_of_texts() -> None:
    assert holds("proc.name = 5", {"proc.name": "5"})
    assert holds("proc.name startswith 0x", {"proc.name": "0xff"})


@pytest.mark.parametrize(
    ("field", "right", "value", "wanted"),
    [
        ("proc.name", "(a, b)", "b", True), ("proc.name", "(a, b)", "B", False), ("proc.name", "(a, b)", "", False),
        ("proc.name", "('', b)", "", True), ("proc.name", "()", "a", False), ("proc.name", "('a b')", "a b", True),
        ("fd.num", "(1, -2)", -2, True), ("fd.num", "(1, 2)", 3, False), ("fd.num", "()", 3, False),
        ("evt.failed", "(true)", True, True), ("evt.failed", "(true)", False, False),
        ("evt.failed", "(true, false)", False, True),
        ("fd.sip", "(1.2.3.4, ::1)", "::1", True), ("fd.sip", "(1.2.3.4)", "1.2.3.5", False),
        ("fd.snet", "(1.2.3.0/24, fe80::/16)", "fe80::7", True), ("fd.snet", "(1.2.3.0/24)", "1.2.4.1", False),
        ("fd.sport", "(http, 22)", 80, True), ("fd.sport", "(http, 22)", 23, False),
    ],
)  # fmt: skip
@pytest.mark.parametrize("operator", ["in", "intersects"])
def test_sets_of_scalars(operator: str, field: str, right: str, value: object, wanted: bool) -> None:
    assert holds(f"{field} {operator} {right}", {field: value}) is wanted


@pytest.mark.parametrize(
    ("values", "right", "every", "some"),
    [
        (["a"], "(a, b)", True, True), (["a", "b"], "(a, b)", True, True), (["a", "c"], "(a, b)", False, True),
        (["c"], "(a, b)", False, False), (["a"], "()", False, False), ([], "(a)", True, False),
    ],
)  # fmt: skip
def test_sets_of_lists(values: list[str], right: str, every: bool, some: bool) -> None:
    """`in` asks for all elements, `intersects` for one."""
    assert holds(f"fd.types in {right}", {"fd.types": values}) is every
    assert holds(f"fd.types intersects {right}", {"fd.types": values}) is some
    assert holds("fd.types exists", {"fd.types": values})


@pytest.mark.parametrize(
    ("right", "value", "wanted"),
    [
        ("(/etc)", "/etc", True), ("(/etc)", "/etc/shadow", True), ("(/etc)", "/etcetera", False), ("(/etc)", "/", False),
        ("(/etc/)", "/etc/x", True), ("(etc)", "/etc/x", True), ("(/etc)", "etc/x", True), ("(/etc)", "/etc//ssh/key", True),
        ("(//etc///ssh)", "/etc/ssh/key", True), ("(/etc/ssh)", "/etc", False), ("(/)", "/any", True), ("(/)", "", True),
        ("(/home/*/.ssh)", "/home/me/.ssh/id", True), ("(/home/*/.ssh)", "/home/a/b/.ssh/id", False),
        ("(/usr/l?b)", "/usr/lib/x", True), ("(/usr/[a-c]*)", "/usr/bin", True), ("(/usr/[a-c]*)", "/usr/lib", False),
        ("(/a/b, /a)", "/a/c", True), ("(/a/b, /c)", "/a/c", False), ("()", "/a", False), ("(/a/b/../c)", "/a/c", False),
    ],
)  # fmt: skip
def test_pmatch(right: str, value: str, wanted: bool) -> None:
    assert holds(f"{PATH} pmatch {right}", {PATH: value}) is wanted


@pytest.mark.parametrize(
    ("condition", "value", "wanted"),
    [
        ("contains 'b'", "abc", True), ("startswith ab", "abc", True), ("endswith bc", "abc", True), ("= abc", "abc", True),
        ("!= abc", "abd", True), ("in (abc)", "abc", True), ("bcontains 6263", "abc", True), ("bcontains 6364", "abc", False),
        ("bstartswith 6162", "abc", True), ("bstartswith 62", "abc", False), ("bcontains 0A", "a\nc", True),
        ("bstartswith DEad", "abc", False),
    ],
)  # fmt: skip
def test_buffers(condition: str, value: str, wanted: bool) -> None:
    assert holds(f"evt.buffer {condition}", {"evt.buffer": value}) is wanted


@pytest.mark.parametrize(
    ("test", "value", "anyof", "allof", "oneof"),
    [
        ("startswith {} (a, ab)", "abc", True, True, False), ("startswith {} (a, b)", "abc", True, False, True),
        ("startswith {} (x, y)", "abc", False, False, False), ("contains {} ()", "abc", False, False, False),
        ("= {} (abc, b)", "abc", True, False, True), ("!= {} (abc, b)", "abc", True, False, True),
        ("!= {} (a, b)", "abc", True, True, False), ("endswith {} (c, bc, abc)", "abc", True, True, False),
        ("icontains {} (B, X)", "abc", True, False, True), ("glob {} (a*, *c)", "abc", True, True, False),
        ("iglob {} (A*, x)", "abc", True, False, True), ("regex {} ('a.c', 'x')", "abc", True, False, True),
        ("contains {} (a, a)", "abc", True, True, False),
    ],
)  # fmt: skip
def test_modifiers(test: str, value: str, anyof: bool, allof: bool, oneof: bool) -> None:
    for modifier, wanted in (("anyof", anyof), ("allof", allof), ("oneof", oneof)):
        assert holds(f"proc.name {test.format(modifier)}", {"proc.name": value}) is wanted, modifier


def test_modifiers_of_other_types() -> None:
    assert holds("fd.num = anyof (1, 2)", {"fd.num": 2})
    assert holds("fd.num != allof (1, 2)", {"fd.num": 3})
    assert holds("evt.buffer bcontains allof (61, 62)", {"evt.buffer": "ab"})
    assert holds("fd.snet = oneof (10.0.0.0/8, 10.1.0.0/16)", {"fd.snet": "10.2.0.1"})
    assert not holds("fd.snet = oneof (10.0.0.0/8, 10.1.0.0/16)", {"fd.snet": "10.1.0.1"})
    assert holds("evt.type = anyof (openat, close)")
    assert refused("fd.types = anyof (file)") is not None


def test_exists_asks_whether_there_is_a_value() -> None:
    assert holds("proc.name exists", {"proc.name": ""})
    assert not holds("proc.name exists")
    for field in ("fd.ip", "fd.port", "fd.net", "fd.proto", "fd.cip.name", "fd.sip.name", "fd.lip.name", "fd.rip.name"):
        assert holds(f"{field} exists", {"fd.type": "file"}), field
        assert not holds(f"{field} exists"), field


def test_event_types_are_those_of_the_tables() -> None:
    for name in event_codes():
        assert refused(f"evt.type = {name}") is None
    assert refused("evt.type in (openat, opneat)") == "unknown event type opneat; did you mean openat?"
    assert refused("evt.type contains opneat") is None
