"""A store that fails as it is told to, and what must hold in it."""

from collections.abc import Iterator
from typing import Any

import pytest

from tiercel.testing.chdb_http import ChdbServer


@pytest.fixture
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChdbServer]:
    """ClickHouse's engine behind its HTTP interface; `fail` has it fail."""
    pytest.importorskip("chdb")
    with ChdbServer(tmp_path_factory.mktemp("store")) as server:
        yield server


@pytest.fixture(scope="module")
def one_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChdbServer]:
    """The same for all tests of a module: each takes an origin of its own."""
    pytest.importorskip("chdb")
    with ChdbServer(tmp_path_factory.mktemp("store")) as server:
        yield server


def whole(client: Any, origin: str, partition: int = 0) -> None:
    """No row is there twice, and `positions` claims nothing that is not there."""
    place = {"origin": origin, "partition": partition}
    where = "origin = %(origin)s AND raw_partition = %(partition)s"
    for table in ("events", "ledger"):
        doubled = client.query(
            f"SELECT raw_offset, row, count() FROM {table} WHERE {where} GROUP BY 1, 2 HAVING count() > 1", place
        ).result_rows
        assert doubled == [], f"{table}: twice"
    position = client.query(f"SELECT max(raw_offset), count() FROM positions WHERE {where}", place).result_rows[0]
    if position[1]:
        for table, rows in (("events", 3), ("ledger", 3)):
            found = client.query(
                f"SELECT count() FROM {table} WHERE {where} AND raw_offset <= {position[0]}", place
            ).result_rows[0][0]
            assert found == rows * (position[0] + 1), f"{table}: the position claims what is not there"
