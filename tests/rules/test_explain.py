"""What explanations say: the clauses are the engine's own, and history says of an event what its recording says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tiercel import _engine, store
from tiercel._engine import Batch, Host
from tiercel.commands.capture import _stored
from tiercel.errors import StoreError, TiercelError
from tiercel.hunt.query import History
from tiercel.hunt.remote import Remote
from tiercel.local import bundled_capture
from tiercel.recording import Capture
from tiercel.rules.compile import CompiledRule
from tiercel.rules.explain import render
from tiercel.rules.explain.clauses import ABOUT, AND, NOT, OR, Clause
from tiercel.rules.explain.judge import Judge, Verdict
from tiercel.rules.load import Loader, library, load
from tiercel.serve.app import application
from tiercel.serve.server import Server

RULES = """
- list: shells
  items: [sh, bash]
- macro: shell
  condition: proc.name in (shells)
- macro: any_shell
  condition: shell
- macro: opened
  condition: evt.type = openat and fd.num >= 0
- rule: R
  desc: d
  condition: opened and (fd.name = /etc/shadow or fd.name startswith val(proc.cwd)) and any_shell
  exceptions:
  - {name: none, fields: proc.pname}
  - {name: mine, fields: [proc.pname, fd.name], comps: [=, startswith], values: [[sshd, /etc/]]}
  output: o
  priority: Notice
"""


def rule(text: str = RULES) -> CompiledRule:
    loader = Loader()
    loader.read_text("r.yaml", text)
    return loader.finish().check().rules[0]


def verdict(**fields: Any) -> Verdict:
    given = {key.replace("_", "."): value for key, value in fields.items()}
    row = {"id": "h/b/1", "type": "openat", "rules": ["R"], "fields": given, "unknown": {}}
    return Judge(rule()).of_row(row)


def recording() -> Iterator[tuple[Host, Batch, str]]:
    host, capture = Host(), Capture(bundled_capture())
    for batch in capture:
        yield host, batch, capture.hostname


def test_macros_and_exceptions_are_named() -> None:
    judge = Judge(rule())
    named = {clause.macros: clause.text() for clause in judge.root.walk() if clause.macros}
    assert named == {
        ("opened",): "evt.type = openat and fd.num >= 0",
        ("any_shell", "shell"): "proc.name in (sh, bash)",
    }
    exceptions = [(clause.exception, clause.text()) for clause in judge.root.walk() if clause.exception]
    assert exceptions == [("mine", "not (proc.pname = sshd and fd.name startswith /etc/)")]
    assert rule().lists == ("shells",)


def test_the_first_false_clause_and_its_value() -> None:
    said = verdict(fd_num=3, fd_name="/etc/shadow", proc_name="cat")
    lines = list(render.text(said))
    assert lines[1] == "first false: any_shell: shell: proc.name in (sh, bash) — is cat"
    assert "when it happened, a rule of this name matched" in lines
    assert "✗ any_shell: shell: proc.name in (sh, bash) — is cat   ← first false" in lines


def test_of_alternatives_the_one_that_came_furthest() -> None:
    text = RULES.replace("(fd.name = /etc/shadow or", "(fd.name = /etc/shadow or (fd.num = 3 and fd.name = /x) or")
    row = {"type": "openat", "rules": [], "fields": {"fd.num": 3, "fd.name": "/y"}, "unknown": {}, "id": "h/b/1"}
    said = Judge(rule(text)).of_row(row)
    first = said.first_false()
    assert first is not None
    assert first.text() == "fd.name = /etc/shadow"


def test_an_exception_says_what_made_it_hold() -> None:
    said = verdict(fd_num=3, fd_name="/etc/shadow", proc_name="sh", proc_pname="sshd")
    first = said.first_false()
    assert first is not None
    reason = render.reason(said, first)
    assert reason == "exception mine: not (proc.pname = sshd — is sshd and fd.name startswith /etc/ — is /etc/shadow)"


def test_absent_values_and_both_sides_of_val() -> None:
    said = verdict(fd_num=3, fd_name="/w/x", proc_cwd="/w/", proc_name="sh")
    lines = list(render.text(said))
    assert said.matched
    assert "  ✓ fd.name startswith val(proc.cwd) — is /w/x, val(proc.cwd) is /w/" in lines
    assert "  ✗ proc.pname = sshd — is absent" in lines
    tree = render.as_json(said)
    assert tree["first_false"] is None
    assert tree["condition"]["children"][-1]["exception"] == "mine"


def test_what_the_store_lacks_is_said() -> None:
    row = {"id": "h/b/1", "type": "openat", "rules": [], "fields": {"fd.num": 3}, "unknown": {"fd.name": "is away"}}
    lines = list(render.text(Judge(rule()).of_row(row)))
    assert "taken as absent: fd.name, which is away" in lines
    assert "  ✗ fd.name = /etc/shadow — is not known: fd.name is not in the store   ← first false" in lines


def expected(said: Verdict, clause: Clause) -> bool:
    """What a clause of others must be."""
    below = [said.holds(child) for child in clause.children]
    return {AND: all(below), OR: any(below), NOT: not all(below)}[clause.kind]


@pytest.mark.parametrize("found", load(library()).rules, ids=lambda found: found.name)
def test_clauses_agree_with_each_other_and_with_the_rule(found: CompiledRule) -> None:
    judge = Judge(found)
    matched, best = judge.survey(recording)
    host, capture = Host(), Capture(bundled_capture())
    alone = load(library())
    alone.rules = [found]
    rules = _engine.RuleSet(alone.plan(matching="all"))
    rows = [row for batch in capture for row in host.field_rows(batch, ["evt.num"], rules)]
    assert matched == [row[0] for row in rows]
    for said in judge.on(recording, matched or [best or 1]):
        assert said.matched == bool(matched)
        for clause in said.root.walk():
            assert not clause.children or said.holds(clause) == expected(said, clause)


def test_history_says_what_the_recording_says(tmp_path: Path) -> None:
    rules = load(library()).rules
    dsn = f"chdb://{tmp_path / 'store'}"
    compiled = _engine.RuleSet(load(library()).plan())
    alerts = list(_stored(Capture(bundled_capture()), bundled_capture(), compiled, dsn))
    history = History(store.connect(dsn))
    key = f"{alerts[0]['host_id']}/{alerts[0]['boot_id']}"
    with pytest.raises(StoreError, match="holds no event"):
        history.event(f"{key}/99999999", [])
    with pytest.raises(StoreError, match="is no id"):
        history.event("nonsense", [])
    assert history.event(f"{key}/{alerts[0]['seq']}", ["proc.env"])["unknown"] == {"proc.env": "never leaves the host"}
    asked = (f"{key}/{alerts[0]['seq']}", ["proc.name", "proc.aname", "fd.ip", "container.name"])
    server = Server(application(history), tmp_path / "api.sock")
    try:
        remote = Remote(tmp_path / "api.sock")
        assert remote.event(*asked) == history.event(*asked)
        with pytest.raises(TiercelError, match="holds no event"):
            remote.event(f"{key}/99999999", [])
        with pytest.raises(TiercelError, match=r"unknown field proc\.nmae; did you mean"):
            remote.event(asked[0], ["proc.nmae"])
    finally:
        server.close()
    numbers = sorted({alert["seq"] for alert in alerts} | set(range(560, 600)))
    judges = {found.name: Judge(found) for found in rules}
    fields = sorted({name for judge in judges.values() for name in (*judge.root.fields(), *ABOUT)})
    rows = {number: history.event(f"{key}/{number}", fields) for number in numbers}
    compared = 0
    for name, judge in judges.items():
        for number, said in zip(numbers, judge.on(recording, numbers), strict=True):
            if rows[number]["unknown"].keys() & judge.root.fields():
                continue
            assert judge.of_row(rows[number]).holding == said.holding, (name, number, rows[number])
            compared += 1
    assert compared >= 36 * len(rules)


def test_what_a_process_calls_itself_is_printed_on_one_line_and_drives_no_terminal() -> None:
    about = {
        "id": 1,
        "evt.type": "open",
        "proc.name": "a\x1b]0;x\x07\nb",
        "proc.cmdline": "\x1b[2J",
        "fd.name": "/\x9b1m",
    }
    assert render.event(about).isprintable()
