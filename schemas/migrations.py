"""Brings a ClickHouse database, server or chDB, to the tables of schemas/clickhouse/*.sql."""

import hashlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tiercel.errors import StoreError

FOLDER = Path(__file__).parent / "clickhouse"

_TABLE = """
CREATE TABLE IF NOT EXISTS migrations
(
    number  UInt32,
    name    String,
    sha256  String,
    applied DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = MergeTree
ORDER BY number
"""

# ClickHouse's codes for a change of a table that met another: DUPLICATE_COLUMN, TABLE_ALREADY_EXISTS,
# DEADLOCK_AVOIDED, CANNOT_ASSIGN_ALTER, TABLE_IS_BEING_RESTARTED.
_MET = {15, 57, 473, 517, 733}
_TRIES = 10


class QueryResult(Protocol):
    """What a query gives back."""

    @property
    def result_rows(self) -> Sequence[Sequence[Any]]: ...


class Client(Protocol):
    """The part of a clickhouse-connect client that is used here."""

    def command(self, cmd: str, parameters: Any = None) -> Any: ...

    def query(self, query: str | None = None, parameters: Any = None) -> QueryResult: ...


@dataclass(frozen=True)
class Migration:
    """One numbered file of statements."""

    number: int
    name: str
    text: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()

    def statements(self) -> Iterator[str]:
        """The statements of the file, comments and the final semicolon left out."""
        for part in self.text.split(";\n"):
            lines = [line for line in part.splitlines() if line.strip() and not line.startswith("--")]
            if lines:
                yield "\n".join(lines)


def migrations() -> list[Migration]:
    """All migrations, by number."""
    found = [Migration(int(path.name[:4]), path.stem, path.read_text()) for path in sorted(FOLDER.glob("[0-9]*.sql"))]
    assert len({m.number for m in found}) == len(found), "each migration has a number of its own"
    return found


def apply(client: Client) -> list[str]:
    """Apply what is missing and return the names.

    Several may do it at once, and one that broke off is begun again: each statement changes nothing where it, or a
    migration after it, was applied already. So no lock is needed, which a process that dies would keep.
    """
    _run(client, _TABLE)
    applied = []
    for migration in migrations():
        # Asked each time: meanwhile somebody else may have done it.
        known = _known(client)
        newest = max(known, default=0)
        if newest > migrations()[-1].number:
            raise StoreError(f"the store was made by a newer Tiercel (migration {known[newest][0]}); upgrade this one")
        if migration.number in known:
            if known[migration.number][1] != migration.sha256:
                raise StoreError(
                    f"the store's tables come from another version of {migration.name}.sql; use a new database"
                )
            continue
        for statement in migration.statements():
            _run(client, statement)
        client.command(
            "INSERT INTO migrations (number, name, sha256) VALUES (%(number)s, %(name)s, %(sha256)s)",
            parameters={"number": migration.number, "name": migration.name, "sha256": migration.sha256},
        )
        applied.append(migration.name)
    return applied


def _known(client: Client) -> dict[int, tuple[str, str]]:
    rows = client.query("SELECT number, any(name), any(sha256) FROM migrations GROUP BY number").result_rows
    return {int(number): (name, sha256) for number, name, sha256 in rows}


def _run(client: Client, statement: str) -> None:
    """Run a statement, again where it met the same one of somebody else."""
    for tries in range(1, _TRIES + 1):
        try:
            client.command(statement)
        except Exception as error:
            if getattr(error, "code", None) not in _MET or tries == _TRIES:
                raise
            time.sleep(0.1 * tries)
        else:
            return
