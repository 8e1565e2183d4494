"""The engine's own troubles, brought about and not told to it: what a sink makes of them, and that nothing is lost."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tiercel.errors import StoreError
from tiercel.joints.base import Message
from tiercel.schemas import topics
from tiercel.sinks.clickhouse import ClickHouseSink
from tiercel.sinks.refusals import AwayError
from tiercel.store import connect
from tiercel.testing import builders
from tiercel.testing.chdb_http import ChdbServer
from tiercel.testing.faults import Fault

from .conftest import whole

pytestmark = pytest.mark.services


def batch(offset: int, count: int = 3) -> Message:
    return Message(topics.EVENTS, 0, offset, b"host-1", builders.enriched(0, offset, count))


def test_too_many_parts(store: ChdbServer) -> None:
    client = connect(store.dsn)
    sink = ClickHouseSink(connect(store.dsn), "test")
    sink.assign({0})
    sink.write([batch(0)])
    client.command("ALTER TABLE ledger MODIFY SETTING parts_to_throw_insert = 1, parts_to_delay_insert = 1")
    with pytest.raises(AwayError, match=r"[Tt]oo many parts.*inserts_per_minute"):
        sink.write([batch(1)])
    assert sink.counters.retries == {"too_many_parts": 1}
    client.command("ALTER TABLE ledger RESET SETTING parts_to_throw_insert, parts_to_delay_insert")
    sink.write([batch(1)])
    whole(client, "test")


def test_too_little_memory(store: ChdbServer) -> None:
    client, poor = connect(store.dsn), connect(store.dsn)
    sink = ClickHouseSink(poor, "test")
    sink.assign({0})
    sink.write([batch(0)])
    poor.set_client_setting("max_memory_usage", 100_000)
    with pytest.raises(AwayError, match=r"memory limit.*sink\.batch_bytes"):
        sink.write([batch(1)])
    assert set(sink.counters.retries) == {"memory"}
    poor.set_client_setting("max_memory_usage", 0)
    sink.write([batch(1)])
    whole(client, "test")


def test_a_table_that_is_gone_or_has_another_type(store: ChdbServer) -> None:
    client = connect(store.dsn)
    sink = ClickHouseSink(connect(store.dsn), "test")
    sink.assign({0})
    client.command("RENAME TABLE ledger TO hidden")
    with pytest.raises(AwayError, match="a table is gone"):
        sink.write([batch(0)])
    client.command("RENAME TABLE hidden TO ledger")
    sink.write([batch(0)])
    whole(client, "test")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("needs root to mount a small disk")
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(disk)], check=True)
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_full_disk(small_disk: Path) -> None:
    with ChdbServer(small_disk / "store") as store:
        client = connect(store.dsn)
        sink = ClickHouseSink(connect(store.dsn), "test")
        sink.assign({0})
        sink.write([batch(0)])
        ballast = small_disk / "ballast"
        with ballast.open("wb") as file, pytest.raises(OSError, match="No space"):
            while True:
                file.write(os.urandom(1 << 16))
                file.flush()
        with pytest.raises(AwayError, match="disk"):
            for offset in range(1, 200):
                sink.write([batch(offset)])
        # Whatever the word: it waits for room, and sets nothing aside.
        assert sink.counters.refused_batches == 0
        ballast.unlink()
        again = ClickHouseSink(connect(store.dsn), "test")
        again.assign({0})
        for written in (sink, again):
            written.write([batch(n) for n in range(30)])
            whole(client, "test")
        assert client.query("SELECT uniqExact(raw_offset) FROM events").result_rows[0][0] >= 30


def test_a_topic_made_anew_is_no_stream_of_repeats(store: ChdbServer) -> None:
    same = [True]
    sink = ClickHouseSink(connect(store.dsn), "test", still=lambda: same[0])
    sink.assign({0})
    sink.write([batch(n) for n in range(3)])
    same[0] = False
    sink._places._checked = 0.0
    with pytest.raises(StoreError, match="made anew"):
        sink.write([batch(0)])
    sink.assign({0})
    with pytest.raises(StoreError, match="made anew"):
        sink.write([batch(7)])


def test_what_is_too_much_is_written_in_parts(store: ChdbServer) -> None:
    sink = ClickHouseSink(connect(store.dsn), "test")
    sink.assign({0})
    store.fail(Fault(code=241, match="INTO events", times=2), Fault(code=159, match="INTO events", times=1))
    messages = [batch(n) for n in range(8)]
    for _ in range(3):
        with pytest.raises(AwayError):
            sink.write(messages)
    assert sink.write(messages).events == 24
    # One, two, four, and the last.
    assert sink.counters.inserts_of["events"] == 4
    whole(connect(store.dsn), "test")


def test_an_alert_and_a_part_of_a_batch_that_the_store_never_takes(store: ChdbServer) -> None:
    client = connect(store.dsn)
    kept = list[Message]()
    sink = ClickHouseSink(connect(store.dsn), "test", quarantine=lambda message, _: kept.append(message))
    sink.assign({0})
    client.command("ALTER TABLE alerts ADD CONSTRAINT no_evil CHECK rule != 'Evil'")
    client.command("ALTER TABLE processes ADD CONSTRAINT no_evil CHECK host != 'evil'")
    good = [Message(topics.ALERTS, 0, n, b"", builders.alert(f"id-{n}")) for n in range(3)]
    evil = Message(topics.ALERTS, 0, 3, b"", builders.alert("id-3", rule="Evil"))
    # Its events are taken, its process is not: they stay, and count as stored.
    half = Message(topics.EVENTS, 0, 1, b"", builders.enriched(0, 1, host="evil", processes=[builders.process(78)]))
    broken = Message(topics.EVENTS, 0, 9, b"", half.value[:-5])
    stored = sink.write([batch(0), *good, evil, half, broken, batch(2)])
    assert {message[:3] for message in kept} == {evil[:3], half[:3], broken[:3]}
    assert (stored.events, stored.alerts, stored.refused, stored.unreadable) == (9, 3, 2, 1)
    books = client.query("SELECT sumIf(count, kind = 'stored'), sumIf(count, kind = 'lost') FROM ledger").result_rows
    assert books == [(9, 0)]
    assert client.query("SELECT count() FROM events").result_rows == [(9,)]
    assert client.query("SELECT uniqExact(id), count() FROM alerts").result_rows == [(3, 3)]
    assert client.query("SELECT max(raw_offset) FROM positions").result_rows == [(2,)]
    # The same again changes nothing.
    kept.clear()
    assert sink.write([batch(0), *good, half, batch(2)]).events == 0
    assert client.query("SELECT count() FROM events").result_rows == [(9,)]
