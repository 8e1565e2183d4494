"""Migrations: applied once, the same for every engine, and refused where the tables are not ours."""

import subprocess
import sys
from pathlib import Path

import clickhouse_connect
import pytest

from tiercel.errors import StoreError
from tiercel.schemas import migrations
from tiercel.store import connect
from tiercel.testing.chdb_http import ChdbServer
from tiercel.testing.faults import Fault
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


_APPLY = """
import sys
from tiercel.schemas import migrations
from tiercel.store import connect
client = connect(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
print(",".join(migrations.apply(client)))
"""


def _columns(client) -> list[tuple]:
    query = "SELECT table, name, type, position FROM system.columns WHERE database = currentDatabase() ORDER BY 1, 4"
    return client.query(query).result_rows


@pytest.mark.services
def test_several_processes_apply_them_at_once(clickhouse: ClickHouse) -> None:
    running = [
        subprocess.Popen(
            [sys.executable, "-c", _APPLY, clickhouse.dsn],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for process in running:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in running:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    ends = [process.communicate(timeout=120) for process in running]
    assert [process.returncode for process in running] == [0] * 4, ends
    client = connect(clickhouse.dsn)
    assert migrations.apply(client) == []
    once = _columns(client)
    # Whoever is late does the first migration after the last one: that must change nothing.
    for migration in migrations.migrations():
        for statement in migration.statements():
            client.command(statement)
        assert _columns(client) == once, migration.name


@pytest.mark.services
def test_one_that_broke_off_is_resumed(tmp_path: Path) -> None:
    with ChdbServer(tmp_path / "store") as store:
        statements = sum(len(list(m.statements())) for m in migrations.migrations())
        for skip in range(statements):
            store.fail(Fault(match="^(CREATE|ALTER)", skip=skip + 1, times=1, cut=True, after=skip % 2 == 0))
            with pytest.raises(clickhouse_connect.driver.exceptions.OperationalError):
                migrations.apply(connect(store.dsn))
            if skip % 4:
                continue
            store.fail()
            client = connect(store.dsn)
            migrations.apply(client)
            break
        assert migrations.apply(connect(store.dsn)) == []
