"""Conditions as SQL: the shape of the text, parameters, absence, refusals."""

import pytest

from tiercel.rules import sql
from tiercel.rules.parse import ConditionError, parse
from tiercel.schemas import tables


def compiled(condition: str) -> sql.Sql:
    return sql.compile(parse(condition))


def test_constants_are_parameters() -> None:
    query = compiled('fd.name = "/etc/x\'; DROP TABLE events --" and evt.arg.flags contains O_CREAT')
    assert "DROP" not in query.text
    assert "O_CREAT" not in query.text
    assert list(query.parameters.values()) == ["/etc/x'; DROP TABLE events --", "O_CREAT"]


def test_absence_is_false_before_not_sees_it() -> None:
    assert compiled("not fd.name = a").text == "(NOT ifNull((fd_name = {p0:String}), 0))"
    assert compiled("fd.name != a").text == "ifNull((fd_name != {p0:String}), 0)"
    assert compiled("proc.name = a").text == "(process != 0 AND ifNull((proc_name = {p0:String}), 0))"


def test_what_only_the_process_knows_is_asked_of_processes() -> None:
    text = compiled("proc.aname[2] = sshd").text
    assert "SELECT host_id, boot_id, id FROM processes" in text
    assert "length(ancestor_names) < 2" in text


def test_bytes_that_are_no_text() -> None:
    query = compiled(r'fd.name = "\xff"')
    assert query.parameters == {"p0": "ff"}
    assert "unhex({p0:String})" in query.text


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("proc.env[PATH] = x", "proc.env[PATH] has no SQL form: it never leaves the host"),
        ("evt.rawarg.flags = 1", "evt.rawarg.flags has no SQL form"),
        ("container.duration > 1", "container.duration has no SQL form: it compares the event with its process"),
        ("container.mount.dest[/a*] = x", "container.mount.dest[/a*] has no SQL form: it finds a mount by a glob"),
        ("k8s.rc.name = x", "k8s.rc.name has no SQL form: it is deprecated and never has a value"),
        ("b64(proc.name) = x", "b64(proc.name) has no SQL form"),
        ("fd.name = val(proc.cwd)", "have no SQL form together"),
        ("spawned_process", "there is no macro of that name"),
        ("fd.nam = x", "unknown field fd.nam"),
        ("evt.arg.nothing = x", "no event has an argument 'nothing'"),
        ("proc.pid = 0x10", "is not a valid number"),
    ],
)
def test_refusals_name_the_field_and_the_reason(condition: str, message: str) -> None:
    with pytest.raises(ConditionError) as raised:
        compiled(condition)
    assert message in str(raised.value)


@pytest.mark.parametrize("field", list(tables.fields()))
def test_every_field_compiles_or_is_refused(field: str) -> None:
    row = tables.fields()[field]
    syntax = {".eventname or .code": ".open", ".name": ".res", ".subsys": ".cpu", "[ns]": "[7]"}
    argument = syntax.get(row.arg_syntax or "", "[0]") if row.arg == "required" else ""
    try:
        assert compiled(f"{field}{argument} exists").text
    except ConditionError as error:
        assert field in str(error)
