"""The way to one sink: a bounded queue, a thread, tries again, and the count of all that did not arrive.

For each sink offered = delivered + dropped + refused once its lane is closed. Nothing here ever waits for a sink but
the lane's own thread.
"""

import logging
import random
import socket
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from tiercel.config import machine_id
from tiercel.sinks.alerts.base import (
    Alert,
    AwayError,
    ClosedError,
    DeliveryError,
    FailedError,
    RefusedError,
    Sink,
    notice,
)

log = logging.getLogger(__name__)

Settled = Callable[[], None]
_SILENCE_S = 60.0
_MAX_BYTES = 128 << 20


@dataclass
class Tally:
    """What became of the alerts that were offered; dropped and refused by reason. `retries`: tries that failed."""

    offered: int = 0
    delivered: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    retries: int = 0
    notices: int = 0

    def text(self) -> str:
        """`12 delivered, 3 dropped (full 3)`."""
        words = [f"{self.delivered:,} delivered"]
        for what, counts in (("dropped", self.dropped), ("refused", self.refused)):
            if counts.total():
                words.append(f"{counts.total():,} {what} ({_reasons(counts)})")
        return ", ".join(words)


def _reasons(counts: Counter[str]) -> str:
    return ", ".join(f"{reason} {count:,}" for reason, count in sorted(counts.items()))


@dataclass
class _Entry:
    """A place in the queue; `lost` were to stand before it. Without an alert it only says when its turn has come."""

    alert: Alert | None
    settled: Settled | None
    lost: Counter[str]


class Lane:
    """Runs from construction to `close`. When its queue is full the new alert is dropped."""

    def __init__(
        self,
        sink: Sink,
        *,
        severity: int = 7,
        max_alerts: int = 10_000,
        max_bytes: int = _MAX_BYTES,
        attempts: int = 8,
        backoff: tuple[float, float] = (0.25, 30.0),
        host: tuple[str, str] | None = None,
    ) -> None:
        """`severity` is the index of the least urgent priority that is sent; `backoff` the first and longest wait.

        `host` is the id and name that notices of loss carry.
        """
        self.sink, self.name = sink, sink.name
        self.tally = Tally()
        self.gone = threading.Event()
        self._severity, self._max_alerts, self._max_bytes = severity, max_alerts, max_bytes
        self._attempts, self._backoff = attempts, backoff
        self._host = host or (machine_id(), socket.gethostname())
        self._changed = threading.Condition()
        self._queue: deque[_Entry] = deque()
        self._bytes = 0
        self._in_hand: _Entry | None = None
        self._lost_last: Counter[str] = Counter()  # since the last one that was queued
        self._lost_first: Counter[str] = Counter()  # before the first one in the queue
        self._ends: float | None = None
        self._over = self._reopen = False
        self._unlogged: Counter[str] = Counter()
        self._logged = self._told_away = -_SILENCE_S
        self._away_since: float | None = None
        self._thread = threading.Thread(target=self._run, name=f"alerts-{sink.name}", daemon=True)
        self._thread.start()

    def offer(self, alert: Alert, settled: Settled | None = None, *, bounded: bool = True) -> bool:
        """Take an alert if there is room, without waiting; what is less urgent than the sink wants is passed by.

        `settled` is called, in the order of offers, when an alert that was taken needs no more care: delivered, refused
        or dropped. Whoever minds `room` may offer unbounded.
        """
        if alert.severity > self._severity:
            self.pass_by(settled)
            return True
        with self._changed:
            self.tally.offered += 1
            reason = None
            if self._over or self._ends is not None:
                reason = "stopped"
            elif self.gone.is_set():
                reason = "closed"
            elif bounded and not self._has_room(alert.size):
                reason = "full"
            if reason is None:
                self._put(_Entry(alert, settled, self._lost_last))
                self._lost_last = Counter()
            else:
                self.tally.dropped[reason] += 1
                self._lost_last[reason] += 1
                if reason != "closed":
                    self._unlogged[reason] += 1
        if reason is not None:
            self._tell_lost()
        return reason is None

    def pass_by(self, settled: Settled | None) -> None:
        """Nothing to send, but `settled` in its turn."""
        if settled is not None:
            with self._changed:
                if not self._over and not self.gone.is_set():
                    self._put(_Entry(None, settled, Counter()))

    def lose(self, count: int, reason: str) -> None:
        """Count alerts that never came as far as this lane, as dropped; the sink is told in their place."""
        with self._changed:
            self.tally.offered += count
            for counts in (self.tally.dropped, self._lost_last, self._unlogged):
                counts[reason] += count
        self._tell_lost()

    def room(self) -> int:
        """How many alerts it takes now."""
        with self._changed:
            return max(0, self._max_alerts - len(self._queue)) if self._bytes < self._max_bytes else 0

    def waiting(self) -> int:
        """How many are in its queue, as far as one can tell without waiting."""
        return len(self._queue)

    def reopen(self) -> None:
        """Have the sink open anew what may have been moved away, soon."""
        with self._changed:
            self._reopen = True
            self._changed.notify_all()

    def finish(self, deadline: float) -> None:
        """Take no more, and be done by `deadline` (monotonic)."""
        with self._changed:
            self._ends = deadline
            self._changed.notify_all()

    def close(self, deadline: float, *, keep: bool = False) -> int:
        """`finish` and wait for it; what is left is counted as dropped, unless whoever offered it keeps it."""
        self.finish(deadline)
        self._thread.join(max(0.0, deadline - time.monotonic()) + 0.05)
        with self._changed:
            self._over = True
            waiting = [*self._queue, *([self._in_hand] if self._in_hand is not None else [])]
            left = sum(entry.alert is not None for entry in waiting)
            self._queue.clear()
            self._in_hand, self._bytes = None, 0
            if left:
                if keep:
                    self.tally.offered -= left
                else:
                    self.tally.dropped["stopped"] += left
                    self._unlogged["stopped"] += left
        self._tell_lost(last=True)
        return left

    def _has_room(self, size: int) -> bool:
        # A single alert larger than the bound still passes through an empty queue.
        return not self._queue or (len(self._queue) < self._max_alerts and self._bytes + size <= self._max_bytes)

    def _put(self, entry: _Entry) -> None:
        self._queue.append(entry)
        self._bytes += entry.alert.size if entry.alert is not None else 0
        self._changed.notify_all()

    def _run(self) -> None:
        try:
            while (entry := self._next()) is not None:
                self._handle(entry)
        finally:
            try:
                self.sink.close()
            except Exception as error:
                log.debug("sink not closed well sink=%s reason=%r", self.name, error)

    def _next(self) -> _Entry | None:
        """The next entry; None when it is time to end."""
        while True:
            with self._changed:
                self._changed.wait_for(
                    lambda: self._queue or self._ends is not None or self._reopen,
                    _SILENCE_S if self._unlogged else None,
                )
                reopen, self._reopen = self._reopen, False
                if not reopen and (self._queue or self._ends is not None):
                    if not self._queue or self._late():
                        return None
                    entry = self._in_hand = self._queue.popleft()
                    self._bytes -= entry.alert.size if entry.alert is not None else 0
                    return entry
            if reopen:
                self._open_anew()
            self._tell_lost()

    def _late(self) -> bool:
        return self._ends is not None and time.monotonic() >= self._ends

    def _open_anew(self) -> None:
        try:
            self.sink.reopen()
        except Exception as error:
            log.warning("sink cannot be opened anew sink=%s reason=%s", self.name, error)

    def _handle(self, entry: _Entry) -> None:
        if entry.alert is not None:
            lost = entry.lost + self._lost_first
            if lost:
                told = self._try(notice(self.name, lost, self._host))
                if told is None:
                    return
                # What could not be told either is told with what is lost next.
                self._lost_first = Counter() if told[0] == "delivered" else lost
                self.tally.notices += told[0] == "delivered"
            outcome = self._try(entry.alert)
            if outcome is None:
                return
            if not self._count(*outcome):
                return
        with self._changed:
            self._in_hand = None
        if entry.settled is not None and not self._over:
            entry.settled()

    def _count(self, what: str, reason: str) -> bool:
        """Note what became of the alert in hand; False if that is settled otherwise already."""
        with self._changed:
            if self._over:
                return False
            if what == "delivered":
                self.tally.delivered += 1
                return True
            counts = self.tally.refused if what == "refused" else self.tally.dropped
            counts[reason] += 1
            self._lost_first[reason] += 1
            self._unlogged[reason] += 1
            if what == "closed":
                # Whoever keeps what was offered does not hear that it is settled.
                self.gone.set()
                self._in_hand = None
                counts[reason] += sum(entry.alert is not None for entry in self._queue)
                self._queue.clear()
                self._bytes = 0
                self._unlogged.clear()
                return False
        self._tell_lost()
        return True

    def _try(self, alert: Alert) -> tuple[str, str] | None:
        """Deliver it, however long that takes; what became of it and why, None if there is no more time."""
        failed = 0
        wait, longest = self._backoff
        while True:
            try:
                self.sink.send(alert)
            except RefusedError as error:
                log.debug("alert refused sink=%s id=%s reason=%s", self.name, alert.id, error)
                return "refused", error.reason
            except ClosedError as error:
                return "closed", error.reason
            except AwayError as error:
                reason: DeliveryError = error
            except Exception as error:
                failed += 1
                if not isinstance(error, FailedError):
                    log.error("sink failed sink=%s", self.name, exc_info=error)
                reason = error if isinstance(error, FailedError) else FailedError("failed", repr(error))
                if failed >= self._attempts:
                    return "dropped", reason.reason
            else:
                self._tell_back()
                return "delivered", ""
            self.tally.retries += 1
            self._tell_away(reason)
            # Half of it by chance: many that lost the same server do not come back as one. A server may wish to be left
            # alone for longer, but not to be asked without a pause.
            if not self._wait(max(reason.after or 0.0, wait * random.uniform(0.5, 1.0))):  # noqa: S311
                return None
            wait = min(wait * 2, longest)

    def _wait(self, seconds: float) -> bool:
        """Wait before the next try, which an end or a wish to reopen brings forward; False: there is none."""
        with self._changed:
            ends = self._ends
            if ends is not None:
                seconds = min(seconds, max(0.0, ends - time.monotonic()))
            self._changed.wait_for(lambda: self._ends != ends or self._reopen, seconds)
            reopen, self._reopen = self._reopen, False
            late = self._late()
        if reopen:
            self._open_anew()
        return not late

    def _tell_away(self, reason: DeliveryError) -> None:
        now = time.monotonic()
        self._away_since = self._away_since or now
        if now - self._told_away >= _SILENCE_S:
            self._told_away = now
            log.warning("alerts wait for a sink sink=%s waiting=%d reason=%s", self.name, len(self._queue) + 1, reason)

    def _tell_back(self) -> None:
        if self._away_since is not None:
            log.info("alerts reach the sink again sink=%s after=%.1fs", self.name, time.monotonic() - self._away_since)
            self._away_since = None

    def _tell_lost(self, *, last: bool = False) -> None:
        with self._changed:
            now = time.monotonic()
            if not self._unlogged or (now - self._logged < _SILENCE_S and not last):
                return
            self._logged = now
            counts, self._unlogged = self._unlogged, Counter()
        # Not under the lock: whoever reads our log may be slow, too.
        log.warning("alerts lost sink=%s lost=%d (%s)", self.name, counts.total(), _reasons(counts))
