"""The partitions that a worker has: recovered when they come, their hosts' snapshots written in turn, given up whole.

All runs in the app's loop but the reading of topics. It knows Kafka through a function that sends, and the reader of
`recover`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from tiercel.errors import KafkaError
from tiercel.joints import kafka as joint
from tiercel.processors import recover
from tiercel.processors.adopt import Adoption
from tiercel.processors.keeper import Draft, Kept, Written
from tiercel.processors.recover import Place
from tiercel.processors.snapshot import SnapshotError
from tiercel.processors.worker import Worker
from tiercel.schemas import topics

log = logging.getLogger(__name__)

Send = Callable[[bytes, bytes | None, int], Awaitable[Any]]


@dataclass
class Recoveries:
    """What recoveries have come to so far."""

    partitions: int = 0
    hosts: int = 0
    read_again: int = 0
    seconds: float = 0.0
    """Of the last one."""


class Custody:
    """`kept` are the partitions that are ready, `wanted` those that are ours."""

    def __init__(
        self,
        client: dict[str, Any],
        worker: Worker,
        adoption: Adoption,
        *,
        group: str,
        raw_id: str,
        interval: float,
        ack: Callable[[Any], Any],
        tell: Callable[[bytes], None] | None = None,
    ) -> None:
        """`tell` is called with a message before it is read again, and may take its time."""
        self.kept: dict[int, Kept] = {}
        self.wanted: set[int] = set()
        self.written, self.recoveries = Written(), Recoveries()
        self.worker = worker
        self._client, self._group, self._raw_id = client, group, raw_id
        self._adoption, self._interval, self._ack = adoption, interval, ack
        self._tell = tell
        # Grows whenever partitions come or go.
        self._term = 0
        self._recovering = asyncio.Lock()
        self._writing = asyncio.Lock()

    # Coming and going

    def assign(self, partitions: set[int]) -> None:
        self.wanted = set(partitions)
        self._term += 1

    def drop(self, partitions: set[int]) -> None:
        """They are no longer ours; nothing of them is acknowledged any more."""
        self.wanted -= partitions
        self._term += 1
        for partition in partitions:
            self.kept.pop(partition, None)
        self.worker.drop(partitions)

    async def recover(self) -> dict[int, int]:
        """Make all that is wanted ready; the offset at which each partition goes on. KafkaError."""
        async with self._recovering:
            new, term = self.wanted - set(self.kept), self._term
            if not new:
                return {}
            # Beside the worker: what was read counts only if nobody else can have had the partitions meanwhile.
            aside = self.worker.aside()
            made = await asyncio.to_thread(self._recover, aside, new)
            if self._term != term:
                self._adoption.forget(new)
                return {}
            for partition, (kept, _) in made.items():
                self.worker.take_over(aside, partition)
                self.kept[partition] = kept
            self.worker.counters.lost_states += aside.counters.lost_states
            return {partition: start for partition, (_, start) in made.items()}

    def _recover(self, aside: Worker, partitions: set[int]) -> dict[int, tuple[Kept, int]]:
        """The partitions, each with the offset at which it goes on."""
        began, again_before = time.monotonic(), self.recoveries.read_again
        committed = joint.committed(self._client, self._group, topics.RAW)
        self._adoption.catch_up()
        bounds = joint.bounds(self._client, topics.RAW, partitions)
        if bounds.keys() != partitions:
            raise KafkaError(f"the ends of the partitions of {topics.RAW} are not known")
        places = {part: Place(*bounds[part], committed.get(part, 0)) for part in sorted(partitions)}
        self._adoption.foresee({part: place.start for part, place in places.items()}, bounds)
        shelf = recover.shelve(recover.stored(self._client, partitions), self._raw_id)
        made = {}
        for partition, place in places.items():
            hosts = shelf.pop(partition, {})
            aside.begin(partition, middle=place.committed > 0 and not hosts)
            kept = Kept(self.worker, partition, self._raw_id, self.written)
            again = recover.restore(aside, kept, hosts, place, time.monotonic())
            if again:
                self.recoveries.read_again += self._read_again(aside, partition, again, place)
            made[partition] = kept, place.start
        self.recoveries.partitions += len(made)
        self.recoveries.hosts += aside.hosts()
        self.recoveries.seconds = time.monotonic() - began
        log.info(
            "recovered partitions=%s hosts=%d read_again=%d seconds=%.2f",
            ",".join(map(str, sorted(partitions))),
            aside.hosts(),
            self.recoveries.read_again - again_before,
            self.recoveries.seconds,
        )
        return made

    def _read_again(self, aside: Worker, partition: int, again: dict[bytes, int], place: Place) -> int:
        def rules(partition: int, offset: int) -> None:
            if not self._adoption.settled(partition, offset):
                aside.use(self._adoption.settle(partition, offset), partition)

        log.info("reading again what a damaged snapshot stood for partition=%d hosts=%d", partition, len(again))
        self._adoption.forget({partition})
        count = recover.read_again(
            aside,
            partition,
            again,
            stop=place.start,
            messages=self._messages,
            rules=rules,
        )
        self._adoption.forget({partition})
        return count

    def _messages(self, partition: int, start: int, stop: int) -> Iterator[tuple[int, bytes, bytes]]:
        for row in recover.read(self._client, topics.RAW, partition, start=start, stop=stop):
            if self._tell is not None:
                self._tell(row[2])
            yield row

    # Snapshots

    def pace(self) -> float:
        """Seconds until the next snapshot: spread so that every host that sends has its turn in an interval."""
        waiting = sum(kept.waiting() for kept in self.kept.values())
        return min(max(self._interval / max(1, waiting) / 2, 0.002), 0.25)

    async def one(self, send: Send) -> None:
        """Write the snapshot that waits longest, if one waits for half of the interval."""
        before = time.monotonic() - self._interval / 2
        for kept in self.kept.values():
            for gone in self.worker.gone(kept.partition):
                kept.uncovered(gone, 0, before)
        for kept in sorted(self.kept.values(), key=lambda kept: kept.oldest() or float("inf")):
            host_id = kept.due(before)
            if host_id is not None:
                await self._write(send, kept, host_id)
                return

    async def last(self, send: Send, seconds: float) -> None:
        """All that no snapshot covers, as far as the time goes: what is left is done again by whoever goes on."""
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._all(send), seconds)

    async def _all(self, send: Send) -> None:
        now = time.monotonic()
        for kept in list(self.kept.values()):
            while (host_id := kept.due(now)) is not None:
                await self._write(send, kept, host_id)

    async def _write(self, send: Send, kept: Kept, host_id: bytes) -> None:
        """Never is a snapshot on the topic before what it stands for: whoever restores it skips that."""
        async with self._writing:
            # While this waited for its turn another may have written it, or the partition may have gone.
            if self.kept.get(kept.partition) is not kept or not kept.waits(host_id):
                return
            began = time.perf_counter_ns()
            try:
                draft = kept.draft(host_id)
            except SnapshotError as error:
                raise KafkaError(
                    f"the state of host {host_id.decode(errors='replace')} cannot be kept: {error}"
                ) from None
            self.written.pause_ns += time.perf_counter_ns() - began
            while kept.unsafe(draft.offset):
                await asyncio.sleep(0.005)
            await self._send(send, kept, draft)
            gone = kept.written(draft)
            if self.kept.get(kept.partition) is not kept:
                return
            self.acknowledge(kept)
            for dead in gone:
                await send(dead, None, kept.partition)

    async def _send(self, send: Send, kept: Kept, draft: Draft) -> None:
        sent = [await send(*row, kept.partition) for row in draft.rows]
        await asyncio.gather(*sent)

    def acknowledge(self, kept: Kept) -> None:
        """Acknowledge what nobody will need again."""
        for message in kept.acknowledged():
            self._ack(message)

    # For operations

    def oldest_s(self) -> float:
        """Age of the oldest message that no snapshot covers; 0: there is none."""
        times = [since for kept in list(self.kept.values()) if (since := kept.oldest()) is not None]
        return time.monotonic() - min(times) if times else 0.0
