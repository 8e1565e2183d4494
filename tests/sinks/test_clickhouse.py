"""The ClickHouse sink after a crash: rows beyond the position are found, and only what is missing is written."""

import pytest

from tiercel.errors import StoreError
from tiercel.joints.base import Message
from tiercel.schemas import topics
from tiercel.sinks.clickhouse import ClickHouseSink
from tiercel.store import connect
from tiercel.testing import builders
from tiercel.testing.services import ClickHouse

pytestmark = pytest.mark.services


def batch(offset: int, **fields: object) -> Message:
    return Message(topics.EVENTS, 0, offset, b"host-1", builders.enriched(0, offset, **fields))


def test_rows_beyond_the_position_are_not_written_again(clickhouse: ClickHouse) -> None:
    client = connect(clickhouse.dsn)
    sink = ClickHouseSink(client, "test")
    sink.assign({0})
    sink.write([batch(0), batch(1), batch(2)])
    # As if killed in the middle of the insert of 1 and 2: no position, a row of 1 missing, the ledger of 2 missing.
    client.command("DELETE FROM positions WHERE 1")
    client.insert("positions", [["test", 0, 0]], column_names=["origin", "raw_partition", "raw_offset"])
    client.command("DELETE FROM events WHERE raw_offset = 1 AND row = 2")
    client.command("DELETE FROM ledger WHERE raw_offset = 2")

    sink = ClickHouseSink(connect(clickhouse.dsn), "test")
    sink.assign({0})
    assert sink.next_offset() == 3
    sink.write([batch(0), batch(1), batch(2), batch(3)])
    rows = client.query("SELECT raw_offset, count(), uniqExact(row) FROM events GROUP BY 1 ORDER BY 1").result_rows
    assert rows == [(n, 3, 3) for n in range(4)]
    books = client.query(
        "SELECT raw_offset, sumIf(count, kind = 'stored') FROM ledger GROUP BY 1 ORDER BY 1"
    ).result_rows
    assert books == [(n, 3) for n in range(4)]
    assert client.query("SELECT max(raw_offset) FROM positions").result_rows == [(3,)]


def test_another_topic_counts_anew(clickhouse: ClickHouse) -> None:
    client = connect(clickhouse.dsn)
    for origin in ("kafka:one", "kafka:two"):
        sink = ClickHouseSink(client, origin)
        sink.assign({0})
        assert sink.write([batch(0)]).events == 3
    assert client.query("SELECT uniqExact(origin), count() FROM events").result_rows == [(2, 6)]


def test_facts_losses_and_alerts_arrive(clickhouse: ClickHouse) -> None:
    client = connect(clickhouse.dsn)
    sink = ClickHouseSink(client, "test")
    sink.assign({0})
    alert = Message(topics.ALERTS, 0, 0, b"", builders.alert("id-1"))
    sink.write([batch(0, lost=[("ring", "ring_full", 4)], produced=7), alert])
    query = """SELECT seq, type, proc_name, proc_pid, proc_pname, fd_num, fd_name, res, args['fd']
               FROM events ORDER BY seq LIMIT 1"""
    assert client.query(query).result_rows == [(1000, "close", "cat", 42, "bash", 3, "", 0, "3")]
    query = "SELECT id, name, ancestor_names, ancestor_exepaths FROM processes"
    assert client.query(query).result_rows == [(77, "cat", ["bash"], ["/bin/bash"])]
    query = "SELECT kind, stage, reason, count FROM ledger ORDER BY kind"
    found = {row[0]: row[1:] for row in client.query(query).result_rows}
    assert found["lost"] == ("ring", "ring_full", 4)
    assert found["produced"][2] == found["stored"][2] + found["lost"][2] == 7
    query = "SELECT id, rule, priority, output_fields FROM alerts"
    assert client.query(query).result_rows == [("id-1", "A rule", "Warning", '{"proc.pid":42,"proc.name":null}')]


def test_what_cannot_be_read_is_counted_and_the_rest_is_stored(clickhouse: ClickHouse) -> None:
    sink = ClickHouseSink(connect(clickhouse.dsn), "test")
    sink.assign({0})
    good = builders.enriched(0, 1)
    stored = sink.write(
        [
            Message(topics.EVENTS, 0, 0, b"", b"nonsense"),
            Message(topics.EVENTS, 0, 1, b"", good[:-5]),
            Message(topics.EVENTS, 0, 2, b"", good),
        ]
    )
    assert (stored.unreadable, stored.events) == (2, 3)


def test_processes_are_written_once(clickhouse: ClickHouse) -> None:
    client = connect(clickhouse.dsn)
    sink = ClickHouseSink(client, "test", known_processes=2)
    sink.assign({0})
    for offset in range(4):
        sink.write([batch(offset)])
    assert client.query("SELECT count() FROM processes").result_rows == [(1,)]


def test_a_store_that_is_away_is_one_sentence(clickhouse: ClickHouse) -> None:
    client = connect(clickhouse.dsn)
    sink = ClickHouseSink(client, "test")
    sink.assign({0})
    client.command("DROP TABLE ledger")
    with pytest.raises(StoreError, match=r"^the store refuses rows: "):
        sink.write([batch(0)])


def test_raw_batches_are_kept_once(clickhouse: ClickHouse) -> None:
    client = connect(clickhouse.dsn)
    raw = [Message(topics.RAW, 0, offset, b"host-1", bytes([offset]) * 500) for offset in range(4)]
    for messages in (raw[:2], raw[1:3], [raw[3], raw[3], batch(0)]):
        sink = ClickHouseSink(connect(clickhouse.dsn), "test")
        sink.assign({0})
        sink.write(messages)
    query = "SELECT raw_partition, raw_offset, host_id, message = repeat(char(raw_offset), 500) FROM raw ORDER BY 2"
    assert client.query(query).result_rows == [(0, offset, "host-1", 1) for offset in range(4)]
    assert client.query("SELECT max(raw_offset) FROM positions").result_rows == [(0,)], (
        "raw batches do not claim events"
    )
    assert sink.counters.raw_batches == 1
