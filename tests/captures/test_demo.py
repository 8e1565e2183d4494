"""The bundled recording: what is printed of it, its fields and its alerts are those of tests/golden/."""

import json
from collections.abc import Callable, Iterator

import pytest

from tiercel._engine import Batch, Format, Host, RuleSet
from tiercel.commands.rules import loaded
from tiercel.local import bundled_capture
from tiercel.recording import Capture
from tiercel.schemas import alerts as rendering
from tiercel.schemas import avro

Golden = Callable[[str, str], None]
LINES = "*%evt.num %evt.rawtime %evt.cpu %proc.name (%thread.tid) %evt.type %evt.info"
ACTS = {"execve", "vfork", "connect", "accept4", "dup2", "pipe2", "unlinkat", "copy_file_range", "chdir", "procexit"}
FIELDS = [
    *("evt.num", "evt.type", "evt.category", "evt.failed", "evt.res", "fd.num", "fd.name", "fd.type", "fd.l4proto"),
    *("fd.cip", "fd.sip", "fd.sport", "fd.directory", "proc.name", "proc.exepath", "proc.exeline"),
    *("proc.cmdline", "proc.pid", "proc.ppid", "proc.pname", "proc.aname[2]", "proc.acmdline[1]", "proc.cwd"),
    *("proc.sid", "proc.vpgid", "proc.is_exe_writable", "proc.exe_ino", "user.name", "group.name", "user.loginuid"),
    *("thread.tid", "thread.ismain", "container.id"),
]


@pytest.fixture
def capture() -> Capture:
    return Capture(bundled_capture())


def test_lines(capture: Capture, golden: Golden) -> None:
    host, form = Host(), Format(LINES)
    lines = [line for batch in capture for line in host.lines(batch, form, hostname=capture.hostname)]
    golden("demo.lines.txt", "".join(f"{line}\n" for line in lines if line is not None))


def test_fields(capture: Capture, golden: Golden) -> None:
    host = Host()
    rows = [row for batch in capture for row in host.field_rows(batch, FIELDS, hostname=capture.hostname)]
    acts = [dict(zip(FIELDS, row, strict=True)) for row in rows if row[1] in ACTS]
    golden("demo.fields.jsonl", "".join(json.dumps(act) + "\n" for act in acts))


def test_what_the_shipped_rules_say_of_it(capture: Capture, golden: Golden) -> None:
    alerts = [avro.decode("alert", avro.frame("alert", body)) for body in _alerts(capture)]
    assert len({alert["rule"] for alert in alerts}) == len(alerts)
    golden("demo.alerts.txt", "".join(rendering.line(rendering.row(alert)) + "\n" for alert in alerts))


def test_the_recording_tells_nothing_private(capture: Capture) -> None:
    batches: list[Batch] = list(capture)
    events = [event for batch in batches for event in batch.to_dicts()]
    assert capture.hostname == "demo"
    assert not any(event["params"].get("env") or event["params"].get("cgroups") for event in events)
    assert not any(event["params"].get("data") for event in events)


def _alerts(capture: Capture) -> Iterator[bytes]:
    host, rules = Host(), RuleSet(loaded([]).plan())
    header = {"host_id": "demo", "host": "demo", "boot_id": "b", "run": 1, "first_seq": 1}
    header |= {"produced": 0, "delivered": 0, "lost": []}
    for batch in capture:
        yield from host.replay(batch, rules, header=header)
