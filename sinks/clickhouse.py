"""Enriched batches and alerts into ClickHouse, server or chDB, through clickhouse-connect: every event lands once.

Each batch names its raw position. Rows carry it; the `positions` row of a partition is written after them. An insert
is not atomic, so after a crash rows may lie beyond the position: on assignment they are looked up, and what is there
is not written again.
"""

import logging
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from tiercel._engine import alert_columns, event_columns
from tiercel.errors import SchemaError, StoreError
from tiercel.joints.base import Message
from tiercel.schemas import avro, migrations, topics
from tiercel.sinks.base import Stored

log = logging.getLogger(__name__)

# Together the name of a row of a batch.
_PLACE = ("raw_partition", "raw_offset", "row")


@dataclass
class _Partition:
    """What is stored of one raw partition: all up to `offset`, and these rows of batches beyond it."""

    offset: int = -1
    events: dict[int, set[int]] = field(default_factory=dict)
    ledger: dict[int, set[int]] = field(default_factory=dict)


class ClickHouseSink:
    """See `base.Sink`. `origin` names what raw offsets count in: `joints.kafka.topic_id`, or a local queue.

    `writers` are schemas by registry id, where there is a registry.
    """

    def __init__(
        self,
        client: Client,
        origin: str,
        *,
        known_processes: int = 200_000,
        writers: Mapping[int, str] | None = None,
    ) -> None:
        self.stored = Stored()
        self._client = client
        self._origin = origin
        self._writers = writers
        self._partitions: dict[int, _Partition] = {}
        self._processes: OrderedDict[int, None] = OrderedDict()
        self._known_processes = known_processes
        try:
            applied = migrations.apply(client)
        except ClickHouseError as error:
            raise StoreError(f"the store's tables cannot be made: {_first_line(error)}") from None
        if applied:
            log.info("store migrated migrations=%s", ",".join(applied))

    def assign(self, partitions: set[int]) -> None:
        self._partitions = {partition: self._look_up(partition) for partition in sorted(partitions)}

    def next_offset(self, partition: int = 0) -> int:
        """The first offset that is not stored: where a local queue goes on counting."""
        known = self._look_up(partition)
        return max([known.offset, *known.events, *known.ledger]) + 1

    def _look_up(self, partition: int) -> _Partition:
        place = {"origin": self._origin, "partition": partition}
        where = "origin = %(origin)s AND raw_partition = %(partition)s"
        try:
            rows = self._client.query(
                f"SELECT max(raw_offset), count() FROM positions WHERE {where}",  # noqa: S608 - constants
                parameters=place,
            ).result_rows
            known = _Partition(int(rows[0][0]) if rows[0][1] else -1)
            for table, found in (("events", known.events), ("ledger", known.ledger)):
                beyond = self._client.query(
                    f"SELECT raw_offset, groupUniqArray(row) FROM {table} WHERE {where} AND raw_offset > %(offset)s"  # noqa: S608
                    " GROUP BY raw_offset",
                    parameters={**place, "offset": known.offset},
                ).result_rows
                found.update({int(offset): set(numbers) for offset, numbers in beyond})
        except ClickHouseError as error:
            raise StoreError(f"the store cannot be read: {_first_line(error)}") from None
        return known

    def write(self, messages: Iterable[Message]) -> Stored:
        bodies: list[bytes] = []
        alerts: list[bytes] = []
        new = Stored()
        for message in messages:
            name = "event_batch" if message.topic == topics.EVENTS else "alert"
            try:
                (bodies if name == "event_batch" else alerts).append(avro.body_of(name, message.value, self._writers))
            except SchemaError as error:
                new.unreadable += 1
                log.warning("message not readable place=%s/%d/%d reason=%s", *message[:3], error)
        try:
            new += self._write_batches(bodies)
            new += self._write_alerts(alerts)
        except ClickHouseError as error:
            raise StoreError(f"the store refuses rows: {_first_line(error)}") from None
        self.stored += new
        return new

    def _write_batches(self, bodies: list[bytes]) -> Stored:
        new = Stored()
        for columns in self._columns(bodies, event_columns, new):
            ledger, events, count = _table(columns.ledger), columns.events, columns.event_count
            came = _batches(ledger)
            if not self._all_new(ledger):
                ledger, rows = self._unstored(ledger, "ledger"), self._unstored(_table(events), "events")
                events, count = _stream(rows), rows.num_rows
            if count:
                self._insert("events", events)
            self._insert_processes(_table(columns.processes))
            containers = _table(columns.containers)
            if containers.num_rows:
                # Repeats are replaced: the newest row of a container counts.
                self._insert("containers", _stream(containers))
            if ledger.num_rows:
                self._insert("ledger", _stream(ledger))
            self._advance(ledger)
            new.batches += _batches(ledger)
            new.events += count
            new.repeats += came - _batches(ledger)
        return new

    def _all_new(self, ledger: pa.Table) -> bool:
        """Whether no batch is stored, not even in part, and none is there twice: so it nearly always is."""
        rows = list(zip(*(ledger.column(name).to_pylist() for name in _PLACE), strict=True))
        for partition in {row[0] for row in rows} - self._partitions.keys():
            self._partitions[partition] = self._look_up(partition)
        return len(set(rows)) == len(rows) and all(
            offset > (known := self._partitions[partition]).offset
            and offset not in known.events
            and offset not in known.ledger
            for partition, offset, _ in rows
        )

    def _columns(self, bodies: list[bytes], convert: Any, new: Stored) -> list[Any]:
        """Arrow for the bodies together; if one of them is broken, for each that is not."""
        if not bodies:
            return []
        with suppress(ValueError):
            return [convert(bodies, self._origin)]
        found = []
        for body in bodies:
            try:
                found.append(convert([body], self._origin))
            except ValueError as error:
                new.unreadable += 1
                log.warning("batch not readable bytes=%d reason=%s", len(body), error)
        return found

    def _unstored(self, table: pa.Table, name: str) -> pa.Table:
        """The rows that are not in the store, each once."""
        kept, seen = [], set[tuple[int, int, int]]()
        rows = zip(*(table.column(column).to_pylist() for column in _PLACE), strict=True)
        for index, place in enumerate(rows):
            partition, offset, row = place
            known = self._partitions[partition]
            stored: dict[int, set[int]] = getattr(known, name)
            if offset > known.offset and row not in stored.get(offset, ()) and place not in seen:
                kept.append(index)
                seen.add(place)
        return table.take(pa.array(kept, pa.int64())) if len(kept) < table.num_rows else table

    def _insert(self, name: str, stream: bytes) -> None:
        """Insert an Arrow IPC stream as it is: its buffers are packed."""
        self._client.raw_insert(name, pa.ipc.open_stream(stream).schema.names, stream, fmt="ArrowStream")

    def _insert_processes(self, table: pa.Table) -> None:
        fresh: dict[int, int] = {}
        for row, key in enumerate(table.column("id").to_pylist()):
            if key in self._processes:
                self._processes.move_to_end(key)
            else:
                fresh.setdefault(key, row)
        if fresh:
            self._insert("processes", _stream(table.take(pa.array(list(fresh.values()), pa.int64()))))
        self._processes.update(dict.fromkeys(fresh))
        while len(self._processes) > self._known_processes:
            self._processes.popitem(last=False)

    def _advance(self, ledger: pa.Table) -> None:
        """Every batch has rows in the ledger, one without events, too: they tell how far each partition has come."""
        last: dict[int, int] = {}
        places = ledger.group_by("raw_partition").aggregate([("raw_offset", "max")])
        for partition, offset in zip(
            *(places.column(c).to_pylist() for c in ("raw_partition", "raw_offset_max")), strict=True
        ):
            known = self._partitions[partition]
            if offset > known.offset:
                last[partition] = known.offset = offset
                for beyond in (known.events, known.ledger):
                    for passed in [number for number in beyond if number <= offset]:
                        del beyond[passed]
        if last:
            rows = [[self._origin, partition, offset] for partition, offset in last.items()]
            self._client.insert("positions", rows, column_names=["origin", "raw_partition", "raw_offset"])

    def _write_alerts(self, bodies: list[bytes]) -> Stored:
        new = Stored()
        for stream in self._columns(bodies, alert_columns, new):
            table = _table(stream)
            ids = table.column("id").to_pylist()
            times = pc.min_max(table.column("ts").cast(pa.int64())).as_py()
            known = {
                row[0]
                for row in self._client.query(
                    "SELECT id FROM alerts WHERE ts BETWEEN fromUnixTimestamp64Nano(%(first)s) AND"
                    " fromUnixTimestamp64Nano(%(last)s) AND id IN %(ids)s",
                    parameters={"first": times["min"], "last": times["max"], "ids": ids},
                ).result_rows
            }
            fresh: dict[str, int] = {}
            for row, key in enumerate(ids):
                if _text(key) not in known:
                    fresh.setdefault(_text(key), row)
            if fresh:
                self._insert("alerts", _stream(table.take(pa.array(list(fresh.values()), pa.int64()))))
            new.alerts += len(fresh)
            new.repeats += len(ids) - len(fresh)
        return new

    def close(self) -> None:
        self._client.close()


def _table(stream: bytes) -> pa.Table:
    with pa.ipc.open_stream(stream) as reader:
        return reader.read_all()


def _stream(table: pa.Table) -> bytes:
    out = pa.BufferOutputStream()
    with pa.ipc.new_stream(out, table.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as writer:
        writer.write_table(table)
    return bytes(out.getvalue())


def _batches(table: pa.Table) -> int:
    return int(table.group_by(["raw_partition", "raw_offset"]).aggregate([]).num_rows)


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:300]
