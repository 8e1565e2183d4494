"""Enriched batches and alerts into ClickHouse, server or chDB, through clickhouse-connect: every event lands once.

Each batch names its raw position. Rows carry it; the `positions` row of a partition is written after them. An insert
is not atomic, and one of which nothing was heard may be there or not: so after an assignment and after every failure
the partitions are taken anew (fence.py), the rows beyond the position are looked up, and what is there is not written
again.
"""

import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from clickhouse_connect.driver.client import Client

from tiercel._engine import alert_columns, event_columns
from tiercel.errors import RegistryAwayError, SchemaError, StoreError
from tiercel.joints.base import Message
from tiercel.schemas import avro, migrations, topics
from tiercel.sinks import arrow
from tiercel.sinks.base import Stored
from tiercel.sinks.counters import SinkCounters
from tiercel.sinks.fence import Fence
from tiercel.sinks.inserts import Inserts
from tiercel.sinks.places import PLACE, Places
from tiercel.sinks.refusals import FAULTS, AwayError, Refusal, judge

log = logging.getLogger(__name__)

# A message, and its Avro without the frame.
_Body = tuple[Message, bytes]
# So many refused batches one after the other, and it is taken for a fault of the store.
_REFUSED_IN_A_ROW = 10
# Most messages that are written together; fewer where the store lacks memory or time.
_AT_ONCE = 1 << 20
_ALL_REFUSED = "it refuses every batch: compare its tables with schemas/clickhouse/"


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
        self._at_once = _AT_ONCE
        # A chDB directory has one process, so nobody else can write.
        fence = None if type(client).__name__ == "ChdbClient" else Fence(client, origin, timeout=insert_timeout)
        self._places = Places(client, origin, fence, self.counters, still)
        self._inserts = Inserts(client, fence, self.counters, timeout=insert_timeout)
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
        self._places.assign(partitions)
        log.info("partitions assigned partitions=%s", ",".join(map(str, sorted(partitions))) or "none")

    def next_offset(self, partition: int = 0) -> int:
        """The first offset that is not stored: where a local queue goes on counting."""
        try:
            known = self._places.look_up([partition])[partition]
        except FAULTS as error:
            raise StoreError(f"the store cannot be read: {judge(error).text}") from None
        return max([known.offset, *known.events, *known.ledger]) + 1

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
            self._places.forget()
            self._inserts.forget()
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
            except RegistryAwayError as error:
                self.counters.retries["registry"] += 1
                raise AwayError(Refusal("away", "registry", str(error), "is it running?")) from None
            else:
                (bodies if name == "event_batch" else alerts).append((message, body))
        if messages:
            self._places.need({message.partition for message in messages})
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
            [(partition, offset)] = {*zip(*(ledger.column(name).to_pylist() for name in PLACE[:2]), strict=True)}
            self._places.take({partition})
            # A part of it can be there: an insert is not atomic over the days that its rows belong to.
            there = len(self._places[partition].events.get(offset, ()))
            missing = self._places.unstored(arrow.with_loss(ledger, there), "ledger")
            if missing.num_rows:
                self._inserts.insert("ledger", arrow.stream(missing), {partition})
            self._advance(ledger)
            self._places.refused(partition, offset)
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
            if not self._places.all_new(ledger):
                ledger, rows = (
                    self._places.unstored(ledger, "ledger"),
                    self._places.unstored(arrow.table(events), "events"),
                )
                events, count = arrow.stream(rows), rows.num_rows
            if count:
                self._inserts.insert("events", events, places)
            self._insert_processes(arrow.table(columns.processes))
            containers = arrow.table(columns.containers)
            if containers.num_rows:
                # Repeats are replaced: the newest row of a container counts.
                self._inserts.insert("containers", arrow.stream(containers))
            if ledger.num_rows:
                self._inserts.insert("ledger", arrow.stream(ledger), places)
            self._advance(whole)
            self._places.count(whole, new)
            self.counters.rows += count
            now = time.time()
            for end in until:
                self.counters.stored_after(now - end / 1e9)
        return new

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
            except RegistryAwayError as error:
                self.counters.retries["registry"] += 1
                raise AwayError(Refusal("away", "registry", str(error), "is it running?")) from None
            else:
                good.append(body)
        return [convert(good, self._origin)] if good else []

    def _advance(self, ledger: pa.Table) -> None:
        rows = self._places.advance(ledger)
        if rows.num_rows:
            self._inserts.insert("positions", arrow.stream(rows), set(rows.column("raw_partition").to_pylist()))

    def _insert_processes(self, table: pa.Table) -> None:
        fresh: dict[int, int] = {}
        for row, key in enumerate(table.column("id").to_pylist()):
            if key in self._processes:
                self._processes.move_to_end(key)
            else:
                fresh.setdefault(key, row)
        if fresh:
            self._inserts.insert("processes", arrow.stream(table.take(pa.array(list(fresh.values()), pa.int64()))))
        self._processes.update(dict.fromkeys(fresh))
        while len(self._processes) > self._known_processes:
            self._processes.popitem(last=False)

    def _write_alerts(self, bodies: list[_Body], partitions: set[int]) -> Stored:
        new = Stored()
        for stream in self._columns(bodies, alert_columns, new):
            table = arrow.table(stream)
            ids = table.column("id").to_pylist()
            places = list(zip(*(table.column(name).to_pylist() for name in PLACE[:2]), strict=True))
            known = self._known_alerts(table.filter(pa.array(self._places.doubtful(places))))
            fresh: dict[str, int] = {}
            for row, key in enumerate(ids):
                if arrow.text(key) not in known:
                    fresh.setdefault(arrow.text(key), row)
            if fresh:
                self._inserts.insert(
                    "alerts", arrow.stream(table.take(pa.array(list(fresh.values()), pa.int64()))), partitions
                )
            self._places.alerted(places)
            new.alerts += len(fresh)
            new.repeats += len(ids) - len(fresh)
        return new

    def _known_alerts(self, table: pa.Table) -> set[str]:
        """The ids of those that are stored."""
        if not table.num_rows:
            return set()
        times = pc.min_max(table.column("ts").cast(pa.int64())).as_py()
        rows = self._client.query(
            "SELECT id FROM alerts WHERE ts BETWEEN fromUnixTimestamp64Nano(%(first)s) AND"
            " fromUnixTimestamp64Nano(%(last)s) AND id IN %(ids)s",
            parameters={"first": times["min"], "last": times["max"], "ids": table.column("id").to_pylist()},
        ).result_rows
        return {str(row[0]) for row in rows}

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
            self._inserts.insert("raw", arrow.stream(table), partitions)
        self.counters.raw_batches += len(came)
        self.counters.raw_bytes += sum(len(message.value) for message in came.values())

    def close(self) -> None:
        self._client.close()
