"""Drains a source, numbers what comes, cuts it into batches and hands them to a producer as Avro.

It never holds up its source: what a full producer does not take is counted as lost.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event
from typing import Any

from tiercel._engine import Batch, Redactor, encode_raw
from tiercel.collector.identity import Identity
from tiercel.collector.sources import Loss, Source
from tiercel.collector.spool import Spool
from tiercel.joints.base import Producer
from tiercel.schemas import avro, topics

log = logging.getLogger(__name__)

LossKey = tuple[str, str]

# After losses of our own the source tells again, at most this often: what is lost while it does must not make it worse.
_RETELL_S = 10.0


@dataclass(frozen=True)
class Totals:
    """What a run has come to. produced = delivered + lost once the collector has finished; `shed` are payloads that
    delivered events lack.
    """

    produced: int
    delivered: int
    lost: dict[LossKey, int]
    batches: int
    shed: dict[LossKey, int] = field(default_factory=dict)


class Collector:
    """One run. `run` drives it to its end; `step` is a single turn, for whoever has a loop of its own.

    `schema_id` is the registry's for raw_batch, if there is a registry. `redactor` sees every event before it is
    encoded; `beat` is called in each turn.
    """

    def __init__(
        self,
        source: Source,
        output: Producer | Spool,
        identity: Identity,
        *,
        linger_ms: int = 100,
        batch_events: int = 1000,
        batch_bytes: int = 512 * 1024,
        schema_id: int | None = None,
        redactor: Redactor | None = None,
        beat: Callable[[], None] = lambda: None,
    ) -> None:
        self._source, self._output, self._identity = source, output, identity
        self._linger = linger_ms / 1000
        self._batch_events, self._batch_bytes = batch_events, batch_bytes
        self._key = identity.host_id.encode()
        self._schema_id = schema_id
        self._redactor, self._beat = redactor, beat
        self._pending = Batch()
        self._since = 0.0
        self._seq = identity.run
        self._delivered = 0
        self._own: Counter[LossKey] = Counter()
        self._told: Counter[LossKey] = Counter()
        self._told_shed: Counter[LossKey] = Counter()
        self._batches = 0
        self._complained = 0.0
        self._failing = False
        # Events of any origin that were not sent, what was told of processes and containers among them.
        self._unsent = 0
        self._made_up_for = 0
        self._retold = -_RETELL_S

    def run(self, stop: Event, flush_timeout: float = 10.0, begun: Callable[[], None] = lambda: None) -> Totals:
        """Snapshot, then events until `stop` is set or the source ends; returns when all is safe or time is up.

        `begun` is called when the snapshot is handed over.
        """
        self.begin()
        begun()
        while not stop.is_set() and not self._source.finished():
            self.step()
        return self.finish(flush_timeout)

    def begin(self) -> None:
        """Tell what the host is; nothing can be understood without it, so this waits for room."""
        self._source.snapshot(self._pending)
        self._cut(timeout=30.0)

    def step(self) -> None:
        """Take what is there, send what is due, and wait a little if there was nothing."""
        if not self._take():
            self._source.wait(self._linger)
        if len(self._pending):
            age = time.monotonic() - self._since
            if age >= self._linger or self._full():
                self._cut()
        elif time.monotonic() - self._since >= max(1.0, self._linger) and self._untold():
            self._cut()
        self._output.poll()
        self._retell()
        self._beat()

    def finish(self, flush_timeout: float = 10.0) -> Totals:
        """Stop the source, send what it still holds and a last batch with the totals."""
        self._source.stop()
        while self._take() or not self._source.finished():
            if self._full():
                self._cut(timeout=1.0)
        self._cut(timeout=flush_timeout, always=True)
        left = self._output.flush(flush_timeout)
        if left:
            log.error("messages not delivered when the collector ended messages=%d", left)
        return self.totals()

    def _retell(self) -> None:
        """Once there is room again, make up for what was lost behind the kernel's back."""
        now = time.monotonic()
        if self._unsent > self._made_up_for and not self._failing and now - self._retold >= _RETELL_S:
            self._made_up_for, self._retold = self._unsent, now
            self._source.retell()

    def totals(self) -> Totals:
        """Where the run stands."""
        lost = {key: count for key, count in self._losses().items() if count}
        shed = {key: count for key, count in self._shed().items() if count}
        return Totals(self._source.produced(), self._delivered, lost, self._batches, shed)

    def _take(self) -> int:
        empty = not len(self._pending)
        count = self._source.read(self._pending, max(1, self._batch_events - len(self._pending)))
        if count and empty:
            self._since = time.monotonic()
        return count

    def _full(self) -> bool:
        return len(self._pending) >= self._batch_events or self._pending.data_bytes >= self._batch_bytes

    def _losses(self) -> Counter[LossKey]:
        totals = Counter(self._own)
        for stage, reason, total in self._source.losses():
            totals[stage, reason] += total
        return totals

    def _shed(self) -> Counter[LossKey]:
        return Counter({(stage, reason): total for stage, reason, total in self._source.shed()})

    def _untold(self) -> list[Loss]:
        return _since(self._losses(), self._told)

    def _cut(self, timeout: float = 0.0, *, always: bool = False) -> None:
        """Send the pending events as batches within the limits, and begin anew."""
        batch, self._pending = self._pending, Batch()
        if self._redactor is not None:
            self._redactor.redact(batch)
        self._since = time.monotonic()
        start = 0
        while start < len(batch) or always or self._untold():
            stop = min(len(batch), start + self._batch_events)
            self._send(batch, start, stop, timeout)
            start, always = stop, False
            if start == len(batch):
                break

    def _send(self, batch: Batch, start: int, stop: int, timeout: float) -> None:
        part = Batch()
        part.extend(batch, start, stop)
        kernel = part.kernel_events
        lost = self._untold()
        produced = self._source.produced()
        header: dict[str, Any] = {
            "host_id": self._identity.host_id,
            "host": self._identity.host,
            "boot_id": self._identity.boot_id,
            "run": self._identity.run,
            "first_seq": self._seq,
            "produced": produced,
            "delivered": self._delivered + kernel,
            "lost": lost,
            "shed": _since(self._shed(), self._told_shed),
        }
        if not part:
            header["time"] = time.time_ns()
        body = encode_raw(part, 0, len(part), header)
        if len(body) > self._batch_bytes and stop - start > 1:
            middle = (start + stop) // 2
            self._send(batch, start, middle, timeout)
            self._send(batch, middle, stop, timeout)
            return

        message = avro.frame("raw_batch", body, self._schema_id)
        if self._hand_over(message, header, part, timeout):
            self._failing = False
            self._seq += len(part)
            self._delivered += kernel
            self._batches += 1
            for stage, reason, count in lost:
                self._told[stage, reason] += count
            for stage, reason, count in header["shed"]:
                self._told_shed[stage, reason] += count
        else:
            self._failing = True
            # The numbers were not given out: the next batch takes them.
            self._own[self._refusal()] += kernel
            self._unsent += len(part)
            if time.monotonic() - self._complained > 10:
                self._complained = time.monotonic()
                log.warning("no room for events, counted as lost events=%d", kernel)

    def _hand_over(self, message: bytes, header: dict[str, Any], part: Batch, timeout: float) -> bool:
        kernel, lost = part.kernel_events, header["lost"]
        if isinstance(self._output, Spool):
            return self._output.put(
                message,
                first_seq=header["first_seq"],
                events=len(part),
                kernel=kernel,
                produced=header["produced"],
                numbered=header["delivered"],
                lost=sum(count for _, _, count in lost),
                timeout=timeout,
            )

        def done(error: str | None) -> None:
            if error is not None:
                self._own["broker", "refused"] += kernel
                self._unsent += len(part)
                for stage, reason, count in lost:
                    self._told[stage, reason] -= count
                for stage, reason, count in header["shed"]:
                    self._told_shed[stage, reason] -= count

        return self._output.send(topics.RAW, self._key, message, timeout=timeout, done=done)

    def _refusal(self) -> LossKey:
        return self._output.refusal() if isinstance(self._output, Spool) else ("collector", "queue_full")


def _since(totals: Counter[LossKey], told: Counter[LossKey]) -> list[Loss]:
    return [(*key, total - told[key]) for key, total in sorted(totals.items()) if total > told[key]]
