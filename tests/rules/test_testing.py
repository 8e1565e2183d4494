"""Tests of rules: the form, the events they become, what a run says; and the example of docs/rule-tests.md."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

import pytest

from tiercel.errors import RuleError, TiercelError
from tiercel.local import bundled_capture
from tiercel.rules.load import load
from tiercel.rules.testing import junit
from tiercel.rules.testing.coverage import Coverage
from tiercel.rules.testing.run import Outcome, Runner
from tiercel.rules.testing.suite import find
from tiercel.schemas import tables

ROOT = Path(__file__).parents[2]
SHOW = """
rules:
- {{rule: R, desc: d, condition: {condition}, output: "{output}", priority: Notice}}
tests:
- name: t
  events:
{events}
  alerts: [R]
"""


def run(*paths: Path) -> list[Outcome]:
    return list(Runner().run(find(paths)))


def seen(tmp_path: Path, events: str, output: str, condition: str = "evt.type exists") -> str:
    """What an output shows of the last of these events."""
    path = tmp_path / "shown_test.yaml"
    indented = "\n".join(f"  {line}" for line in events.strip().splitlines())
    path.write_text(SHOW.format(events=indented, output=output, condition=condition))
    outcome = run(path)[0]
    assert outcome.alerts, outcome.failure
    return outcome.alerts[-1].message


def test_the_documented_example(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "rule-tests.md").read_text()
    for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL):
        path = tmp_path / block.splitlines()[0].removeprefix("# ")
        path.parent.mkdir(exist_ok=True)
        path.write_text(block)
    outcomes = run(tmp_path)
    assert [outcome.failure for outcome in outcomes] == [None] * 5
    assert load([tmp_path]).problems == []


@pytest.mark.parametrize(
    ("events", "output", "expected"),
    [
        ("- openat: {name: shadow, dirfd: /etc/}", "%fd.name %fd.num", "/etc/shadow 4"),
        ("- openat: x\n  by: {cwd: /srv, exe: /usr/bin/x}", "%fd.name %proc.exe", "/srv/x x"),
        ("- open: {name: /x, flags: O_RDWR|O_CREAT, mode: 0600}",
         "%evt.arg.flags %evt.arg.mode", "O_CREAT|O_RDWR 0600"),
        ("- openat: {name: /x, res: ENOENT}", "%evt.res %evt.rawres", "ENOENT -2"),
        ("- connect: 203.0.113.7:443", "%fd.name %fd.l4proto", "10.0.0.5:40000->203.0.113.7:443 tcp"),
        ("- connect: '[2001:db8::1]:443'", "%fd.sip %fd.type", "2001:db8::1 ipv6"),
        ("- connect: {to: 9.9.9.9:53, proto: udp}", "%fd.sport %fd.l4proto", "53 udp"),
        ("- connect: /run/docker.sock", "%fd.type %evt.arg.addr", "unix /run/docker.sock"),
        ("- socket:\n- connect: 203.0.113.7:443", "%fd.num %fd.sip", "3 203.0.113.7"),
        ("- accept: 198.51.100.4:5555", "%fd.cip %fd.is_server", "198.51.100.4 true"),
        ("- listen:\n  on: 0.0.0.0:22", "%fd.name %fd.sport", "0.0.0.0:22 22"),
        ("- sendto: {to: 9.9.9.9:53, data: abc}", "%evt.rawres %evt.arg.tuple", "3 10.0.0.5:40000->9.9.9.9:53"),
        ("- read: {data: root}\n  on: /etc/shadow", "%fd.name %evt.rawres %evt.buffer", "/etc/shadow 4 root"),
        ("- openat: /a\n- openat: /b\n- close:\n  on: /a", "%fd.num %fd.name", "3 /a"),
        ("- dup2: {newfd: 0}\n  on: 10.0.0.2:1->9.9.9.9:2", "%evt.rawres %fd.name", "0 10.0.0.2:1->9.9.9.9:2"),
        ("- fchmod: {mode: 04755}\n  on: /x",
         "%fd.name %evt.arg.mode", "/x S_IXOTH|S_IROTH|S_IXGRP|S_IRGRP|S_IXUSR|S_IWUSR|S_IRUSR|S_ISUID"),
        ("- sendfile: {out_fd: '10.0.0.2:1->9.9.9.9:2', in_fd: /x}", "%fd.sip %evt.arg.in_fd", "9.9.9.9 <f>/x"),
        ("- ptrace: {request: PTRACE_ATTACH, pid: /usr/bin/sleep}",
         "%evt.arg.request %evt.arg.pid", "PTRACE_ATTACH sleep"),
        ("- kill: {pid: parent, sig: SIGKILL}", "%evt.arg.pid %evt.arg.sig", "systemd SIGKILL"),
        ("- mount: {dev: /dev/sda, dir: /mnt, type: ext4, flags: MS_RDONLY}", "%evt.arg.flags", "RDONLY"),
        ("- reboot:", "%evt.type", "reboot"),
        ("- setuid: {uid: ann}", "%user.name %user.uid", "ann 1000"),
        ("- execve:\n  by: {exe: 'memfd:x'}", "%proc.is_exe_from_memfd %proc.pname", "true systemd"),
        ("- execve: {res: EACCES, filename: /x}\n  by: /bin/sh", "%proc.name %evt.arg.filename", "sh /x"),
        ("- execve:\n  by: {exe: /bin/id, env: {A: b}, tty: pts/1}", "%proc.env %proc.tty", "A=b 34817"),
        ("- openat: /x\n  by: {exe: /x, exe_flags: EXE_WRITABLE|EXE_UPPER_LAYER}",
         "%proc.is_exe_writable %proc.is_exe_upper_layer", "true true"),
        ("- openat: /x\n  by: {container: 3ad7b26ded6d}", "%container.id %container.name", "3ad7b26ded6d <NA>"),
        ("- openat: /x\n  by: {container: {image: 'r.io/a/b:1', privileged: true, mounts: ['/:/host:ro']}}",
         "%container.image.repository %container.image.tag %container.privileged %container.mount.source[0]",
         "r.io/a/b 1 true /"),
        ("- openat: /x\n  by: {user: {name: bob, uid: 7}, login: ann, group: docker}",
         "%user.name %user.uid %user.loginname %group.name", "bob 7 ann docker"),
        ("- openat: /x\n  by: {capabilities: [CAP_SYS_ADMIN]}", "%thread.cap_effective", "CAP_SYS_ADMIN"),
        ("- openat: /x\n- openat: /y\n  after: 10s", "%evt.deltatime.s", "10"),
        ("- execve:\n  by: {as: it, exe: /bin/sh}\n- execve:\n  by: {as: it, exe: /bin/id}\n- openat: /x\n  by: "
         "{as: it}",
         "%proc.name %evt.num", "id 3"),
        ("- execve:\n  by: {as: it, exe: /bin/sh}\n- openat: /x\n  by: it", "%proc.exepath %evt.num", "/bin/sh 2"),
        ("- execve:\n  by: /bin/id\n  before: /usr/bin/python3\n- openat: /x\n  by: /bin/id",
         "%proc.exepath", "/bin/id"),
    ],
)  # fmt: skip
def test_what_is_written_becomes_real_events(tmp_path: Path, events: str, output: str, expected: str) -> None:
    assert seen(tmp_path, events, output) == expected


def test_every_event_can_be_told_by_its_name_alone(tmp_path: Path) -> None:
    kernel = [event for event in tables.events() if event.source in ("syscall", "tracepoint")]
    for event in kernel:
        shown = seen(tmp_path, f"- {event.name}:", "%evt.type")
        assert shown == ("read" if event.name == "syscall" else event.name)  # the call with the number 0
    assert len(kernel) > 100


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("- opneat: /x", "6:5", "unknown event 'opneat'; did you mean openat?"),
        ("- openat: {nmae: /x}", "6:14", "unknown parameter of openat: 'nmae'; did you mean name?"),
        ("- openat: {name: /x, flags: O_RDWRR}", "6:31", "unknown flag O_RDWRR; did you mean O_RDWR?"),
        ("- openat: {name: /x, res: EACESS}", "6:29", "EACESS"),
        ("- openat: /x\n    by: {exee: /x}", "7:10", "unknown key in a process: 'exee'; did you mean exe?"),
        ("- openat: /x\n    close: {}", "6:5", "names 2 events"),
        ("- {by: /x}", "6:5", "names no event"),
        ("- connect: nowhere", "6:14", "is no address"),
        ("- connect: 1.2.3.4:70000", "6:14", "no port 70000"),
        ("- kill: {pid: nobody}", "6:17", "unknown process 'nobody'"),
        ("- kill: {sig: SIGKIL}", "6:17", "did you mean SIGKILL?"),
        ("- read:\n    on: nothing", "7:9", "is no descriptor"),
        ("- uname:\n    on: /x", "7:9", "works on no descriptor"),
        ("- openat: /x\n    by: {container: {id: xyz}}", "7:26", "a container's id has 12 to 64 digits"),
        ("- openat: /x\n    by: {capabilities: [CAP_SYS_ADMN]}", "7:25", "did you mean CAP_SYS_ADMIN?"),
        ("- openat: /x\n    by: {age: soon}", "7:15", "a time such as 10s"),
        ("- openat: {name: /x, ino: 99999999999999999999}", "6:5", "openat: "),
        (
            "- openat: /x\n    by: {pid: 7}\n  - openat: /x\n    by: {pid: 7, exe: /y}",
            "8:5",
            "two processes have the number 7",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, text: str, place: str, message: str) -> None:
    path = tmp_path / "wrong_test.yaml"
    rule = "{rule: R, desc: d, condition: evt.type = read, output: o, priority: Notice}"
    path.write_text(f"rules:\n- {rule}\ntests:\n- name: t\n  events:\n  {text}\n  alerts: []\n")
    failure = run(path)[0].failure or ""
    assert failure.startswith(f"{path}:{place}: "), failure
    assert message in failure


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tests: []", "there are no tests in"),
        ("[]", "there are no tests in"),
        ("just a text", "a file of tests has the keys"),
        ("testz: []", "unknown key in a file of tests: 'testz'; did you mean tests?"),
        ("rules: [none.yaml]\ntests: [{}]", "there is no rule file 'none.yaml'"),
        ("rules: [00-macros.yaml]\ndefaults: {opnat: {}}\ntests: [{}]", "unknown key in defaults: 'opnat'"),
        ("rules: [{macro: m, condition: x}]\ntests: [{name: t, events: [], alerts: []}]", "has no events"),
        ("rules: [{macro: m, condition: x}]\ntests: [{name: t, events: [{read: }]}]", "needs `events`"),
        ("rules: [{macro: m, condition: x}]\ntests: [{name: t, capture: none, alerts: [x]}]", "there is no capture"),
        (
            "rules: [{macro: m, condition: evt.type = read}]\ntests: [{events: [{read: }], alerts: [X]}]",
            "there is no rule 'X'",
        ),
        ("rules: [{rule: R}]\ntests: [{events: [{read: }], alerts: []}]", "has no 'condition'"),
        ("tests: [a: b: c]", "while parsing a flow sequence"),
        ("tests: {a: 1}", "tests must be a list"),
        ("tests: []\ntests: []", "stands here twice"),
    ],
)
def test_a_wrong_file_is_one_error(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "wrong_test.yaml"
    path.write_text(text)
    with pytest.raises(TiercelError, match=re.escape(message)):
        run(path)


def test_tests_within_a_rule_file(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("- macro: reads\n  condition: evt.type = read\n")
    rules = tmp_path / "rules.yaml"
    rules.write_text(
        "- rule: R\n  desc: d\n  condition: reads\n  output: o\n  priority: Notice\n"
        "- tests:\n  - {name: a read, events: [{read: }], alerts: [R]}\n  rules: [base.yaml]\n"
    )
    assert [outcome.failure for outcome in run(tmp_path)] == [None]
    assert [outcome.failure for outcome in run(rules)] == [None]
    assert load([tmp_path]).problems == []


def test_files_of_tests_may_be_called_as_those_of_rules(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("- {rule: R, desc: d, condition: evt.type = read, output: o, priority: Notice}\n")
    (tmp_path / "tests").mkdir()
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / "tests" / name).write_text("rules: [a.yaml]\ntests: [{events: [{read: }], alerts: [R]}]\n")
    assert [outcome.failure for outcome in run(tmp_path)] == [None, None]


def test_a_disabled_rule_is_tested_where_it_is_expected(tmp_path: Path) -> None:
    path = tmp_path / "x_test.yaml"
    rule = "{{rule: {0}, desc: d, condition: evt.type = read, output: o, priority: Notice, enabled: false}}"
    test = "{name: t, events: [{read: }], alerts: [A]}"
    path.write_text(f"rules:\n- {rule.format('A')}\n- {rule.format('B')}\ntests: [{test}]\n")
    assert run(path)[0].failure is None


def of_capture(tmp_path: Path, **keys: Any) -> str | None:
    shutil.copy(bundled_capture(), tmp_path / "demo.scap.gz")
    path = tmp_path / "x_test.yaml"
    said = "".join(f"  {key}: {value}\n" for key, value in keys.items())
    path.write_text(f"rules: [00-macros.yaml, execution.yaml]\ntests:\n- name: t\n  capture: demo.scap.gz\n{said}")
    return run(path)[0].failure


SHELL, CONNECTS = "Shell spawned by a server process", "Outbound connection by a shell"


def test_captures(tmp_path: Path) -> None:
    assert of_capture(tmp_path, expect=f"{{{SHELL}: 1}}", alerts=f"[{{rule: {SHELL}, output: server=nginx}}]") is None
    assert of_capture(tmp_path, expect=f"{{{SHELL}: 2}}") == f"expected 2 of '{SHELL}', got 1"
    assert of_capture(tmp_path, absent=f"[{SHELL}]") == f"expected no '{SHELL}', got 1"
    lacking = of_capture(tmp_path, alerts=f"[{{rule: {SHELL}, output: server=apache}}]")
    assert lacking == f"expected '{SHELL}' with 'server=apache', got 1 of it"
    (tmp_path / "demo.scap.gz").write_bytes(b"nonsense")
    path = tmp_path / "x_test.yaml"
    assert str(tmp_path / "demo.scap.gz") in (run(path)[0].failure or "")


def wrong(tmp_path: Path) -> Path:
    path = tmp_path / "wrong_test.yaml"
    path.write_text(
        "rules: [00-macros.yaml, network.yaml]\ndefaults:\n  by: {exe: /usr/bin/curl}\ntests:\n"
        f"- {{name: one, events: [{{connect: '203.0.113.7:4444'}}], alerts: [{CONNECTS}]}}\n"
        f"- {{name: two, events: [{{connect: '203.0.113.7:4444', by: /bin/sh}}], alerts: []}}\n"
        f"- {{name: three, events: [{{connect: '203.0.113.7:4444', by: /bin/sh}}], "
        f"alerts: [{{rule: {CONNECTS}, output: other}}]}}\n"
    )
    return path


def test_a_failure_says_what_came_and_why(tmp_path: Path) -> None:
    one, two, three = (outcome.failure or "" for outcome in run(wrong(tmp_path)))
    assert one.startswith(f"expected '{CONNECTS}', got no alert; '{CONNECTS}' did not match event 1: connect")
    assert "first false: proc.name in (ash, bash, busybox, csh, … 8 more) — is curl" in one
    assert two.startswith(f"expected no alert, got '{CONNECTS}'; got {CONNECTS} (connection=")
    assert three.startswith(f"the output of '{CONNECTS}' lacks 'other': ")


def test_junit(tmp_path: Path) -> None:
    outcomes = run(wrong(tmp_path))
    junit.write(tmp_path / "out.xml", outcomes)
    root = Xml.parse(tmp_path / "out.xml").getroot()
    assert (root.get("tests"), root.get("failures")) == ("3", "3")
    case = root.findall("testsuite/testcase")[0]
    assert (case.get("name"), case.get("line")) == ("one", "5")
    failure = case.find("failure")
    assert failure is not None
    assert failure.get("message") == outcomes[0].failure


def test_coverage(tmp_path: Path) -> None:
    path = tmp_path / "x_test.yaml"
    path.write_text(
        "rules:\n- {macro: m, condition: (fd.name = /a or fd.name = /b)}\n"
        "- {rule: R, desc: d, condition: evt.type = openat and m and fd.num >= 0, output: o, priority: Notice}\n"
        "- {rule: S, desc: d, condition: evt.type = close, output: o, priority: Notice}\n"
        "tests:\n- {name: hit, events: [{openat: /a}], alerts: [R]}\n"
        "- {name: near, events: [{openat: {name: /a, res: EACCES}}], alerts: []}\n"
        "- {name: far, events: [{openat: {name: /c, res: EACCES}}], alerts: []}\n"
    )
    runner, covered = Runner(), Coverage()
    for outcome in runner.run(find([path])):
        assert outcome.failure is None
        covered.add(outcome, runner.rules(outcome.test.suite))
    first, second = covered.rows()
    assert (first.rule, first.hits, first.near_misses, first.never) == ("R", 1, 1, ["m: fd.name = /b"])
    assert (second.rule, second.hits, second.never) == ("S", 0, ["evt.type = close"])


def test_two_thousand_tests_in_seconds(tmp_path: Path) -> None:
    path = tmp_path / "many_test.yaml"
    test = f"- {{name: t, events: [{{connect: '203.0.113.7:4444', by: /bin/sh}}], alerts: [{CONNECTS}]}}\n"
    path.write_text("rules: [00-macros.yaml, network.yaml]\ntests:\n" + test * 2000)
    outcomes = run(path)
    assert not any(outcome.failure for outcome in outcomes)
    assert sum(outcome.seconds for outcome in outcomes) < 10


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(RuleError, match="cannot be read"):
        run(tmp_path / "none.yaml")
