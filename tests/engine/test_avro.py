"""The engine's hand-written Avro against fastavro with the schemas of schemas/*.avsc, in both directions."""

import io
import json
from pathlib import Path
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engine.events import EVENTS, MadeEvent, events
from tiercel import _engine

SCHEMAS = Path(__file__).parents[2] / "schemas"
RAW = fastavro.parse_schema(json.loads((SCHEMAS / "raw_batch.avsc").read_text()))
BASE = 1_795_461_325_000_000_000


def header(**changes: Any) -> dict[str, Any]:
    """A header as `encode_raw` takes it."""
    return {
        "host_id": "4f1c",
        "host": "höst",
        "boot_id": "boot",
        "run": 2**64 - 1,
        "first_seq": 17,
        "time": BASE,
        "produced": 12,
        "delivered": 9,
        "lost": [("ring", "full", 3)],
        "shed": [("ring", "budget_payload", 2)],
    } | changes


def batch_of(made: list[MadeEvent]) -> _engine.Batch:
    batch = _engine.Batch()
    for event in made:
        params = [param.given for param in event.params]
        batch.append(event.name, time=event.time, tid=event.tid, cpu=event.cpu, params=params)
    return batch


def as_avro(made: list[MadeEvent]) -> dict[str, Any]:
    """The batch as fastavro has it."""
    rows = sorted({event.name for event in made}, key=list(EVENTS).index)
    codes = [{"code": EVENTS[n][0], "name": n, "params": [param[0] for param in EVENTS[n][6]]} for n in rows]
    lost = [{"stage": "ring", "reason": "full", "count": 3}]
    events = [event.as_avro(BASE) for event in made]
    shed = [{"stage": "ring", "reason": "budget_payload", "count": 2}]
    return header(run=-1, lost=lost, shed=shed) | {"codes": codes, "events": events}


def read(body: bytes) -> Any:
    stream = io.BytesIO(body)
    record = fastavro.schemaless_reader(stream, RAW, None)
    assert stream.read() == b""
    return record


@given(st.lists(events(), max_size=6))
def test_fastavro_reads_what_the_engine_writes(made: list[MadeEvent]) -> None:
    assert read(_engine.encode_raw(batch_of(made), 0, len(made), header())) == as_avro(made)


@given(st.lists(events(), max_size=6))
def test_the_engine_reads_what_fastavro_writes(made: list[MadeEvent]) -> None:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, RAW, as_avro(made))
    told, batch = _engine.decode_raw(out.getvalue())
    assert told == header()
    assert batch.to_dicts() == [event.as_dict() for event in made]
    leading = header()
    del leading["shed"]  # it comes last
    assert _engine.header_of(out.getvalue()) == leading


@given(st.lists(events(), min_size=1, max_size=6), st.data())
def test_part_of_a_batch_is_a_batch(made: list[MadeEvent], data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(made)))
    stop = data.draw(st.integers(start, len(made)))
    body = _engine.encode_raw(batch_of(made), start, stop, header())
    assert body == _engine.encode_raw(batch_of(made[start:stop]), 0, stop - start, header())


@given(st.lists(events(), min_size=1, max_size=3), st.data())
def test_a_cut_message_is_refused(made: list[MadeEvent], data: st.DataObject) -> None:
    body = _engine.encode_raw(batch_of(made), 0, len(made), header())
    cut = data.draw(st.integers(0, len(body) - 1))
    with pytest.raises(ValueError, match=r"^[^\n]+$"):
        _engine.decode_raw(body[:cut])


def test_bytes_of_another_layout_survive() -> None:
    odd = [b"abc", b"\x02cut", b"\x01\x02", b"x"]
    batch = _engine.Batch()
    batch.append("bind", time=BASE, tid=1, params=[odd[0], odd[1], odd[2]])
    batch.append("poll", time=BASE, tid=1, params=[0, odd[2], 0])
    batch.append("keyctl", time=BASE, tid=1, params=[0, 1, b"\x09??", b"\x00123", None, (1, "kept")])
    body = _engine.encode_raw(batch, 0, 3, header())
    assert _engine.decode_raw(body)[1].to_dicts() == batch.to_dicts()
    dyns = read(body)["events"][2]["dyns"]
    assert [dyn["type"] for dyn in dyns] == [-1, -1, -1, 1]


def test_without_a_time_the_batch_has_that_of_its_first_event() -> None:
    batch = _engine.Batch()
    batch.append("close", time=123, tid=1, params=[0, 3])
    told = header()
    del told["time"]
    assert _engine.decode_raw(_engine.encode_raw(batch, 0, 1, told))[0]["time"] == 123


def test_values_that_do_not_fit_are_named() -> None:
    record = as_avro([])
    values = {"values": [0, 2**40], "addr": None, "tuple": None, "fds": None, "dyns": []}
    record["events"] = [{"time": 0, "tid": 1, "cpu": 0, "code": EVENTS["setuid"][0]} | values]
    out = io.BytesIO()
    fastavro.schemaless_writer(out, RAW, record)
    with pytest.raises(ValueError, match=r"parameter \d of event 0 \(setuid\): the number does not fit its type"):
        _engine.decode_raw(out.getvalue())
