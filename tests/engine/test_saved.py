"""A host saved in the middle of a recording and loaded elsewhere says what it would have said without."""

import gzip
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tiercel._engine import Batch, CaptureReader, Host, RuleSet, encode_raw
from tiercel.local import bundled_capture
from tiercel.rules.load import rules_from

HEADER = {"host_id": "h", "host": "vm", "boot_id": "b", "run": 1, "time": 1, "produced": 0, "delivered": 0, "lost": []}
SHARED = next((up / "shared" for up in Path(__file__).parents if (up / "shared/captures").is_dir()), None)
TIGHT = {"max_threads": 64, "max_fds": 64, "max_users": 64, "max_orphans": 64, "max_exits": 64, "max_bytes": 1 << 20}


def bodies(path: Path, size: int) -> Iterator[bytes]:
    data = path.read_bytes()
    reader = CaptureReader()
    reader.feed(gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data)
    reader.finish()
    seq = 1
    while (batch := reader.next(size)) is not None:
        yield encode_raw(batch, 0, len(batch), HEADER | {"first_seq": seq})
        seq += len(batch)


def same_when_cut(path: Path, size: int, cuts: int, limits: dict[str, int]) -> None:
    rules = RuleSet(rules_from([]).plan(matching="all"))
    raw = list(bodies(path, size))
    chosen = set(random.Random(7).sample(range(1, len(raw)), min(cuts, len(raw) - 1)))
    whole, cut = Host(**limits), Host(**limits)
    for offset, body in enumerate(raw):
        if offset in chosen:
            saved, cut = cut.save(), Host(**limits)
            cut.load(saved)
            assert cut.counters == whole.counters
        expected = whole.process(body, rules, partition=0, offset=offset)
        found = cut.process(body, rules, partition=0, offset=offset)
        assert (found.enriched, found.alerts) == (expected.enriched, expected.alerts), offset
    assert cut.save() == whole.save()


@pytest.mark.parametrize("limits", [{}, TIGHT], ids=["default", "tight"])
def test_the_bundled_recording_cut_anywhere(limits: dict[str, int]) -> None:
    same_when_cut(bundled_capture(), 100, 40, limits)


@pytest.mark.skipif(SHARED is None, reason="the recordings (../shared/captures) are not here")
@pytest.mark.parametrize("name", ["workload.scap.gz", "curl_google.scap", "sample.scap"])
def test_other_recordings_cut_anywhere(name: str) -> None:
    assert SHARED is not None
    path = SHARED / "captures" / name
    if not path.exists():
        pytest.skip(f"{name} is not here")
    same_when_cut(path, 2000, 12, TIGHT)


def test_what_is_no_saved_host_changes_nothing() -> None:
    host = Host()
    for body in bodies(bundled_capture(), 1000):
        host.process(body, None, partition=0, offset=0)
    saved = host.save()
    newer = saved[:8] + b"\xff\x00" + saved[10:]
    for wrong, message in [
        (b"", "not a saved host"),
        (b"x" * 100, "not a saved host"),
        (newer, "version 255"),
        (saved[:-1], "cut short"),
        (saved[:-1] + bytes([saved[-1] ^ 1]), "checksum"),
    ]:
        with pytest.raises(ValueError, match=message):
            host.load(wrong)
        assert host.save() == saved


def test_counters_name_every_limit() -> None:
    host, batch = Host(max_threads=4, max_fds=4, max_exits=2, max_users=4, max_orphans=4), Batch()
    for uid in range(9):
        batch.append("useradded", time=1, tid=-1, params=[uid, uid, "u", "/", "/bin/sh", ""])
    for tid in range(1, 9):
        batch.append("getcwd", time=2, tid=tid, params=[-1, None])
    for fd in range(9):
        batch.append("openat", time=3, tid=8, params=[fd, -100, f"/{fd}", 0, 0, 0, 0])
    host.process(encode_raw(batch, 0, len(batch), HEADER | {"first_seq": 1}), None, partition=0, offset=0)
    counters = host.counters
    assert counters["evicted_threads"] == 8 - counters["threads"]
    assert counters["evicted_users"] == 9 - counters["users"]
    assert counters["evicted_fds"] == 9 - counters["fds"]
    assert {"evicted_orphans", "forgotten_exits", "shrunk", "bytes", "orphans"} <= counters.keys()
