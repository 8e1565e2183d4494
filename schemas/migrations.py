"""Brings a ClickHouse database, server or chDB, to the tables of schemas/clickhouse/*.sql."""

import hashlib
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

    A migration that broke off is begun again, so each of its statements is idempotent.
    """
    client.command(_TABLE)
    rows = client.query("SELECT number, any(name), any(sha256) FROM migrations GROUP BY number").result_rows
    known = {int(number): (name, sha256) for number, name, sha256 in rows}
    files = migrations()
    if known and max(known) > files[-1].number:
        raise StoreError(f"the store was made by a newer Tiercel (migration {known[max(known)][0]}); upgrade this one")
    applied = []
    for migration in files:
        if migration.number in known:
            if known[migration.number][1] != migration.sha256:
                raise StoreError(
                    f"the store's tables come from another version of {migration.name}.sql; use a new database"
                )
            continue
        for statement in migration.statements():
            client.command(statement)
        client.command(
            "INSERT INTO migrations (number, name, sha256) VALUES (%(number)s, %(name)s, %(sha256)s)",
            parameters={"number": migration.number, "name": migration.name, "sha256": migration.sha256},
        )
        applied.append(migration.name)
    return applied
