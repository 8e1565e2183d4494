"""Describes from /proc the tasks that nobody announced, before their events are numbered; called by `live` for each
drained batch that carries questions of the kernel (probe/lib/marks.h).

Work is bounded: so much time of each second, and so many questions that wait for their turn. Until a question is
answered, and for good where the task is gone, the facts of its events are told to be guessed.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Protocol

from tiercel._engine import Batch
from tiercel.collector.describer import GONE, Describer, Here

log = logging.getLogger(__name__)

_WAITING_MAX = 4096
_REMEMBERED_MAX = 4096
_ANCESTORS_MAX = 64
_SILENCE_S = 60.0


def _boottime() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


class Marks(Protocol):
    """The part of `tiercel.probe.core.Probe` that is used here."""

    def knows(self, pid: int) -> bool: ...

    def mark_known(self, pid: int) -> None: ...


class Question(NamedTuple):
    """As `RingReader.questions` gives it. `time` is CLOCK_BOOTTIME in ns."""

    place: int
    tid: int
    pid: int
    whole: bool
    time: int


class Healer:
    """Answers questions. `offset` makes CLOCK_BOOTTIME UTC; `per_second` is the share of each second spent on it."""

    def __init__(
        self,
        marks: Marks,
        offset: int,
        per_second: float,
        *,
        root: Path = Path("/proc"),
        describer: Describer | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._marks, self._offset, self._clock = marks, offset, clock
        self.describer = describer or Here(offset, self.now, root)
        self._per_second = per_second
        self._left, self._filled = per_second, clock()
        self._waiting: dict[int, Question] = {}
        # Boot time at which a process was described: questions of events before it are answered.
        self._described: dict[int, int] = {}
        self._complained = -_SILENCE_S
        # described: processes and lone threads; gone: those that /proc knew no more; late: questions that had to wait;
        # refused: those for which there was no place to wait.
        self.counts: Counter[str] = Counter()

    @property
    def waiting(self) -> int:
        """Questions that wait for their turn."""
        return len(self._waiting)

    def splice(self, batch: Batch, events: Batch, questions: list[Question]) -> None:
        """Append `events` to the batch, and before each that carries a question what it asks for."""
        self._fill()
        self.describer.begin()
        for question in [*self._waiting.values()]:
            if self._left <= 0:
                break
            del self._waiting[question.tid]
            self._answer(batch, question, late=True)
        done = 0
        for question in questions:
            batch.extend(events, done, question.place)
            done = question.place
            if self._left > 0:
                self._answer(batch, question)
            else:
                self._wait(batch, question)
        batch.extend(events, done)

    def forget(self) -> None:
        """What was described may be lost: no question is answered by it."""
        self._described.clear()

    def now(self) -> int:
        """UTC ns by the clock of the events."""
        return _boottime() + self._offset

    def _fill(self) -> None:
        now = self._clock()
        self._left = min(self._per_second, self._left + (now - self._filled) * self._per_second)
        self._filled = now

    def _wait(self, batch: Batch, question: Question) -> None:
        if self._is_answered(question):
            return
        first = self._waiting.pop(question.tid, None)
        if first is None:
            self._guess(batch, question)
            if len(self._waiting) >= _WAITING_MAX or not self._per_second:
                self.counts["refused"] += 1
                self._complain()
                return
            self.counts["late"] += 1
        whole = question.whole or (first is not None and first.whole)
        self._waiting[question.tid] = question._replace(whole=whole)

    def _answer(self, batch: Batch, question: Question, *, late: bool = False) -> None:
        begun = self._clock()
        try:
            complete = self._describe(batch, question)
        except GONE:
            complete = False
        if not complete:
            self.counts["gone"] += 1
            # Of one that had to wait it was told before; its exit may be, too, and once more would bring it back.
            if not late:
                self._guess(batch, question)
        self._left -= self._clock() - begun

    def _describe(self, batch: Batch, question: Question) -> bool:
        """Append what is asked for; whether nothing of it was missing."""
        if self._is_answered(question):
            return True
        whole = question.whole or question.tid == question.pid
        own, begun = Batch(), _boottime()
        only = None if whole else question.tid
        complete, parent = self.describer.describe(own, question.pid, question.time, only)
        self._ancestors(batch, parent)
        batch.extend(own)
        self.counts["described"] += 1
        if whole:
            self._remember(question.pid, begun)
        return complete

    def _ancestors(self, batch: Batch, pid: int) -> None:
        """Append the ancestors that are not known, the oldest first."""
        unknown: list[Batch] = []
        while pid > 0 and len(unknown) < _ANCESTORS_MAX and not self._marks.knows(pid):
            self._marks.mark_known(pid)
            own, begun = Batch(), _boottime()
            try:
                complete, parent = self.describer.describe(own, pid, 2**63 - 1)
                if not complete:
                    break
            except GONE:
                break
            unknown.append(own)
            self._remember(pid, begun)
            self.counts["described"] += 1
            pid = parent
        for own in reversed(unknown):
            batch.extend(own)

    def _remember(self, pid: int, begun: int) -> None:
        if len(self._described) >= _REMEMBERED_MAX:
            self._described.clear()
        self._described[pid] = begun

    def _is_answered(self, question: Question) -> bool:
        return question.time < self._described.get(question.pid, 0)

    def _guess(self, batch: Batch, question: Question) -> None:
        batch.append("thread_guessed", time=self.now(), tid=question.tid, params=[int(question.whole)])

    def _complain(self) -> None:
        now = self._clock()
        if self._per_second and now - self._complained >= _SILENCE_S:
            self._complained = now
            log.warning("too many processes to describe: facts of some are guessed refused=%d", self.counts["refused"])
