"""Sets how long tables of the store keep their rows: ClickHouse's TTL, changed only where it differs."""

import logging
import re
from collections.abc import Mapping

from clickhouse_connect.driver.client import Client

from tiercel.errors import StoreError
from tiercel.sinks.refusals import FAULTS, judge

log = logging.getLogger(__name__)

_TIMES = {"events": "ts", "alerts": "ts", "ledger": "until", "raw": "stored"}


def apply(client: Client, hours: Mapping[str, int]) -> list[str]:
    """Have each table that is named keep its rows for so many hours, 0 being for ever; returns the tables changed.

    StoreError. Several sinks may do it at once, if they are told the same.
    """
    changed = []
    for table, kept in hours.items():
        try:
            wanted = _ttl(table, kept)
            if _plain(_current(client, table)) == _plain(wanted):
                continue
            client.command(f"ALTER TABLE {table} " + (f"MODIFY TTL {wanted}" if wanted else "REMOVE TTL"))
        except FAULTS as error:
            raise StoreError(f"store.retention of {table} cannot be set: {judge(error).text}") from None
        log.info("retention set", extra={"table": table, "hours": kept or "for ever"})
        changed.append(table)
    return changed


def _ttl(table: str, hours: int) -> str:
    # Times past 2106 would begin anew in 1970, and a host's clock may say anything.
    latest = "toDateTime64('2050-01-01 00:00:00', 9, 'UTC')"
    return f"toDateTime(least({_TIMES[table]}, {latest})) + toIntervalHour({hours})" if hours else ""


def _current(client: Client, table: str) -> str:
    rows = client.query(
        "SELECT engine_full FROM system.tables WHERE database = currentDatabase() AND name = %(table)s",
        parameters={"table": table},
    ).result_rows
    found = re.search(r"\bTTL (.*?)(?: SETTINGS |$)", str(rows[0][0]) if rows else "", re.DOTALL)
    return found[1] if found else ""


def _plain(text: str) -> str:
    return re.sub(r"[\s()]", "", text)
