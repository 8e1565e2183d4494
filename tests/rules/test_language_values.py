"""The language, chapter 3: constants, absence, transformers, fields to the right, and fields with rules of their own."""
# ruff: noqa: E501 - the tables of cases read best with few lines

from __future__ import annotations

from typing import Any

import pytest

from tests.rules.language import holds, refused, warned

# Constants


@pytest.mark.parametrize(
    ("condition", "reason"),
    [
        ("fd.num = 0x10", "'0x10' is not a valid number"),
        ("fd.num < 0x10", "'0x10' is not a valid number"),
        ("fd.num = 1.5", "'1.5' is not a valid number"),
        ("fd.num = ''", "'' is not a valid number"),
        ("fd.num in (1, x)", "'x' is not a valid number"),
        ("proc.pid = 99999999999999999999", "'99999999999999999999' is too large a number"),
        ("evt.failed = True", "'True' must be true or false"),
        ("evt.failed = 1", "'1' must be true or false"),
        ("fd.sport = nosuchservice", "'nosuchservice' is neither a port nor a service that /etc/services knows"),
        ("fd.sip = 1.2.3", "'1.2.3' is no IP address"),
        ("fd.sip = 1.2.3.4.5", "'1.2.3.4.5' is no IP address"),
        ("fd.sip = host", "'host' is no IP address"),
        ("fd.sip = 1.2.3.4/8", "'1.2.3.4/8' is no IP address"),
        ("fd.snet = 1.2.3.4", "'1.2.3.4' is no network; write address/bits"),
        ("fd.snet = 1.2.3.4/33", "'1.2.3.4/33' is no network; write address/bits"),
        ("fd.snet = fe80::/129", "'fe80::/129' is no network; write address/bits"),
        ("fd.snet = 1.2.3.4/255.0.0.0", "'1.2.3.4/255.0.0.0' is no network; write address/bits"),
        ("proc.name = " + "a" * 256, "a value cannot be longer than 255 bytes"),
        ("proc.name = '" + "ä" * 128 + "'", "a value cannot be longer than 255 bytes"),
        ("proc.name in (a, " + "b" * 256 + ")", "a value cannot be longer than 255 bytes"),
        ("proc.name = 'a\\x00b'", "a value cannot hold a NUL byte"),
        ("evt.buffer bcontains abc", "'abc' must be hex digits, two a byte"),
        ("evt.buffer bcontains ''", "'' must be hex digits, two a byte"),
        ("proc.name regex '('", "the regular expression '(' is wrong: "),
        ("proc.name regex '(?<=a)b'", "the regular expression '(?<=a)b' is wrong: "),
        ("proc.name regex '(a)\\\\1'", "the regular expression '(a)\\1' is wrong: "),
        ("evt.type = opneat", "unknown event type opneat; did you mean openat?"),
        ("syscall.type in (opneat)", "unknown event type opneat; did you mean openat?"),
    ],
)  # fmt: skip
def test_constants_that_are_refused(condition: str, reason: str) -> None:
    found = refused(condition)
    assert found is not None
    assert found.startswith(reason)


@pytest.mark.parametrize(
    ("condition", "field", "value"),
    [
        ("fd.num = -1", "fd.num", -1), ("fd.num = +7", "fd.num", 7), ("fd.num = 007", "fd.num", 7),
        ("proc.tty = -1", "proc.tty", 2**32 - 1), ("evt.failed = true", "evt.failed", True),
        ("fd.sport = ssh", "fd.sport", 22), ("fd.sport = ''", "fd.sport", 0), ("fd.sport = 443", "fd.sport", 443),
        ("fd.sip = 1.2.3.4", "fd.sip", "1.2.3.4"), ("fd.sip = ::1", "fd.sip", "::1"), ("fd.sip = 0:0::1", "fd.sip", "::1"),
        ("fd.snet = 10.0.0.0/8", "fd.snet", "10.9.8.7"), ("fd.snet = 10.9.8.7/8", "fd.snet", "10.1.1.1"),
        ("fd.snet = 0.0.0.0/0", "fd.snet", "8.8.8.8"), ("fd.snet = fe80::/10", "fd.snet", "fe80::1"),
        ("proc.name = '" + "a" * 255 + "'", "proc.name", "a" * 255), ("proc.name = 'ü'", "proc.name", "ü"),
        ("proc.name = '\\xc3\\xbc'", "proc.name", "ü"), ("proc.name regex '\\\\d+'", "proc.name", "42"),
    ],
)  # fmt: skip
def test_constants(condition: str, field: str, value: object) -> None:
    assert holds(condition, {field: value})
    assert not holds(condition, {field: None})


def test_another_family_is_another_address() -> None:
    assert holds("fd.sip != 1.2.3.4", {"fd.sip": "::1"})
    assert not holds("fd.sip = 1.2.3.4", {"fd.sip": "::1"})
    assert holds("fd.snet != 0.0.0.0/0", {"fd.snet": "::1"})
    assert not holds("fd.snet = 0.0.0.0/0", {"fd.snet": "::1"})


def test_doubles_are_compared_with_decimals() -> None:
    assert holds("thread.cpu > 1.5 and thread.cpu < 3", {"thread.cpu": 2})
    assert refused("thread.cpu = 1,5") is not None


# Absence


@pytest.mark.parametrize(
    "comparison",
    [
        "proc.name = a", "proc.name != a", "proc.name = ''", "proc.name contains ''", "proc.name startswith ''",
        "proc.name endswith ''", "proc.name glob *", "proc.name iglob *", "proc.name regex .*", "proc.name in (a, '')",
        "proc.name in ()", "proc.name intersects (a)", "proc.name pmatch (/)", "proc.name < 5", "proc.name >= 5",
        "proc.name exists", "fd.num < 5", "fd.num != 5", "fd.num > -5", "evt.failed != true", "fd.sip != 1.2.3.4",
        "fd.snet != 1.0.0.0/8", "evt.buffer bcontains 00", "evt.buffer != x", "proc.name = val(proc.pname)",
        "proc.name != val(proc.pname)", "fd.types in (a)", "fd.types intersects (a)", "proc.name != anyof (a, b)",
        "tolower(proc.name) != a", "len(proc.name) >= 0", "concat(proc.name, proc.pname) != a",
        "proc.aname = a", "proc.aname != a", "proc.aname[2] != a", "fd.port != 1", "fd.ip != 1.2.3.4",
    ],
)  # fmt: skip
def test_what_is_not_there_satisfies_nothing_and_not_all(comparison: str) -> None:
    assert not holds(comparison)
    assert holds(f"not {comparison}")
    assert holds(f"not ({comparison} and {comparison})")


def test_unequal_and_not_equal_differ_where_there_is_nothing() -> None:
    assert [holds("proc.name != a", each) for each in ({}, {"proc.name": "a"}, {"proc.name": "b"})] == [
        False,
        False,
        True,
    ]
    assert [holds("not proc.name = a", each) for each in ({}, {"proc.name": "a"}, {"proc.name": "b"})] == [
        True,
        False,
        True,
    ]


def test_the_text_na_is_a_value() -> None:
    assert holds("user.name = <NA>", {"user.name": "<NA>"})
    assert holds("user.name exists", {"user.name": "<NA>"})
    assert holds("user.name != root", {"user.name": "<NA>"})


# Transformers


@pytest.mark.parametrize(
    ("condition", "value", "wanted"),
    [
        ("tolower({}) = cat", "CaT", True), ("toupper({}) = CAT", "CaT", True), ("tolower({}) = ÄB", "ÄB", False),
        ("tolower({}) = Äb", "ÄB", True), ("basename({}) = c", "/a/b/c", True), ("basename({}) = ''", "/a/b/", True),
        ("basename({}) = abc", "abc", True), ("b64({}) = hello", "aGVsbG8=", True), ("b64({}) = hello", "aGVsbG8", True),
        ("b64({}) exists", "not base64!", False), ("b64({}) exists", "a", False), ("b64({}) = ''", "", True),
        ("len({}) = 3", "abc", True), ("len({}) > 3", "äb", False), ("len({}) = 3", "äb", True), ("len({}) = 0", "", True),
        ("tolower(basename({})) = c", "/a/b/C", True), ("toupper(tolower({})) = CAT", "cAt", True),
        ("tolower({}) startswith /a", "/A/b", True), ("tolower({}) in (a, b)", "B", True),
        ("tolower({}) regex '[a-z]+'", "ABC", True), ("tolower({}) contains anyof (x, b)", "ABC", True),
        ("concat({}, '-', {}) = a-a", "a", True), ("join('-', ({}, x, 7)) = a-x-7", "a", None),
        ("join('-', ({}, 'x', 7)) = a-x-7", "a", True), ("join('', ({})) = a", "a", True),
        ("len(concat({}, 'xy')) = 3", "a", True),
    ],
)  # fmt: skip
def test_transformers(condition: str, value: str, wanted: bool | None) -> None:
    text = condition.replace("{}", "fd.name" if "base" in condition and "b64" not in condition else "proc.name")
    field = "fd.name" if "fd.name" in text else "proc.name"
    if wanted is None:
        assert refused(text) is not None
        return
    assert holds(text, {field: value}) is wanted
    assert not holds(text)


@pytest.mark.parametrize(
    ("condition", "reason"),
    [
        ("tolower(fd.num) = 1", "tolower() cannot transform a value of type int64"),
        ("basename(fd.sip) = a", "basename() cannot transform a value of type"),
        ("b64(fd.num) exists", "b64() cannot transform a value of type int64"),
        ("len(fd.num) = 1", "len() cannot transform a value of type int64"),
        ("tolower(proc.name, proc.pname) = a", "tolower() takes one argument"),
        ("concat(proc.name) = a", "concat() takes two or more texts"),
        ("concat(proc.name, fd.num) = a", "concat() takes two or more texts"),
        ("join(proc.name) = a", "join() takes a separator and a list"),
        ("join(',', proc.name) = a", "join() takes a separator and a list"),
        ("tolower(proc.name)[a] = b", "tolower() takes no [argument]"),
        ("tolower(fd.ip) = a", "tolower() cannot transform fd.ip"),
        ("getopt(proc.args, proc.name) in (a)", "getopt() takes a list of arguments and the options as text"),
        ("getopt(fd.types, 'a:')[ab] = b", "getopt() takes one letter in [ ]"),
        ("tolower(evt.type) = openat", "evt.type and syscall.type cannot be transformed"),
        ("evt.type = val(syscall.type)", "evt.type can only be compared with names of events"),
        ("len(proc.name) contains 1", "'contains' cannot compare len(proc.name) (uint64)"),
    ],
)  # fmt: skip
def test_transformers_that_are_refused(condition: str, reason: str) -> None:
    found = refused(condition)
    assert found is not None
    assert found.startswith(reason)


@pytest.mark.parametrize(
    ("call", "right", "wanted"),
    [
        ("getopt({}, 'rnt:')", "intersects (r)", True), ("getopt({}, 'rnt:')", "intersects (z)", False),
        ("getopt({}, 'rnt:')", "in (r, n, t, ?)", True), ("getopt({}, 'rn')", "intersects (?)", True),
        ("getopt({}, 'rnt:')[t]", "= last", True), ("getopt({}, 'rnt:')[t]", "= x", False),
        ("getopt({}, 'rnt:')[r]", "= ''", True), ("getopt({}, 'rnt:z')[z]", "exists", False),
        ("getopt({}, 'rnt:q')[q]", "exists", False), ("len(getopt({}, 'rnt:'))", "= 5", True),
    ],
)  # fmt: skip
def test_getopt(call: str, right: str, wanted: bool) -> None:
    """Options of `-rn -t x --long -tlast -y file -q`: what is behind the first other argument is none."""
    arguments = "('-rn', '-t', 'x', '--long', '-tlast', '-y', 'file', '-q')"
    assert holds(f"{call.format(arguments)} {right}") is wanted


def test_getopt_stops_at_what_is_no_option() -> None:
    for arguments in ("('--', '-r')", "('file', '-r')", "('-', '-r')"):
        assert not holds(f"getopt({arguments}, 'r') intersects (r)")


# Fields to the right


@pytest.mark.parametrize(
    ("condition", "fields", "wanted"),
    [
        ("proc.name = val(proc.pname)", {"proc.name": "a", "proc.pname": "a"}, True),
        ("proc.name = val(proc.pname)", {"proc.name": "a", "proc.pname": "b"}, False),
        ("proc.name = val(proc.pname)", {"proc.name": "a"}, False),
        ("proc.name != val(proc.pname)", {"proc.name": "a"}, False),
        ("proc.name != val(proc.pname)", {"proc.name": "a", "proc.pname": "b"}, True),
        ("proc.name startswith val(proc.pname)", {"proc.name": "bash", "proc.pname": "ba"}, True),
        ("proc.name contains val(proc.pname)", {"proc.name": "bash", "proc.pname": "as"}, True),
        ("proc.name glob val(proc.pname)", {"proc.name": "bash", "proc.pname": "b*"}, True),
        ("proc.pid < val(proc.ppid)", {"proc.pid": 5, "proc.ppid": 7}, True),
        ("proc.pid = val(proc.vpid)", {"proc.pid": 5, "proc.vpid": 5}, True),
        ("tolower(proc.name) = tolower(proc.pname)", {"proc.name": "A", "proc.pname": "a"}, True),
        ("proc.name = tolower(proc.pname)", {"proc.name": "a", "proc.pname": "A"}, True),
        ("len(proc.name) > len(proc.pname)", {"proc.name": "ab", "proc.pname": "a"}, True),
        ("fd.sport = val(fd.cport)", {"fd.sport": 80, "fd.cport": 80}, True),
        ("proc.name in getopt((proc.pname, '-b'), 'ab')", {"proc.name": "a", "proc.pname": "-a"}, True),
        ("proc.name in getopt((proc.pname, '-b'), 'ab')", {"proc.name": "x", "proc.pname": "-a"}, False),
    ],
)  # fmt: skip
def test_fields_to_the_right(condition: str, fields: dict[str, Any], wanted: bool) -> None:
    assert holds(condition, fields) is wanted


@pytest.mark.parametrize(
    ("condition", "reason"),
    [
        ("proc.name = val(proc.pid)", "proc.name is of type charbuf, val(proc.pid) of type"),
        ("proc.name = getopt(('-a'), 'a')", "proc.name is of type charbuf, getopt((-a),a) of type list of charbuf"),
        ("proc.name in val(fd.types)", "fd.types cannot be compared with a field"),
        ("proc.name pmatch val(proc.pname)", "'pmatch' cannot compare proc.name with a field"),
        ("proc.name regex val(proc.pname)", "'regex' cannot compare proc.name with a field"),
        ("fd.snet = val(fd.cnet)", "'=' cannot compare fd.snet with a field"),
        ("fd.ip = val(fd.sip)", "fd.ip cannot be compared with a field"),
        ("fd.name = val(fd.nmae)", "unknown field fd.nmae; did you mean fd.name?"),
    ],
)
def test_fields_to_the_right_that_are_refused(condition: str, reason: str) -> None:
    found = refused(condition)
    assert found is not None
    assert found.startswith(reason)


def test_a_bare_field_to_the_right_is_a_text_and_odd() -> None:
    for right in ("proc.pname", "'proc.pname'", "(a, proc.pname)"):
        operator = "in" if right[0] == "(" else "="
        assert warned(f"proc.name {operator} {right}") == {"LOAD_COMPILE_CONDITION"}
    assert holds("proc.name = proc.pname", {"proc.name": "proc.pname", "proc.pname": "x"})
    assert warned("proc.name = 'tolower(proc.pname)'") == {"LOAD_COMPILE_CONDITION"}
    assert warned("proc.name = val(proc.pname)") == set()
    assert warned("proc.name = proc.nosuch") == set()


def test_a_needless_regex_is_odd() -> None:
    for pattern in ("abc", "abc.*", ".*abc", "'.*a/b.*'"):
        assert warned(f"proc.name regex {pattern}") == {"LOAD_COMPILE_CONDITION"}
    assert warned("proc.name regex 'a[bc]'") == set()


# Fields with rules of their own


@pytest.mark.parametrize(
    ("condition", "wanted"),
    [
        ("fd.ip = 10.0.0.1", True), ("fd.ip = 10.0.0.2", True), ("fd.ip = 10.0.0.3", False),
        ("fd.ip != 10.0.0.1", False), ("fd.ip != 10.0.0.3", True), ("fd.ip in (10.0.0.2, 9.9.9.9)", True),
        ("fd.ip in (9.9.9.9)", False), ("fd.ip intersects (10.0.0.1)", True),
    ],
)  # fmt: skip
def test_addresses_of_both_ends(condition: str, wanted: bool) -> None:
    assert holds(condition, {"fd.ip": ["10.0.0.1", "10.0.0.2"]}) is wanted


@pytest.mark.parametrize(
    ("condition", "wanted"),
    [
        ("fd.net = 10.0.0.0/8", True), ("fd.net = 192.168.0.0/16", True), ("fd.net != 10.0.0.0/8", False),
        ("fd.net != 11.0.0.0/8", True), ("fd.net in (11.0.0.0/8, 192.168.0.0/16)", True), ("fd.net in (11.0.0.0/8)", False),
    ],
)  # fmt: skip
def test_networks_of_both_ends(condition: str, wanted: bool) -> None:
    """All networks of a set count, not only the first."""
    assert holds(condition, {"fd.net": ["10.1.2.3", "192.168.1.1"]}) is wanted


@pytest.mark.parametrize("name", ["proc.aname", "proc.aexe", "proc.aexepath", "proc.acmdline"])
def test_any_ancestor(name: str) -> None:
    fields = {name: ["sh", "sshd", "systemd"]}
    assert holds(f"{name} = sshd", fields)
    assert not holds(f"{name} = cat", fields)
    assert holds(f"{name} in (x, systemd)", fields)
    assert holds(f"{name} startswith sys", fields)
    assert holds(f"{name}[2] = a", {f"{name}[2]": "a", name: ["x"]})


def test_numbers_of_ancestors_are_found_in_sets() -> None:
    assert holds("proc.apid in (7, 1)", {"proc.apid": [5, 1]})
    assert not holds("proc.apid in (7)", {"proc.apid": [5, 1]})
    assert holds("evt.rawarg.res in (3, 4)", {"evt.rawarg.res": 4})


@pytest.mark.parametrize(
    ("condition", "reason"),
    [
        ("proc.nmae = a", "unknown field proc.nmae; did you mean proc.name?"),
        ("proc.name.x = a", "unknown field proc.name.x"),
        ("proc.name[0] = a", "proc.name[0]: it takes no argument"),
        ("evt.arg = a", "evt.arg needs an argument: evt.arg[index] or .name"),
        ("evt.arg.nosuch = a", "evt.arg: no event has an argument 'nosuch'"),
        ("evt.arg[01] = a", "evt.arg[01]: '01' is not a valid number"),
        ("proc.aname[x] = a", "proc.aname[x]: 'x' is not a valid number"),
        ("proc.aname[-1] = a", "proc.aname[-1]: '-1' is not a valid number"),
        ("ka.verb = create", "ka.verb needs a source Tiercel does not have: the audit log of Kubernetes"),
        ("evt.rawarg.uid = 0", None),
    ],
)  # fmt: skip
def test_look_up_of_fields(condition: str, reason: str | None) -> None:
    found = refused(condition)
    assert found is None if reason is None else found is not None and found.startswith(reason)


def test_the_longest_name_wins() -> None:
    assert holds("fd.name_changed = true", {"fd.name_changed": True})
    assert holds("evt.arg.flags contains O_CREAT", {"evt.arg.flags": "O_CREAT|O_WRONLY"})
    assert holds("evt.arg[0] = x", {"evt.arg[0]": "x"})


def test_names_of_hosts_are_resolved_when_rules_are_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tiercel.rules.plan.socket.getaddrinfo", lambda *_: [(0, 0, 0, "", ("10.0.0.7", 0))])
    assert holds("fd.sip.name = web", {"fd.sip": "10.0.0.7"})
    assert holds("fd.sip.name in (web)", {"fd.sip": "10.0.0.7"})
    assert holds("fd.sip.name != web", {"fd.sip": "10.0.0.8"})
    assert not holds("fd.sip.name != web")


def test_names_that_no_host_can_have_are_nobody() -> None:
    assert not holds("fd.sip.name = '" + "a" * 200 + "'", {"fd.sip": "10.0.0.7"})
    assert not holds("fd.sip.name = a..b", {"fd.sip": "10.0.0.7"})
