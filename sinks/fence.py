"""Lets one sink at a time write the rows of a raw partition, whoever else still thinks that it may.

A sink that was stopped and went on, or whose insert lies somewhere in the network, cannot be asked; so the store
decides. Each insert carries a condition that the store evaluates when the insert begins: no newer row in `fences`. A
sink that takes a partition writes such a row, waits until no insert of those before it runs any more, and only then
looks up what is there.
"""

import time
import uuid
from collections.abc import Iterable
from typing import Any

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError

_POLL_S = 0.05


class Fence:
    """The right of one sink to partitions of `origin`. `timeout` is the longest that the store lets an insert run.

    Holds on one server, or on a cluster whose sinks all write to the same replica.
    """

    def __init__(self, client: Client, origin: str, *, timeout: float) -> None:
        self.waited = 0.0
        self._client, self._origin, self._timeout = client, origin, timeout
        self._epoch, self._owner = 0, ""

    def take(self, partitions: Iterable[int]) -> None:
        """From now on neither others' inserts pass nor our own of before, and none of them runs any more."""
        wanted = sorted(partitions)
        where = "origin = %(origin)s AND raw_partition IN %(partitions)s"
        rows = self._client.query(
            f"SELECT max(epoch) FROM fences WHERE {where}",  # noqa: S608 - constants
            parameters={"origin": self._origin, "partitions": wanted},
        ).result_rows
        # By the clock, too, as rows expire.
        self._epoch, self._owner = max(time.time_ns(), int(rows[0][0]) + 1), uuid.uuid4().hex
        # As text in the query, not as data behind it: nothing may be sent twice, but this may.
        values = ", ".join(f"({quoted(self._origin)}, {p}, {self._epoch}, '{self._owner}')" for p in wanted)
        self._client.command(f"INSERT INTO fences (origin, raw_partition, epoch, owner) VALUES {values}")  # noqa: S608
        self._drain(wanted)

    def guard(self, partitions: Iterable[int]) -> str:
        """The condition of an insert of these partitions: error 395, `fenced`, where it does not hold."""
        among = ", ".join(str(int(p)) for p in sorted(partitions))
        return (
            f"throwIf((SELECT count() FROM fences WHERE origin = {quoted(self._origin)} AND raw_partition IN ({among})"  # noqa: S608
            f" AND (epoch, owner) > ({self._epoch}, '{self._owner}')) > 0, 'fenced') = 0"
        )

    def _drain(self, partitions: list[int]) -> None:
        """Wait for inserts into these partitions that the store had begun before our row was there."""
        began = time.monotonic()
        mark = f"FROM fences WHERE origin = {quoted(self._origin)}"
        asked: dict[str, Any] = {"mark": mark, "owner": self._owner, "among": r"raw_partition IN \(([0-9, ]+)\)"}
        ours = ", ".join(f"'{int(p)}'" for p in partitions)
        running_inserts = (
            "SELECT count() FROM system.processes WHERE startsWith(query, 'INSERT INTO')"  # noqa: S608 - numbers
            " AND position(query, %(mark)s) > 0 AND position(query, %(owner)s) = 0"
            f" AND hasAny(splitByString(', ', extract(query, %(among)s)), [{ours}])"
        )
        while True:
            try:
                running = self._client.query(running_inserts, parameters=asked).result_rows[0][0]
            except DatabaseError as error:
                if getattr(error, "code", None) != 497:
                    raise
                # It may not be looked at: so wait as long as an insert can take.
                time.sleep(self._timeout)
                running = 0
            self.waited = time.monotonic() - began
            if not running:
                return
            if self.waited > 2 * self._timeout:
                raise TimeoutError(f"an insert of another sink has been running for {self.waited:.0f} s")
            time.sleep(_POLL_S)


def quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
