"""Capture files of every age, against what is known about the recordings; and damaged ones."""

import gzip
import struct
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tiercel import _engine

CAPTURES = Path(__file__).parents[3] / "shared" / "captures"
needs_captures = pytest.mark.skipif(not CAPTURES.is_dir(), reason="the recordings (../shared/captures) are not here")
# Of the capture (user and group records and containers included): of these records; events from lists.
COUNTS = {
    "attack_b.scap.gz": (221_266, 72),
    "benign_b.scap.gz": (261_297, 72),
    "workload.scap.gz": (113_621, 0),
}


def read(data: bytes, chunk: int = 1 << 20, limit: int = 10_000) -> tuple[_engine.CaptureReader, list[_engine.Batch]]:
    reader, batches = _engine.CaptureReader(), []

    def drain() -> None:
        while (batch := reader.next(limit)) is not None:
            batches.append(batch)

    for start in range(0, len(data), chunk):
        reader.feed(data[start : start + chunk])
        drain()
    reader.finish()
    drain()
    return reader, batches


def plain(name: str) -> bytes:
    data = (CAPTURES / name).read_bytes()
    return gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data


@needs_captures
@pytest.mark.parametrize("name", sorted(COUNTS))
def test_all_events_of_current_captures_are_read(name: str) -> None:
    reader, batches = read(plain(name))
    events, users = COUNTS[name]
    told = [batch for batch in batches if batch.first_time > 0]
    assert sum(map(len, told)) == events
    assert reader.skipped == 0
    machine = reader.machine
    assert machine is not None
    assert machine["num_cpus"] > 0
    kinds = Counter(event["name"] for event in told[0].to_dicts())
    assert kinds["useradded"] + kinds["groupadded"] == users


def old_lines(name: str) -> list[list[str]]:
    with gzip.open(CAPTURES / "expected" / f"{name}.sysdig.txt.gz", "rt", errors="replace") as lines:
        return [line.split() for line in lines]


@needs_captures
@pytest.mark.parametrize("name", sorted(path.name.split(".")[0] for path in CAPTURES.glob("*.scap")))
def test_old_captures_have_the_exits_that_sysdig_prints(name: str) -> None:
    _, batches = read(plain(f"{name}.scap"), chunk=1000)
    ours: Counter[Any] = Counter()
    for batch in batches:
        ours.update((event["time"], event["cpu"], event["tid"]) for event in batch.to_dicts())
    missing = [
        line for line in old_lines(name) if line[4] == "<" and (int(line[1]), int(line[2]), int(line[3])) not in ours
    ]
    assert missing == []


@needs_captures
def test_lists_come_first_as_events_without_time() -> None:
    _, batches = read(plain("sample.scap"), limit=50)
    kinds: Counter[str] = Counter()
    lists = [batch for batch in batches if batch.first_time == 0]
    for batch in lists:
        assert batch.last_time == 0
        assert len(batch) <= 50
        kinds.update(event["name"] for event in batch.to_dicts())
    assert batches[: len(lists)] == lists
    assert kinds["thread_snapshot"] > 90
    assert kinds["useradded"] == 34
    assert kinds["groupadded"] == 61
    assert kinds["fd_snapshot"] > 500
    assert kinds["interface_snapshot"] > 0


@needs_captures
def test_small_pieces_give_the_same_events() -> None:
    data = plain("cat_write.scap")
    whole = [event for batch in read(data)[1] for event in batch.to_dicts()]
    assert [event for batch in read(data, chunk=7)[1] for event in batch.to_dicts()] == whole


def block(kind: int, body: bytes) -> bytes:
    body += b"\0" * (-len(body) % 4)
    return struct.pack("<II", kind, len(body) + 12) + body + struct.pack("<I", len(body) + 12)


SECTION = block(0x0A0D0D0A, struct.pack("<IHHQ", 0x1A2B3C4D, 1, 2, 2**64 - 1))


def close_event(ts: int, code: int = 5, length: int | None = None, count: int = 2) -> bytes:
    params = struct.pack("<qq", 0, 3)
    length = 26 + 4 + len(params) if length is None else length
    header = struct.pack("<HQQIHI", 0, ts, 7, length, code, count)
    return block(0x216, header + struct.pack("<HH", 8, 8) + params)


def test_a_cut_capture_gives_what_is_whole_and_says_where_it_ends() -> None:
    data = SECTION + close_event(1) + close_event(2)[:-5]
    reader = _engine.CaptureReader()
    reader.feed(data)
    batch = reader.next(10)
    assert batch is not None
    assert len(batch) == 1
    with pytest.raises(
        ValueError, match=f"the capture ends in the middle of a block at byte {len(SECTION + close_event(1))}"
    ):
        reader.finish()


def test_unknown_events_are_counted() -> None:
    reader, batches = read(SECTION + close_event(1) + close_event(2, code=5000) + close_event(3))
    assert [event["time"] for batch in batches for event in batch.to_dicts()] == [1, 3]
    assert reader.skipped == 1


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "it does not begin with a section header"),
        (b"\x1f\x8b\x08", "this capture is compressed"),
        (b"PK\3\4" * 10, "it does not begin with a section header"),
        (SECTION, "the capture has no events"),
        (block(0x0A0D0D0A, struct.pack(">IHHQ", 0x1A2B3C4D, 1, 2, 0)), "the other byte order"),
        (block(0x0A0D0D0A, struct.pack("<IHHQ", 0x1A2B3C4D, 2, 2, 0)), "format version 2"),
        (SECTION + b"\x16\x02\0\0\1\0\0\0", "the block at byte 28 claims 1 bytes"),
        (SECTION + b"\x16\x02\0\0\0\0\0\x7f", "the block at byte 28 claims 2130706432 bytes"),
        (SECTION + close_event(1, length=20), "the event at byte 28 is damaged: its length is less than its header's"),
        (SECTION + close_event(1, length=2**31), "the event at byte 28 is damaged: it is longer than its block"),
        (SECTION + close_event(1, count=2**31), "the event at byte 28 is damaged: a parameter goes past its end"),
        (SECTION + block(0x215, b"\xff\xff\xff\x7f1234"), "the process list at byte 28 is damaged"),
        (SECTION + close_event(1) + block(0x999, b""), "there is an unexpected block of type 0x999"),
    ],
)
def test_damage_is_one_clear_sentence(data: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read(data)
