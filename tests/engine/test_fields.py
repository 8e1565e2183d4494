"""Every field: its example compiles and runs; and what its definition says, on events made for it."""

from __future__ import annotations

from typing import Any

import pytest

from tiercel._engine import Batch, Host, RuleSet
from tiercel.local import bundled_capture
from tiercel.recording import Capture
from tiercel.rules.check import check_condition
from tiercel.rules.fields import SOURCES
from tiercel.rules.parse import ConditionError, parse
from tiercel.rules.plan import condition_plan
from tiercel.schemas import tables

SECOND = 1_000_000_000
HERE = -100
FILE, PIPE, TCP, UNIX, DIRECTORY = 16, 7, 3, 8, 2
CONNECTION = (2, "10.0.0.1", 4444, "10.0.0.2", 443)


def thread(batch: Batch, tid: int, pid: int, ptid: int, **more: Any) -> None:
    given: dict[str, Any] = {
        "pid": pid, "ptid": ptid, "sid": 10, "pgid": 10, "vpgid": 10, "vtid": tid, "vpid": pid, "comm": "curl",
        "exe": "curl", "exepath": "/usr/bin/curl", "args": ["-s", "url"], "env": ["HOME=/home/ann"],
        "cwd": "/home/ann/", "root": "/", "cgroups": ["cpu=/"], "fdlimit": 10, "uid": 0, "gid": 0, "loginuid": 0,
        "vm_size": 100, "vm_rss": 50, "vm_swap": 7, "pgft_maj": 3, "pgft_min": 4, **more,
    }  # fmt: skip
    params = next(event.params for event in tables.events() if event.name == "thread_snapshot")
    batch.append("thread_snapshot", time=0, tid=tid, params=[given.get(param.name) for param in params])


def world() -> Batch:
    """A shell, 10; its child curl, 20, with a second thread, 21, and descriptors of some kinds."""
    batch = Batch()
    bash = {"comm": "bash", "exe": "bash", "exepath": "/usr/bin/bash", "args": ["-l"], "env": ["HOME=/root", "LANG=C"]}
    thread(batch, 10, 10, 1, **bash)
    thread(batch, 20, 20, 10, pidns_init_start_ts=99)
    thread(batch, 21, 20, 10)
    for fd, kind, name, more in (
        (0, FILE, "/tmp/in", (3, 0x10302, 77, 0, None, None)),
        (1, PIPE, "", (0, 0, 0, 0, None, None)),
        (3, TCP, "", (0, 0, 0, 1, CONNECTION, None)),
        (4, UNIX, "/dev/log", (0, 0, 0, 0, (1, 0, 0, "/dev/log"), None)),
        (5, DIRECTORY, "/srv", (0, 0, 0, 0, None, None)),
    ):
        batch.append("fd_snapshot", time=0, tid=20, params=[fd, kind, name, *more])
    return batch


def asked(event: str, params: list[Any], *fields: str, tid: int = 20) -> list[Any]:
    """What fields say of one event, 2.5 s after another."""
    batch = world()
    batch.append("getcwd", time=10 * SECOND, tid=20, params=[0, "/home/ann"])
    batch.append(event, time=12 * SECOND + SECOND // 2, tid=tid, cpu=1, params=params)
    return Host().field_rows(batch, list(fields), hostname="h")[-1]


PROCESS = {
    "evt.reltime": 5 * SECOND // 2, "evt.reltime.s": 2, "evt.reltime.ns": SECOND // 2,
    "evt.deltatime": 5 * SECOND // 2, "evt.deltatime.s": 2, "evt.deltatime.ns": SECOND // 2,
    "evt.latency": 0, "evt.latency.s": 0, "evt.latency.ns": 0, "evt.latency.quantized": 0, "evt.latency.human": "0ns",
    "evt.wait_latency": 0, "evt.count": 1, "evt.count.error": 0, "evt.count.exit": 1, "evt.count.procinfo": 0,
    "evt.count.threadinfo": 0, "evt.type.is.close": 1, "evt.type.is.open": 0, "evt.pluginname": None,
    "evt.outputtime": 25 * SECOND // 2, "evt.datetime.s": 25 * SECOND // 2,
    "proc.aargs": "-l", "proc.aargs[0]": "-s url", "proc.aargs[1]": "-l", "proc.aargs[9]": None,
    "proc.aenv[1]": "HOME=/root LANG=C", "proc.aenv[LANG]": "C", "proc.aenv[NOT]": "", "proc.aenv": "HOME=/home/ann",
    "proc.cmdlenargs": 5, "proc.loginshellid": 10, "proc.pvpid": 10, "proc.pgid.name": "bash", "proc.pgid.exe": "bash",
    "proc.pgid.exepath": "/usr/bin/bash", "proc.vpgid.name": "bash", "proc.vpgid.exe": "bash",
    "proc.vpgid.exepath": "/usr/bin/bash", "proc.is_pgid_leader": False, "proc.pidns_init_start_ts": 99,
    "proc.fdopencount": 5, "proc.fdusage": 50.0, "proc.vmsize": 100, "proc.vmrss": 50, "proc.vmswap": 7,
    "thread.pfmajor": 3, "thread.pfminor": 4, "thread.nametid": "curl20", "thread.exectime": None, "thread.cpu": None,
    "proc.nthreads": 2, "proc.nchilds": 1, "thread.vmsize": 100, "thread.vmrss": 50, "thread.vmsize.b": 102400,
    "thread.vmrss.b": 51200, "proc.stdin.type": "file", "proc.stdin.name": "/tmp/in", "proc.stdout.type": "pipe",
    "proc.stderr.type": None, "proc.stderr.name": None,
}  # fmt: skip


@pytest.mark.parametrize("field", PROCESS)
def test_fields_of_times_and_processes(field: str) -> None:
    assert asked("close", [0, 9], field) == [PROCESS[field]]


CASES: list[tuple[str, list[Any], dict[str, Any]]] = [
    ("write", [5, b"hello", 0, 5], {
        "evt.io_dir": "write", "evt.buflen": 5, "evt.buflen.out": 5, "evt.buflen.in": None, "evt.buflen.file": 5,
        "evt.buflen.file.out": 5, "evt.buflen.file.in": None, "evt.buflen.net": None, "fd.uid": "200",
        "fd.containername": "host:/tmp/in", "fd.containerdirectory": "host:/tmp", "fd.dev.major": 0x103,
        "fd.dev.minor": 2, "evt.is_syslog": False, "evt.is_wait": False,
    }),
    ("read", [4, b"data", 3, 4], {
        "evt.io_dir": "read", "evt.buflen.in": 4, "evt.buflen.net": 4, "evt.buflen.net.in": 4,
        "evt.buflen.net.out": None, "evt.buflen.file": None, "fd.types[3]": ["ipv4"], "fd.types[8]": None,
        "fd.types": ["directory", "file", "ipv4", "pipe", "unix"],
    }),
    ("read", [-11, None, 3, 4], {
        "evt.buflen": None, "evt.count.error": 1, "evt.count.error.net": 1, "evt.count.error.file": None,
    }),
    ("openat", [-2, 5, "a//b", 1, 0, 0, 0], {
        "evt.count.error.file": 1, "evt.count.error.other": None, "fd.nameraw": "a/b", "fd.name": "/srv/a/b",
        "evt.abspath": "/srv/a/b", "evt.abspath.src": "/srv/a/b", "evt.abspath.dst": None, "fs.path.name": None,
    }),
    ("brk", [7, 300, 200, 1, 0], {"proc.vmsize": 300, "proc.vmrss": 200, "proc.vmswap": 1, "thread.vmsize": 300}),
    ("mkdir", [0, "x/../y", 0o755], {"fs.path.name": "/home/ann/y", "fs.path.nameraw": "x/../y"}),
    ("mkdir", [-17, "y", 0o755], {"fs.path.name": None}),
    ("mkdirat", [0, 5, "y", 0o755], {"fs.path.name": "/srv/y", "evt.abspath": "/srv/y"}),
    ("fchmod", [0, 0, 0o600], {"fs.path.name": "/tmp/in"}),
    ("rename", [0, "a", "/b"], {
        "fs.path.source": "/home/ann/a", "fs.path.target": "/b", "fs.path.sourceraw": "a", "fs.path.targetraw": "/b",
        "fs.path.name": None,
    }),
    ("renameat", [0, 5, "a", HERE, "b"], {
        "fs.path.source": "/srv/a", "fs.path.target": "/home/ann/b", "evt.abspath.dst": "/home/ann/b",
    }),
    ("linkat", [0, 5, "a", HERE, "b", 0], {"fs.path.target": "/srv/a", "fs.path.source": "/home/ann/b"}),
    ("symlinkat", [0, "../t", 5, "l/m"], {
        "fs.path.source": "/srv/l/m", "fs.path.target": "/srv/t", "fs.path.targetraw": "../t",
    }),
    ("poll", [1, [(3, 1), (1, 4), (9, 1)], 5], {
        "evt.is_wait": True, "fdlist.nums": "3,1,9", "fdlist.cips": "10.0.0.1", "fdlist.sips": "10.0.0.2",
        "fdlist.cports": "4444", "fdlist.sports": "443",
    }),
    ("sendto", [9, b"<38>hi: x\0", 4, 9, None], {
        "evt.is_syslog": True, "syslog.facility": 4, "syslog.facility.str": "auth", "syslog.severity": 6,
        "syslog.severity.str": "info", "syslog.message": "hi: x",
    }),
    ("sendto", [9, b"<9999999>hi", 4, 9, None], {"syslog.facility": None, "syslog.message": None}),
]  # fmt: skip


@pytest.mark.parametrize(("event", "params", "expected"), CASES)
def test_fields_of_events(event: str, params: list[Any], expected: dict[str, Any]) -> None:
    assert dict(zip(expected, asked(event, params, *expected), strict=True)) == expected


def test_sizes_of_a_second_thread_count_once() -> None:
    assert asked("close", [0, 9], "thread.vmsize", "thread.vmrss.b", "proc.vmsize", tid=21) == [0, 0, 100]


def test_an_event_around_a_time() -> None:
    batch = world()
    for at in (1, 2, 3):
        batch.append("close", time=at * SECOND, tid=20, params=[0, 9])

    def near(condition: str) -> list[int]:
        rules = RuleSet(condition_plan(parse(condition)))
        return [row[0] // SECOND for row in Host().field_rows(batch, ["evt.rawtime"], rules)]

    assert near("evt.around[2000000000] = 500") == [2]
    assert near("evt.around[2500000000] = 500") == [2, 3]
    assert near("proc.fdusage >= 49.5") == [1, 2, 3]
    assert near("proc.fdusage > 50.5") == near("proc.fdusage in (1, 2)") == []


@pytest.fixture(scope="module")
def recording() -> list[Batch]:
    return list(Capture(bundled_capture()))


@pytest.mark.parametrize("field", tables.fields().values(), ids=lambda field: field.name)
def test_examples_compile_and_run(field: tables.Field, recording: list[Batch]) -> None:
    assert field.name in field.example
    tree = parse(field.example)
    check_condition(tree)
    rules, host = RuleSet(condition_plan(tree)), Host()
    for batch in recording:
        host.field_rows(batch, ["evt.num"], rules)


@pytest.mark.parametrize(
    ("condition", "matches"),
    [
        ("fd.ip in (10.0.0.9, 10.0.0.2)", True),
        ("fd.ip in (10.0.0.9)", False),
        ('fd.net in ("192.168.0.0/16", "10.0.0.0/24")', True),
        ('fd.net in ("192.168.0.0/16", "172.16.0.0/12")', False),
        ("fd.port in (443, 80)", True),
        ("proc.apid in (1, 10)", True),
        ("proc.apid in (20)", False),
        ("evt.rawarg.res in (3, 5)", True),
        ("evt.rawarg.res in (3, 4)", False),
    ],
)
def test_sets_are_searched(condition: str, matches: bool) -> None:
    """docs/differences.md, "Sets": where libsinsp finds nothing."""
    batch = world()
    batch.append("read", time=12 * SECOND, tid=20, params=[5, b"hello", 3, 4096])
    tree = parse(condition)
    check_condition(tree)
    assert bool(Host().field_rows(batch, ["evt.num"], RuleSet(condition_plan(tree)))) == matches


def test_who_accepted_need_not_listen() -> None:
    """docs/differences.md, "Roles": the connection of a server's child, told with the processes of the host."""
    batch = world()
    listening = (0, 0, 0, 2, None, (2, "0.0.0.0", 22))
    batch.append("fd_snapshot", time=0, tid=10, params=[3, 5, "", *listening])
    accepted = (0, 0, 0, 2, (2, "10.0.0.1", 22, "10.0.0.9", 50000), None)
    batch.append("fd_snapshot", time=0, tid=20, params=[9, TCP, "", *accepted])
    batch.append("read", time=1, tid=20, params=[1, b"x", 9, 1])
    assert Host().field_rows(batch, ["fd.name", "fd.sport", "fd.cport"])[-1] == [
        "10.0.0.9:50000->10.0.0.1:22",
        22,
        50000,
    ]


@pytest.mark.parametrize("name", [f"{source}.something" for source in SOURCES])
def test_fields_of_plugins_say_what_they_need(name: str) -> None:
    with pytest.raises(ConditionError, match="needs a source Tiercel does not have"):
        check_condition(parse(f"{name} = x"))


@pytest.mark.parametrize("field", [row for row in tables.fields().values() if "deprecated" in row.flags])
def test_deprecated_fields_warn(field: tables.Field) -> None:
    name = f"{field.name}[app]" if field.arg == "required" else field.name
    assert [warning.code for warning in check_condition(parse(f"{name} exists"))] == ["LOAD_DEPRECATED_ITEM"]
