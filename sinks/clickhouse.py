"""Enriched batches and alerts into ClickHouse, server or chDB, through clickhouse-connect: every event lands once.

Each batch names its raw position. Rows carry it; the `positions` row of a partition is written after them. An insert
is not atomic, and one of which nothing was heard may be there or not: so after an assignment and after every failure
the partitions are taken anew (fence.py), the rows beyond the position are looked up, and what is there is not written
again.
"""

import io
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from clickhouse_connect.driver.client import Client

from tiercel._engine import alert_columns, event_columns
from tiercel.errors import SchemaError, StoreError
from tiercel.joints.base import Message
from tiercel.schemas import avro, migrations, topics
from tiercel.sinks import arrow
from tiercel.sinks.base import Stored
from tiercel.sinks.counters import SinkCounters
from tiercel.sinks.fence import Fence, quoted
from tiercel.sinks.refusals import FAULTS, AwayError, Refusal, judge

log = logging.getLogger(__name__)

# A message, and its Avro without the frame.
_Body = tuple[Message, bytes]
# Together the name of a row of a batch.
_PLACE = ("raw_partition", "raw_offset", "row")
# So many refused batches one after the other, and it is taken for a fault of the store.
_REFUSED_IN_A_ROW = 10
# Most messages that are written together; fewer where the store lacks memory or time.
_AT_ONCE = 1 << 20
# Seconds between two looks, while repeats come, at whether they are any.
_CHECK_S = 30.0
_ALL_REFUSED = "it refuses every batch: compare its tables with schemas/clickhouse/"


@dataclass
class _Partition:
    """What is stored of one raw partition: all up to `offset`, and these rows of batches beyond it."""

    offset: int = -1
    events: dict[int, set[int]] = field(default_factory=dict)
    ledger: dict[int, set[int]] = field(default_factory=dict)


class ClickHouseSink:
    """See `base.Sink`. `origin` names what raw offsets count in: `joints.kafka.topic_id`, or a local queue.

    `writers` are schemas by registry id, where there is a registry. `quarantine` keeps a message that cannot be read or
    that the store refuses for good, with the reason; it returns when the message is safe, and raises StoreError if not.
    `insert_timeout` is in seconds. `still` tells whether `origin` is still that of the topic.
    """

    def __init__(
        self,
        client: Client,
        origin: str,
        *,
        known_processes: int = 200_000,
        writers: Mapping[int, str] | None = None,
        quarantine: Callable[[Message, str], None] | None = None,
        insert_timeout: float = 60.0,
        still: Callable[[], bool] | None = None,
    ) -> None:
        self.stored = Stored()
        self.counters = SinkCounters()
        self._client = client
        self._origin = origin
        self._writers = writers
        self._quarantine = quarantine
        self._timeout = insert_timeout
        self._still, self._checked = still, 0.0
        self._at_once = _AT_ONCE
        # A chDB directory has one process, so nobody else can write.
        self._fence = None if type(client).__name__ == "ChdbClient" else Fence(client, origin, timeout=insert_timeout)
        self._assigned: set[int] = set()
        self._partitions: dict[int, _Partition] = {}
        # Up to which offset batches count as stored since the assignment.
        self._counted: dict[int, int] = {}
        self._types: dict[str, dict[str, str]] = {}
        self._processes: OrderedDict[int, None] = OrderedDict()
        self._known_processes = known_processes
        self._refused_in_a_row = 0
        self._aside: set[tuple[str, int, int]] = set()
        try:
            applied = migrations.apply(client)
        except FAULTS as error:
            raise StoreError(f"the store's tables cannot be made: {judge(error).text}") from None
        if applied:
            log.info("store migrated migrations=%s", ",".join(applied))

    def assign(self, partitions: set[int]) -> None:
        # Not asked of the store here: this is called while a group is being balanced, which must not wait for it.
        self._assigned, self._partitions, self._counted = set(partitions), {}, {}

    def next_offset(self, partition: int = 0) -> int:
        """The first offset that is not stored: where a local queue goes on counting."""
        try:
            known = self._look_up([partition])[partition]
        except FAULTS as error:
            raise StoreError(f"the store cannot be read: {judge(error).text}") from None
        return max([known.offset, *known.events, *known.ledger]) + 1

    def _take(self, partitions: set[int]) -> None:
        """Make all that is assigned, and these, our own, and find out what is there."""
        self._check_origin()
        wanted = self._assigned | self._partitions.keys() | partitions
        if self._fence is not None:
            self._fence.take(wanted)
        self.counters.takes += 1
        self._partitions = self._look_up(sorted(wanted))
        for partition, known in self._partitions.items():
            self._counted.setdefault(partition, known.offset)

    def _check_origin(self) -> None:
        """Offsets of a topic that was made anew would be taken for repeats."""
        self._checked = time.monotonic()
        if self._still is not None and not self._still():
            raise StoreError(
                f"{topics.RAW} was made anew, and its offsets begin again: start the sink anew; make {topics.EVENTS} "
                f"and {topics.ALERTS} anew with it"
            )

    def _look_up(self, partitions: list[int]) -> dict[int, _Partition]:
        place = {"origin": self._origin, "partitions": partitions}
        where = "origin = %(origin)s AND raw_partition IN %(partitions)s"
        rows = self._client.query(
            f"SELECT raw_partition, max(raw_offset) FROM positions WHERE {where} GROUP BY raw_partition",  # noqa: S608
            parameters=place,
        ).result_rows
        last = {int(partition): int(offset) for partition, offset in rows}
        known = {partition: _Partition(last.get(partition, -1)) for partition in partitions}
        beyond = " OR ".join(f"(raw_partition = {p} AND raw_offset > {found.offset})" for p, found in known.items())
        for table in ("events", "ledger"):
            rows = self._client.query(
                f"SELECT raw_partition, raw_offset, groupUniqArray(row) FROM {table} WHERE {where} AND ({beyond})"  # noqa: S608
                " GROUP BY raw_partition, raw_offset",
                parameters=place,
            ).result_rows
            for partition, offset, numbers in rows:
                getattr(known[int(partition)], table)[int(offset)] = set(numbers)
        return known

    def write(self, messages: Iterable[Message]) -> Stored:
        left, new = list(messages), Stored()
        while left:
            taken = left[: self._at_once]
            try:
                new += self._write(taken)
            except AwayError as error:
                if error.refusal.reason in ("memory", "slow"):
                    # Less may pass, and takes less long.
                    self._at_once = max(1, len(taken) // 2)
                raise
            self._at_once = min(_AT_ONCE, self._at_once * 2)
            left = left[len(taken) :]
        return new

    def _write(self, messages: list[Message]) -> Stored:
        """Write these together; where it is their rows that the store refuses, find out whose they are, by halves."""
        try:
            new = self._write_together(messages)
        except FAULTS as error:
            # What of it is there is not known any more.
            self._partitions, self._types = {}, {}
            refusal = judge(error)
            self.counters.retries[refusal.reason] += 1
            if refusal.kind != "data":
                raise AwayError(refusal) from None
            if len(messages) > 1:
                middle = len(messages) // 2
                return self._write(messages[:middle]) + self._write(messages[middle:])
            if self._refused_in_a_row >= _REFUSED_IN_A_ROW:
                # Then it is not the rows.
                raise AwayError(Refusal("wrong", "data", refusal.text, _ALL_REFUSED)) from None
            new = self._refuse(messages[0], refusal)
            self._refused_in_a_row += 1
        else:
            self._refused_in_a_row = 0
        self.stored += new
        return new

    def _write_together(self, messages: list[Message]) -> Stored:
        bodies: list[_Body] = []
        alerts: list[_Body] = []
        new = Stored()
        for message in messages:
            if message.topic == topics.RAW:
                continue
            name = "event_batch" if message.topic == topics.EVENTS else "alert"
            try:
                body = avro.body_of(name, message.value, self._writers)
            except SchemaError as error:
                new.unreadable += 1
                self._set_aside(message, str(error))
            else:
                (bodies if name == "event_batch" else alerts).append((message, body))
        missing = {message.partition for message in messages} - self._partitions.keys()
        if messages and (missing or not self._partitions):
            self._take(missing)
        new += self._write_batches(bodies)
        new += self._write_alerts(alerts, {message.partition for message, _ in alerts})
        self._write_raw([message for message in messages if message.topic == topics.RAW])
        # Only now will they not come again.
        self._aside.clear()
        return new

    def _set_aside(self, message: Message, reason: str) -> None:
        if message[:3] in self._aside:
            return
        log.warning("message not readable place=%s/%d/%d reason=%s", *message[:3], reason)
        if self._quarantine is not None:
            self._quarantine(message, reason)
        self._aside.add(message[:3])

    def _refuse(self, message: Message, refusal: Refusal) -> Stored:
        """Set aside what the store never takes: the message goes into quarantine, its events into the books as lost."""
        reason = f"the store refuses it: {refusal.text}"
        log.error("message refused place=%s/%d/%d reason=%s", *message[:3], refusal.text)
        if self._quarantine is not None:
            self._quarantine(message, reason)
        if message.topic != topics.EVENTS:
            self.counters.refused_others += 1
            return Stored(refused=1)
        try:
            [columns] = self._columns(
                [(message, avro.body_of("event_batch", message.value, self._writers))], event_columns, Stored()
            )
            ledger = arrow.table(columns.ledger)
            [(partition, offset)] = {*zip(*(ledger.column(name).to_pylist() for name in _PLACE[:2]), strict=True)}
            self._take({partition})
            # A part of it can be there: an insert is not atomic over the days that its rows belong to.
            there = len(self._partitions[partition].events.get(offset, ()))
            missing = self._unstored(arrow.with_loss(ledger, there), "ledger")
            if missing.num_rows:
                self._insert("ledger", arrow.stream(missing), {partition})
            self._advance(ledger)
            self._counted[partition] = max(offset, self._counted[partition])
        except FAULTS as error:
            raise AwayError(judge(error)) from None
        self.counters.refused_batches += 1
        self.counters.refused_events += columns.event_count - there
        return Stored(events=there, refused=1)

    def _write_batches(self, bodies: list[_Body]) -> Stored:
        new = Stored()
        for columns in self._columns(bodies, event_columns, new):
            ledger, events, count = arrow.table(columns.ledger), columns.events, columns.event_count
            whole = ledger
            until = arrow.ends(ledger)
            places = {int(p) for p in pc.unique(ledger.column("raw_partition")).to_pylist()}
            if not self._all_new(ledger):
                ledger, rows = self._unstored(ledger, "ledger"), self._unstored(arrow.table(events), "events")
                events, count = arrow.stream(rows), rows.num_rows
            if count:
                self._insert("events", events, places)
            self._insert_processes(arrow.table(columns.processes))
            containers = arrow.table(columns.containers)
            if containers.num_rows:
                # Repeats are replaced: the newest row of a container counts.
                self._insert("containers", arrow.stream(containers))
            if ledger.num_rows:
                self._insert("ledger", arrow.stream(ledger), places)
            self._advance(whole)
            self._count(whole, new)
            self.counters.rows += count
            now = time.time()
            for end in until:
                self.counters.stored_after(now - end / 1e9)
            if new.repeats and time.monotonic() > self._checked + _CHECK_S:
                self._check_origin()
        return new

    def _count(self, ledger: pa.Table, new: Stored) -> None:
        """Count each batch when all of it is there, whichever of several tries had put it there."""
        events = arrow.events(ledger)
        for (partition, offset), count in sorted(events.items()):
            if offset > self._counted[partition]:
                self._counted[partition] = offset
                new.batches += 1
                new.events += count
            else:
                new.repeats += 1

    def _all_new(self, ledger: pa.Table) -> bool:
        """Whether no batch is stored, not even in part, and none is there twice: so it nearly always is."""
        rows = list(zip(*(ledger.column(name).to_pylist() for name in _PLACE), strict=True))
        if missing := {row[0] for row in rows} - self._partitions.keys():
            self._take(missing)
        return len(set(rows)) == len(rows) and all(
            offset > (known := self._partitions[partition]).offset
            and offset not in known.events
            and offset not in known.ledger
            for partition, offset, _ in rows
        )

    def _columns(self, bodies: list[_Body], convert: Any, new: Stored) -> list[Any]:
        """Arrow for the bodies together, without those that are broken."""
        if not bodies:
            return []
        with suppress(ValueError):
            return [convert([body for _, body in bodies], self._origin)]
        good = []
        for message, body in bodies:
            try:
                convert([body], self._origin)
            except ValueError as error:
                new.unreadable += 1
                self._set_aside(message, str(error))
            else:
                good.append(body)
        return [convert(good, self._origin)] if good else []

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

    def _insert(self, name: str, stream: bytes, partitions: set[int] | None = None) -> None:
        """Insert an Arrow IPC stream as it is: its buffers are packed. With `partitions`, only while they are ours."""
        columns = pa.ipc.open_stream(stream).schema.names
        into, given = name, columns
        if partitions and self._fence is not None:
            types = self._types_of(name)
            listed = ", ".join(f"`{column}`" for column in columns)
            shape = ", ".join(f"`{column}` {types[column]}" for column in columns if column in types)
            guard = self._fence.guard(partitions)
            into = f"{name} ({listed}) SELECT {listed} FROM input({quoted(shape)}) WHERE {guard}"  # noqa: S608
            given = None
        began = time.monotonic()
        settings = {"max_execution_time": self._timeout, "async_insert": 0} if self._fence is not None else {}
        # A body that can be read only once: the driver would send another again when a connection breaks, though the
        # store may have taken it.
        self._client.raw_insert(into, given, io.BytesIO(stream), settings=settings, fmt="ArrowStream")
        self.counters.inserts += 1
        self.counters.inserts_of[name] += 1
        self.counters.insert_seconds += time.monotonic() - began
        self.counters.insert_bytes += len(stream)

    def _types_of(self, table: str) -> dict[str, str]:
        if table not in self._types:
            rows = self._client.query(
                "SELECT name, type FROM system.columns WHERE database = currentDatabase() AND table = %(table)s",
                parameters={"table": table},
            ).result_rows
            self._types[table] = {str(row[0]): str(row[1]) for row in rows}
        return self._types[table]

    def _insert_processes(self, table: pa.Table) -> None:
        fresh: dict[int, int] = {}
        for row, key in enumerate(table.column("id").to_pylist()):
            if key in self._processes:
                self._processes.move_to_end(key)
            else:
                fresh.setdefault(key, row)
        if fresh:
            self._insert("processes", arrow.stream(table.take(pa.array(list(fresh.values()), pa.int64()))))
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
            rows = pa.table(
                {
                    "origin": [self._origin] * len(last),
                    "raw_partition": pa.array(list(last), pa.int32()),
                    "raw_offset": pa.array(list(last.values()), pa.int64()),
                }
            )
            self._insert("positions", arrow.stream(rows), set(last))

    def _write_alerts(self, bodies: list[_Body], partitions: set[int]) -> Stored:
        new = Stored()
        for stream in self._columns(bodies, alert_columns, new):
            table = arrow.table(stream)
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
                if arrow.text(key) not in known:
                    fresh.setdefault(arrow.text(key), row)
            if fresh:
                self._insert("alerts", arrow.stream(table.take(pa.array(list(fresh.values()), pa.int64()))), partitions)
            new.alerts += len(fresh)
            new.repeats += len(ids) - len(fresh)
        return new

    def _write_raw(self, messages: list[Message]) -> None:
        """Raw batches as they came: there, a message's own place is the raw position."""
        if not messages:
            return
        came = {(message.partition, message.offset): message for message in messages}
        offsets = [offset for _, offset in came]
        partitions = {partition for partition, _ in came}
        rows = self._client.query(
            "SELECT raw_partition, raw_offset FROM raw WHERE origin = %(origin)s AND raw_partition IN %(partitions)s"
            " AND raw_offset BETWEEN %(first)s AND %(last)s",
            parameters={
                "origin": self._origin,
                "partitions": sorted(partitions),
                "first": min(offsets),
                "last": max(offsets),
            },
        ).result_rows
        for partition, offset in rows:
            came.pop((int(partition), int(offset)), None)
        if came:
            table = pa.table(
                {
                    "origin": [self._origin] * len(came),
                    "raw_partition": pa.array([partition for partition, _ in came], pa.int32()),
                    "raw_offset": pa.array([offset for _, offset in came], pa.int64()),
                    "host_id": pa.array([message.key for message in came.values()], pa.binary()),
                    "message": pa.array([message.value for message in came.values()], pa.binary()),
                }
            )
            self._insert("raw", arrow.stream(table), partitions)
        self.counters.raw_batches += len(came)
        self.counters.raw_bytes += sum(len(message.value) for message in came.values())

    def close(self) -> None:
        self._client.close()
