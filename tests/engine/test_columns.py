"""Rows for the store: what the engine makes of EventBatch and Alert bodies, and that ClickHouse takes them."""

import io
import ipaddress
import json
import re
from pathlib import Path
from typing import Any

import fastavro
import pytest

from tiercel import _engine

pa = pytest.importorskip("pyarrow")

ROOT = Path(__file__).parents[2]
EVENTS = fastavro.parse_schema(json.loads((ROOT / "schemas" / "event_batch.avsc").read_text()))
ALERT = fastavro.parse_schema(json.loads((ROOT / "schemas" / "alert.avsc").read_text()))
BASE = 1_795_461_325_000_000_000


def written(schema: Any, record: dict[str, Any]) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, schema, record)
    return out.getvalue()


def process(**changes: Any) -> dict[str, Any]:
    numbers = dict.fromkeys(
        [
            "sid",
            "pgid",
            "vpgid",
            "cap_effective",
            "cap_permitted",
            "cap_inheritable",
            "exe_flags",
            "exe_ino",
            "exe_ctime",
            "exe_mtime",
            "exe_ctime_to_start",
            "started",
        ],
        3,
    )
    ancestor = {"pid": 7, "name": b"bash", "exe": b"bash", "exepath": b"/bin/bash", "cmdline": b"bash -l", "started": 5}
    return {
        **numbers,
        "id": -1,
        "since": BASE,
        "pid": 42,
        "ppid": 7,
        "vpid": 42,
        "name": b"c\xe4t",
        "exe": b"cat",
        "exepath": b"/bin/cat",
        "args": [b"-n", b"a b"],
        "cwd": b"/",
        "sname": b"bash",
        "tty": 2**32 - 1,
        "uid": 1000,
        "user": b"ann",
        "gid": 1000,
        "group": b"ann",
        "loginuid": -1,
        "login": b"",
        "container_id": b"host",
        "ancestors": [ancestor],
        "guessed": True,
    } | changes


def file(**changes: Any) -> dict[str, Any]:
    return {
        "typechar": "4",
        "name": b"10.0.0.1:40000->1.2.3.4:443",
        "raw": b"",
        "l4proto": "tcp",
        "client": {"ip": b"\x0a\0\0\x01", "port": 40000},
        "server": {"ip": b"\x01\x02\x03\x04", "port": 443},
        "local": None,
        "remote": {"ip": ipaddress.ip_address("2001:db8::1").packed, "port": 443},
        "is_server": False,
        "connected": True,
        "dev": 5,
        "ino": -1,
    } | changes


def event(seq: int, code: int, values: list[Any], **changes: Any) -> dict[str, Any]:
    return {
        "seq": seq,
        "time": seq,
        "tid": 42,
        "cpu": 1,
        "code": code,
        "process": 0,
        "file": None,
        "fd": None,
        "name_changed": False,
        "values": values,
        "addr": None,
        "tuple": None,
        "fds": None,
        "dyns": [],
        "resolved": [],
        "rules": [],
    } | changes


def body(**changes: Any) -> bytes:
    opened = event(
        0, 307, [3, -100, b"x\xff", 4097 | 16384, 0, 5, 6], resolved=[{"param": 2, "text": b"/tmp/x\xff"}], rules=[0]
    )
    events = [opened, event(2, 1, [0], process=None), event(3, 5, [0, 9], file=0, fd=9, name_changed=True)]
    header = {"host_id": "id", "host": "höst", "boot_id": "boot", "run": 1, "first_seq": 10, "count": 4, "time": BASE}
    books = {"produced": 9, "delivered": 8, "lost": [{"stage": "ring", "reason": "full", "count": 1}]}
    place = {"partition": 2, "offset": 77, "rules_version": "v", "rules": ["a rule"], "codes": []}
    content = {"processes": [process()], "files": [file()], "events": events}
    return written(EVENTS, header | books | place | content | changes)


def alert() -> bytes:
    words = ("rule", "priority", "source", "hostname", "host_id", "boot_id", "message", "rules_version", "rule_sha256")
    fields = [{"name": "b", "value": "ü"}, {"name": "a", "value": None}, {"name": "c", "value": ["x", "y"]}]
    record = {word: word for word in words} | {"id": "0f", "time": BASE, "seq": 10, "tags": ["t1", "t2"]}
    return written(
        ALERT, record | {"output_fields": fields, "partition": 2, "offset": 77, "suppressed": 7, "summary": True}
    )


def table(stream: bytes) -> Any:
    return pa.ipc.open_stream(stream).read_all()


def rows(stream: bytes) -> list[dict[str, Any]]:
    return table(stream).to_pylist()


def ddl() -> dict[str, set[str]]:
    """Column names by table."""
    found: dict[str, set[str]] = {}
    for path in sorted((ROOT / "schemas" / "clickhouse").glob("*.sql")):
        for name, columns in re.findall(r"CREATE TABLE IF NOT EXISTS (\w+)\n\((.*?)\n\)", path.read_text(), re.S):
            names = re.findall(r"^    `?([a-z]\w*)`? +[A-Z]", columns, re.M)
            found[name] = {column for column in names if column not in ("INDEX", "PROJECTION")}
        for name, column in re.findall(r"ALTER TABLE (\w+) ADD COLUMN IF NOT EXISTS (\w+)", path.read_text()):
            found[name].add(column)
    found["ledger"].remove("stored")  # the store's own clock
    return found


def streams() -> dict[str, bytes]:
    columns = _engine.event_columns([body()], "here")
    return {
        "events": columns.events,
        "processes": columns.processes,
        "ledger": columns.ledger,
        "alerts": _engine.alert_columns([alert()], "here"),
    }


@pytest.mark.parametrize("name", ["events", "processes", "ledger", "alerts"])
def test_the_columns_are_those_of_the_table(name: str) -> None:
    assert set(table(streams()[name]).column_names) == ddl()[name]


def test_an_event_is_told_with_its_process_and_file() -> None:
    opened, scalar, closed = rows(_engine.event_columns([body()], "here").events)
    assert (opened["seq"], opened["type"], opened["category"]) == (10, b"openat", b"file")
    assert opened["process"] == 2**64 - 1
    assert (opened["proc_name"], opened["proc_cmdline"], opened["proc_pname"]) == (b"c\xe4t", b"c\xe4t -n a b", b"bash")
    assert (opened["proc_guessed"], scalar["proc_guessed"]) == (True, False)
    assert opened["open"] == 1 | 8
    arguments = dict(opened["args"])
    assert arguments[b"name"] == b"/tmp/x\xff"
    assert arguments[b"flags"] == b"O_RDONLY|O_CLOEXEC|O_F_CREATED"
    assert opened["rules"] == [b"a rule"]
    assert (opened["fd_num"], opened["fd_type"], opened["fd_is_server"]) == (None, None, None)
    assert (scalar["process"], scalar["proc_name"], scalar["proc_pname"]) == (0, b"", None)
    assert (closed["fd_num"], closed["fd_type"], closed["fd_l4proto"], closed["fd_sport"]) == (9, b"ipv4", b"tcp", 443)
    assert closed["fd_cip"] == ipaddress.ip_address("::ffff:10.0.0.1").packed
    assert (closed["fd_lip"], closed["fd_lport"]) == (None, None)
    assert [row["row"] for row in (opened, scalar, closed)] == [0, 1, 2]


def test_the_books_of_a_batch_without_events_are_kept() -> None:
    columns = _engine.event_columns([body(events=[]), body()], "here")
    books = [(row["kind"], row["stage"], row["count"], row["row"]) for row in rows(columns.ledger)]
    one = [
        ("produced", "kernel", 9, 0),
        ("delivered", "collector", 8, 1),
        ("stored", "sink", 3, 2),
        ("lost", "ring", 1, 3),
    ]
    assert books == [*one[:2], ("stored", "sink", 0, 2), one[3], *one]


def test_output_fields_keep_their_order() -> None:
    (row,) = rows(_engine.alert_columns([alert()], "here"))
    assert row["output_fields"] == '{"b":"ü","a":null,"c":["x","y"]}'


def test_a_broken_body_is_named() -> None:
    with pytest.raises(ValueError, match="body 1: the message ends in the middle of a value"):
        _engine.event_columns([body(), body()[:-1]], "here")
    with pytest.raises(ValueError, match="body 0: "):
        _engine.alert_columns([b"\xff"], "here")


def test_clickhouse_takes_them_all(tmp_path: Path) -> None:
    pytest.importorskip("chdb")
    connect = pytest.importorskip("clickhouse_connect")
    client = connect.get_client(interface="chdb", path=str(tmp_path))
    for path in sorted((ROOT / "schemas" / "clickhouse").glob("*.sql")):
        for statement in re.sub(r"--[^\n]*", "", path.read_text()).split(";\n"):
            if statement.strip():
                client.command(statement)
    for name, stream in streams().items():
        client.insert_arrow(name, table(stream))

    def one(question: str) -> tuple[Any, ...]:
        return tuple(client.query(question).result_rows[0])

    assert one(
        "SELECT hex(proc_name), toUnixTimestamp64Nano(ts), hex(args['name']), rules FROM events WHERE seq = 10"
    ) == (
        b"c\xe4t".hex().upper(),
        BASE,
        b"/tmp/x\xff".hex().upper(),
        ["a rule"],
    )
    addresses = one(
        "SELECT toString(fd_cip), toString(fd_rip), fd_lip, fd_connected, fd_ino FROM events WHERE seq = 13"
    )
    assert addresses == ("::ffff:10.0.0.1", "2001:db8::1", None, True, 2**64 - 1)
    assert one("SELECT id, args, ancestor_names, ancestor_pids FROM processes") == (
        2**64 - 1,
        ["-n", "a b"],
        ["bash"],
        [7],
    )
    assert one("SELECT sum(count), count() FROM ledger WHERE kind = 'lost'") == (1, 1)
    assert one("SELECT id, host, tags FROM alerts") == ("0f", "hostname", ["t1", "t2"])
