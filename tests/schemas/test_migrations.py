"""Migrations: applied once, the same for every engine, and refused where the tables are not ours."""

import clickhouse_connect
import pytest

from tiercel.errors import StoreError
from tiercel.schemas import migrations
from tiercel.store import connect
from tiercel.testing.services import ClickHouse


@pytest.mark.services
def test_applied_once_and_recorded(clickhouse: ClickHouse) -> None:
    client = connect(clickhouse.dsn)
    names = [m.name for m in migrations.migrations()]
    assert migrations.apply(client) == names
    assert migrations.apply(client) == []
    tables = {
        row[0] for row in client.query("SELECT name FROM system.tables WHERE database = currentDatabase()").result_rows
    }
    assert {"events", "processes", "alerts", "ledger", "positions"} <= tables
    client.command("DELETE FROM migrations WHERE 1")
    assert migrations.apply(client) == names, "statements of a migration that broke off can be run again"
    client.command("INSERT INTO migrations (number, name, sha256) VALUES (999, '0999_future', '')")
    with pytest.raises(StoreError, match="newer Tiercel"):
        migrations.apply(client)


@pytest.mark.services
def test_several_clients_use_a_store_at_once(clickhouse: ClickHouse) -> None:
    one, other = connect(clickhouse.dsn), connect(clickhouse.dsn)
    migrations.apply(one)
    one.insert("positions", [["q", 0, 5]], column_names=["origin", "raw_partition", "raw_offset"])
    assert other.query("SELECT raw_offset FROM positions WHERE origin = %(o)s", parameters={"o": "q"}).result_rows == [
        (5,)
    ]
    with pytest.raises(clickhouse_connect.driver.exceptions.DatabaseError, match="nowhere"):
        other.query("SELECT * FROM nowhere")
