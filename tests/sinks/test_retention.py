"""Retention: TTL is set where it differs, changed, taken away, and rows do go."""

import pytest

from tiercel.errors import ConfigError, StoreError
from tiercel.joints.base import Message
from tiercel.schemas import topics
from tiercel.sinks import retention
from tiercel.sinks.clickhouse import ClickHouseSink
from tiercel.store import connect
from tiercel.testing import builders
from tiercel.testing.chdb_http import ChdbServer

pytestmark = pytest.mark.services

_FAR = 4_700_000_000_000_000_000  # 2118


def test_rows_expire_by_table(store: ChdbServer) -> None:
    client = connect(store.dsn)
    sink = ClickHouseSink(client, "test")
    sink.assign({0})
    sink.write(
        [
            Message(topics.EVENTS, 0, 0, b"", builders.enriched(0, 0)),
            Message(topics.EVENTS, 0, 1, b"", builders.enriched(0, 1, time=_FAR)),
            Message(topics.ALERTS, 0, 0, b"", builders.alert("id")),
        ]
    )
    assert retention.apply(client, {"events": 24, "alerts": 0, "ledger": 24 * 365 * 50}) == ["events", "ledger"]
    assert retention.apply(client, {"events": 24, "alerts": 0, "ledger": 24 * 365 * 50}) == []
    for table in ("events", "alerts", "ledger", "positions"):
        client.command(f"OPTIMIZE TABLE {table} FINAL")
    left = [client.query(f"SELECT count() FROM {t}").result_rows[0][0] for t in ("events", "alerts", "ledger")]
    # Those of a clock that runs ahead stay.
    assert left == [3, 1, 6]
    assert client.query("SELECT count() FROM positions").result_rows[0][0] >= 1
    assert retention.apply(client, {"events": 48}) == ["events"]
    assert retention.apply(client, {"events": 0}) == ["events"]
    assert "TTL" not in client.query("SELECT engine_full FROM system.tables WHERE name = 'events'").result_rows[0][0]
    # What it has expired counts as stored all the same.
    again = ClickHouseSink(connect(store.dsn), "test")
    again.assign({0})
    assert again.write([Message(topics.EVENTS, 0, 0, b"", builders.enriched(0, 0))]).events == 0


def test_a_store_without_tables_says_so(store: ChdbServer) -> None:
    with pytest.raises(StoreError, match=r"store\.retention of events cannot be set"):
        retention.apply(connect(store.dsn), {"events": 24})


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("{events: 90d, alerts: 1y, ledger: none}", {"events": 2160, "alerts": 8760, "ledger": 0}),
        ("events: 12h", {"events": 12}),
        ("events: 0", {"events": 0}),
        ("", {}),
    ],
)
def test_times_are_read(monkeypatch: pytest.MonkeyPatch, text: str, found: dict[str, int]) -> None:
    from tiercel import config

    monkeypatch.setenv("TIERCEL_STORE_RETENTION", text)
    assert config.load().store.retention == found


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{events: soon}", "events: 'soon' is no time"),
        ("{events: 0d}", "no time"),
        ("{events: 99999y}", "no time"),
        ("{positions: 1d}", "'positions' does not expire"),
        ("[", "not YAML"),
        ("90d", "for each table"),
        ("{events: {a: b}}", "no time"),
    ],
)
def test_what_is_no_time_is_one_sentence(monkeypatch: pytest.MonkeyPatch, text: str, reason: str) -> None:
    from tiercel import config

    monkeypatch.setenv("TIERCEL_STORE_RETENTION", text)
    with pytest.raises(ConfigError, match="TIERCEL_STORE_RETENTION") as caught:
        config.load()
    assert reason in str(caught.value)
