"""EventBatch and Alert: the engine and fastavro read what the other writes; of damage there is one sentence."""

import io
import json
from pathlib import Path
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engine.events import EVENTS, MadeEvent, events
from tests.engine.test_avro import BASE, batch_of, header
from tiercel import _engine
from tiercel.rules.load import rules_from

pa = pytest.importorskip("pyarrow")

SCHEMAS = Path(__file__).parents[2] / "schemas"
EVENT_BATCH, ALERT = (
    fastavro.parse_schema(json.loads((SCHEMAS / f"{name}.avsc").read_text())) for name in ("event_batch", "alert")
)
RULE = """
- rule: everything
  desc: Fires on every event.
  condition: evt.num >= 0
  output: "%evt.type %evt.res %proc.name %proc.pid %proc.args %fd.name %fd.num %evt.args %user.uid %evt.is_open_read"
  priority: NOTICE
  tags: [b, a]
"""
# Events by which a host tells its state, and of users: numbered, but not of the kernel.
KERNEL = {name for name, row in EVENTS.items() if row[3] == "syscall" and row[0] < 1024}


def read(schema: Any, body: bytes) -> Any:
    stream = io.BytesIO(body)
    record = fastavro.schemaless_reader(stream, schema, None)
    assert stream.read() == b""
    return record


def written(schema: Any, record: Any) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, schema, record)
    return out.getvalue()


def rows(stream: bytes) -> list[dict[str, Any]]:
    table: list[dict[str, Any]] = pa.ipc.open_stream(stream).read_all().to_pylist()
    return table


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> _engine.RuleSet:
    path = tmp_path_factory.mktemp("rules") / "everything.yaml"
    path.write_text(RULE)
    return _engine.RuleSet(rules_from([path]).plan(matching="all"))


def outcome(made: list[MadeEvent], rules: _engine.RuleSet | None = None) -> _engine.Outcome:
    raw = _engine.encode_raw(batch_of(made), 0, len(made), header())
    return _engine.Host().process(raw, rules, partition=3, offset=77)


@given(st.lists(events(), max_size=6))
def test_fastavro_reads_the_event_batches_that_the_engine_writes(made: list[MadeEvent]) -> None:
    body = outcome(made).enriched
    record = read(EVENT_BATCH, body)
    assert written(EVENT_BATCH, record) == body
    shed = [{"stage": "ring", "reason": "budget_payload", "count": 2}]
    lost = [{"stage": "ring", "reason": "full", "count": 3}]
    expected = header(run=-1, lost=lost, shed=shed, count=len(made))
    assert {name: record[name] for name in expected} == expected
    assert (record["partition"], record["offset"], record["rules"]) == (3, 77, [])
    assert {event["seq"] for event in record["events"]} >= {i for i, e in enumerate(made) if e.name in KERNEL}
    for event in record["events"]:
        told = made[event["seq"]].as_avro(BASE)
        assert {name: event[name] for name in told} == told
        assert event["process"] is None or event["process"] < len(record["processes"])
        assert event["file"] is None or event["file"] < len(record["files"])
    assert len(rows(_engine.event_columns([body], "k").events)) == len(record["events"])


def test_fastavro_reads_the_alerts_that_the_engine_writes(everything: _engine.RuleSet) -> None:
    @given(st.lists(events(), max_size=4))
    def check(made: list[MadeEvent]) -> None:
        done = outcome(made, everything)
        alerts = [read(ALERT, body) for body in done.alerts]
        assert [written(ALERT, alert) for alert in alerts] == done.alerts
        matched = [event for event in read(EVENT_BATCH, done.enriched)["events"] if event["rules"]]
        assert [alert["seq"] for alert in alerts] == [17 + event["seq"] for event in matched]
        for alert, event in zip(alerts, matched, strict=True):
            assert (alert["rule"], alert["priority"], alert["tags"]) == ("everything", "Notice", ["a", "b"])
            assert (alert["host_id"], alert["hostname"], alert["partition"], alert["offset"]) == ("4f1c", "höst", 3, 77)
            assert alert["time"] == BASE + event["time"]
            fields = {field["name"]: field["value"] for field in alert["output_fields"]}
            if event["code"] != 1:  # the generic event is called after its system call
                assert EVENTS[fields["evt.type"]][0] == event["code"]
        told = rows(_engine.alert_columns(done.alerts, "k"))
        assert [row["id"] for row in told] == [alert["id"] for alert in alerts]

    check()


LONG = st.integers(-(2**63), 2**63 - 1)
WORD = st.integers(0, 2**32 - 1)
# What the engine takes of a field is less than what its Avro type has.
NARROW: dict[str, st.SearchStrategy[Any]] = {
    "tty": WORD,
    "uid": WORD,
    "gid": WORD,
    "dev": WORD,
    "port": st.integers(0, 65535),
    "host_port": st.integers(0, 65535),
    "ip": st.one_of(st.binary(min_size=4, max_size=4), st.binary(min_size=16, max_size=16)),
    "typechar": st.sampled_from("f4u6dpe?"),
    "count": st.integers(0, 2**31 - 1),
}


def values(schema: Any, name: str = "") -> st.SearchStrategy[Any]:
    """Whatever a schema allows; `NARROW` by the name of the field."""
    named = {
        "null": st.none(),
        "boolean": st.booleans(),
        "int": st.integers(-(2**31), 2**31 - 1),
        "long": LONG,
        "double": st.floats(allow_nan=False),
        "string": st.text(max_size=6),
        "bytes": st.binary(max_size=6),
    }
    if name in NARROW:
        return NARROW[name]
    if isinstance(schema, list):
        return st.one_of(*(values(branch) for branch in schema))
    if isinstance(schema, str):
        return named[schema] if schema in named else values(NAMED[schema])
    if schema["type"] == "record":
        return st.fixed_dictionaries(
            {field["name"]: values(field["type"], field["name"]) for field in schema["fields"]}
        )
    if schema["type"] == "array":
        return st.lists(values(schema["items"]), max_size=3)
    return values(schema["type"])


NAMED: dict[str, Any] = {}


def collect(schema: Any) -> None:
    """Records by their full and short names, for later mentions."""
    if isinstance(schema, list):
        for branch in schema:
            collect(branch)
    elif isinstance(schema, dict):
        if schema["type"] == "record":
            NAMED[schema["name"]] = NAMED[schema["name"].rpartition(".")[2]] = schema
            for field in schema["fields"]:
                collect(field["type"])
        else:
            collect(schema.get("items") or schema["type"])


collect(EVENT_BATCH)
collect(ALERT)


@st.composite
def event_batches(draw: st.DrawFn) -> dict[str, Any]:
    """An EventBatch as fastavro takes it: events of the table, what they point at, and anything beside it."""
    fields = {field["name"]: field["type"] for field in EVENT_BATCH["fields"]}
    record = {name: draw(values(kind, name)) for name, kind in fields.items() if name not in ("events", "time")}
    record["time"] = BASE
    made = draw(st.lists(events(), max_size=4))

    def one_of(items: list[Any]) -> st.SearchStrategy[int | None]:
        return st.none() if not items else st.one_of(st.none(), st.integers(0, len(items) - 1))

    record["events"] = [
        event.as_avro(BASE)
        | {
            "seq": index,
            "process": draw(one_of(record["processes"])),
            "file": draw(one_of(record["files"])),
            "fd": draw(st.one_of(st.none(), LONG)),
            "name_changed": draw(st.booleans()),
            "resolved": draw(
                st.lists(st.fixed_dictionaries({"param": st.integers(0, 9), "text": st.binary(max_size=5)}))
            ),
            "rules": [i for i in range(len(record["rules"])) if draw(st.booleans())],
        }
        for index, event in enumerate(made)
    ]
    return record


@given(event_batches())
def test_the_engine_reads_the_event_batches_that_fastavro_writes(record: dict[str, Any]) -> None:
    body = written(EVENT_BATCH, record)
    told = _engine.header_of(body, "enriched")
    assert (told["host_id"], told["host"], told["count"]) == (record["host_id"], record["host"], record["count"])
    columns = _engine.event_columns([body], "k")
    found = rows(columns.events)
    assert len(found) == len(record["events"])
    for row, event in zip(found, record["events"], strict=True):
        owner = record["processes"][event["process"]] if event["process"] is not None else None
        assert row["proc_name"] == (owner["name"] if owner else b"")
        assert row["process"] == (owner["id"] % 2**64 if owner else 0)
        assert row["rules"] == [record["rules"][i].encode() for i in event["rules"]]
        assert (row["tid"], row["cpu"]) == (event["tid"], event["cpu"])
    assert {row["id"] for row in rows(columns.processes)} == {p["id"] % 2**64 for p in record["processes"]}


@given(values(ALERT))
def test_the_engine_reads_the_alerts_that_fastavro_writes(record: dict[str, Any]) -> None:
    (row,) = rows(_engine.alert_columns([written(ALERT, record)], "k"))
    for name in ("id", "rule", "priority", "source", "message", "tags"):
        assert row[name] == record[name]
    assert row["seq"] == record["seq"] % 2**64


READERS = {
    "raw": [_engine.decode_raw, _engine.header_of],
    "enriched": [lambda body: _engine.event_columns([body], "k"), lambda body: _engine.header_of(body, "enriched")],
    "alert": [lambda body: _engine.alert_columns([body], "k")],
}


def bodies(everything: _engine.RuleSet, made: list[MadeEvent]) -> dict[str, bytes]:
    done = outcome(made, everything)
    raw = _engine.encode_raw(batch_of(made), 0, len(made), header())
    return {"raw": raw, "enriched": done.enriched} | ({"alert": done.alerts[0]} if done.alerts else {})


def test_a_cut_message_is_refused_in_one_line(everything: _engine.RuleSet) -> None:
    @given(st.lists(events(), min_size=1, max_size=2), st.data())
    def check(made: list[MadeEvent], data: st.DataObject) -> None:
        for kind, body in bodies(everything, made).items():
            cut = data.draw(st.integers(0, len(body) - 1))
            with pytest.raises(ValueError, match=r"\A[^\n]+\Z"):
                READERS[kind][0](body[:cut])

    check()


def test_a_damaged_message_is_read_or_refused_in_one_line(everything: _engine.RuleSet) -> None:
    @given(
        st.lists(events(), max_size=3), st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1), st.data()
    )
    def check(made: list[MadeEvent], hits: list[tuple[float, int]], data: st.DataObject) -> None:
        for kind, body in bodies(everything, made).items():
            damaged = bytearray(body)
            for place, byte in hits:
                damaged[min(int(place * len(damaged)), len(damaged) - 1)] = byte
            for reader in READERS[kind]:
                try:
                    reader(bytes(damaged))
                except ValueError as error:
                    assert str(error).count("\n") == 0

    check()


@given(st.binary(max_size=300))
def test_bytes_of_any_kind_are_refused_in_one_line(body: bytes) -> None:
    for readers in READERS.values():
        for reader in readers:
            try:
                reader(body)
            except ValueError as error:
                assert str(error).count("\n") == 0


@pytest.mark.parametrize("count", [2**31, 2**62, -(2**62)])
def test_a_count_that_no_message_has_takes_no_memory(count: int) -> None:
    number = bytearray()
    left = (count << 1) ^ (count >> 63)
    left &= 2**64 - 1
    while left > 127:
        number.append(left & 127 | 128)
        left >>= 7
    number.append(left)
    for body in (bytes(number), b"\0" * 9 + bytes(number), b"\0" * 14 + bytes(number) * 3):
        for kind in READERS:
            with pytest.raises(ValueError, match=r"\A[^\n]+\Z"):
                READERS[kind][0](body)
