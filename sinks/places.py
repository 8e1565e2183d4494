"""What the store has of each raw partition: up to which offset all, and which rows beyond it."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import pyarrow as pa
from clickhouse_connect.driver.client import Client

from tiercel.errors import StoreError
from tiercel.schemas import topics
from tiercel.sinks import arrow
from tiercel.sinks.base import Stored
from tiercel.sinks.counters import SinkCounters
from tiercel.sinks.fence import Fence

# Together the name of a row of a batch.
PLACE = ("raw_partition", "raw_offset", "row")
# Seconds between two looks, while repeats come, at whether they are any.
_CHECK_S = 30.0


@dataclass
class Place:
    """Of one raw partition: all up to `offset` is stored, these rows of batches beyond it, alerts up to `alerts`."""

    offset: int = -1
    events: dict[int, set[int]] = field(default_factory=dict)
    ledger: dict[int, set[int]] = field(default_factory=dict)
    alerts: int = -1


class Places:
    """Those of the partitions that are ours; `origin` and `still` are a `ClickHouseSink`'s. Client's errors pass."""

    def __init__(
        self,
        client: Client,
        origin: str,
        fence: Fence | None,
        counters: SinkCounters,
        still: Callable[[], bool] | None = None,
    ) -> None:
        self._client, self._origin, self._fence, self._counters = client, origin, fence, counters
        self._still, self._checked = still, 0.0
        self._assigned: set[int] = set()
        self._known: dict[int, Place] = {}
        # Up to which offset batches count as stored since the assignment.
        self._counted: dict[int, int] = {}

    def __getitem__(self, partition: int) -> Place:
        return self._known[partition]

    def assign(self, partitions: set[int]) -> None:
        self._assigned, self._known, self._counted = set(partitions), {}, {}

    def forget(self) -> None:
        """After a failure nobody knows what is there."""
        self._known = {}

    def need(self, partitions: set[int]) -> None:
        """Know at least these."""
        missing = partitions - self._known.keys()
        if missing or not self._known:
            self.take(missing)

    def take(self, partitions: set[int]) -> None:
        """Make all that is assigned, and these, our own, and find out what is there."""
        self._check_origin()
        wanted = self._assigned | self._known.keys() | partitions
        if self._fence is not None:
            self._fence.take(wanted)
        self._counters.takes += 1
        self._known = self.look_up(sorted(wanted))
        for partition, known in self._known.items():
            self._counted.setdefault(partition, known.offset)

    def look_up(self, partitions: list[int]) -> dict[int, Place]:
        """Ask the store."""
        asked = {"origin": self._origin, "partitions": partitions}
        where = "origin = %(origin)s AND raw_partition IN %(partitions)s"

        def last(table: str) -> dict[int, int]:
            rows = self._client.query(
                f"SELECT raw_partition, max(raw_offset) FROM {table} WHERE {where} GROUP BY raw_partition",  # noqa: S608
                parameters=asked,
            ).result_rows
            return {int(partition): int(offset) for partition, offset in rows}

        offsets, alerts = last("positions"), last("alerts")
        known = {p: Place(offsets.get(p, -1), alerts=alerts.get(p, -1)) for p in partitions}
        beyond = " OR ".join(f"(raw_partition = {p} AND raw_offset > {found.offset})" for p, found in known.items())
        for table in ("events", "ledger"):
            rows = self._client.query(
                f"SELECT raw_partition, raw_offset, groupUniqArray(row) FROM {table} WHERE {where} AND ({beyond})"  # noqa: S608
                " GROUP BY raw_partition, raw_offset",
                parameters=asked,
            ).result_rows
            for partition, offset, numbers in rows:
                getattr(known[int(partition)], table)[int(offset)] = set(numbers)
        return known

    def all_new(self, ledger: pa.Table) -> bool:
        """Whether no batch is stored, not even in part, and none is there twice: so it nearly always is."""
        rows = list(zip(*(ledger.column(name).to_pylist() for name in PLACE), strict=True))
        if missing := {row[0] for row in rows} - self._known.keys():
            self.take(missing)
        return len(set(rows)) == len(rows) and all(
            offset > (known := self._known[partition]).offset
            and offset not in known.events
            and offset not in known.ledger
            for partition, offset, _ in rows
        )

    def unstored(self, table: pa.Table, name: str) -> pa.Table:
        """The rows that are not in the store, each once."""
        kept, seen = [], set[tuple[int, int, int]]()
        rows = zip(*(table.column(column).to_pylist() for column in PLACE), strict=True)
        for index, place in enumerate(rows):
            partition, offset, row = place
            known = self._known[partition]
            stored: dict[int, set[int]] = getattr(known, name)
            if offset > known.offset and row not in stored.get(offset, ()) and place not in seen:
                kept.append(index)
                seen.add(place)
        return table.take(pa.array(kept, pa.int64())) if len(kept) < table.num_rows else table

    def advance(self, ledger: pa.Table) -> pa.Table:
        """All of these batches is there: the rows of `positions` that say so, of partitions that have come further.

        Every batch has rows in the ledger, one without events, too.
        """
        last: dict[int, int] = {}
        places = ledger.group_by("raw_partition").aggregate([("raw_offset", "max")])
        for partition, offset in zip(
            *(places.column(c).to_pylist() for c in ("raw_partition", "raw_offset_max")), strict=True
        ):
            known = self._known[partition]
            if offset > known.offset:
                last[partition] = known.offset = offset
                for beyond in (known.events, known.ledger):
                    for passed in [number for number in beyond if number <= offset]:
                        del beyond[passed]
        return pa.table(
            {
                "origin": [self._origin] * len(last),
                "raw_partition": pa.array(list(last), pa.int32()),
                "raw_offset": pa.array(list(last.values()), pa.int64()),
            }
        )

    def count(self, ledger: pa.Table, new: Stored) -> None:
        """Count each batch when all of it is there, whichever of several tries had put it there."""
        for (partition, offset), count in sorted(arrow.events(ledger).items()):
            if offset > self._counted[partition]:
                self._counted[partition] = offset
                new.batches += 1
                new.events += count
            else:
                new.repeats += 1
        if new.repeats and time.monotonic() > self._checked + _CHECK_S:
            self._check_origin()

    def refused(self, partition: int, offset: int) -> None:
        """This batch counts no more, should it come again."""
        self._counted[partition] = max(offset, self._counted[partition])

    def doubtful(self, alerts: Iterable[tuple[int, int]]) -> list[bool]:
        """Of alerts with these partitions and raw offsets: whether they may be there already."""
        return [partition not in self._known or offset <= self._known[partition].alerts for partition, offset in alerts]

    def alerted(self, alerts: Iterable[tuple[int, int]]) -> None:
        """These are there now."""
        for partition, offset in alerts:
            if partition in self._known:
                self._known[partition].alerts = max(self._known[partition].alerts, offset)

    def _check_origin(self) -> None:
        """Offsets of a topic that was made anew would be taken for repeats."""
        self._checked = time.monotonic()
        if self._still is not None and not self._still():
            raise StoreError(
                f"{topics.RAW} was made anew, and its offsets begin again: start the sink anew; make {topics.EVENTS} "
                f"and {topics.ALERTS} anew with it"
            )
