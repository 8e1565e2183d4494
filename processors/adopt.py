"""How a fleet's worker takes up rule sets: which set counts for a message, recorded before it is used.

`settled` is asked for every message and costs some comparisons; `settle` does the rest, seldom and beside the loop.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tiercel._engine import RuleSet
from tiercel.errors import KafkaError
from tiercel.processors.rollout import NEVER
from tiercel.processors.rules_topic import RulesTopic
from tiercel.rules.sets import CompiledSet, RefusedError

log = logging.getLogger(__name__)

PATIENCE_S = 5.0
"""Before another attempt to record what could not be recorded."""


@dataclass(frozen=True)
class _Use:
    version: str
    until: int
    # Before this offset nothing new is taken up: somebody else may have worked on these messages already.
    gate: int


class Adoption:
    """The rules of one worker's partitions.

    `bounds` tells of a raw partition the offsets of its oldest message and of its next one, `committed` that from which
    it would be read after a crash.
    """

    def __init__(
        self,
        topic: RulesTopic,
        wanted: CompiledSet,
        bounds: Callable[[int], tuple[int, int]],
        committed: Callable[[int], int],
    ) -> None:
        self.wanted = wanted
        self._topic, self._bounds, self._committed = topic, bounds, committed
        self._uses: dict[int, _Use] = {}
        # Oldest offset and end of partitions that are ours anew, for all of which the topic was read.
        self._foreseen: dict[int, tuple[int, int]] = {}
        self._refused: tuple[str, int] | None = None
        self._not_before = 0.0

    def look(self) -> None:
        """Compile what has become current; a bad set is told, and what was wanted before stays so."""
        self._look_for_others()
        version, told = self._topic.current, self._topic.told
        if version is None or version == self.wanted.version or self._refused == (version, told):
            return
        try:
            self.wanted = self._topic.compiled(version)
            self._refused = None
            log.info("rules ready rules=%d version=%s", self.wanted.count, version[:12])
        except (RefusedError, KafkaError) as error:
            self._refused = version, told
            for line in error.errors if isinstance(error, RefusedError) else [str(error)]:
                log.error("rules refused, those before go on: %s version=%s", line, version[:12])

    def _look_for_others(self) -> None:
        """Who had a partition before us, and does not know yet that it is ours, may still record something."""
        for partition, use in list(self._uses.items()):
            last = self._topic.rollout.at(partition, NEVER)
            if use.until == NEVER and last is not None and last.version != use.version:
                self.forget({partition})

    def catch_up(self) -> None:
        """Read what others have recorded up to now. KafkaError."""
        self._topic.catch_up()

    def foresee(self, starts: Mapping[int, int], bounds: Mapping[int, tuple[int, int]]) -> None:
        """Partitions that have become ours go on from `starts`: what `settle` would find out for each, one by one.

        `bounds` are as of now, after `catch_up`; sets that messages wait for are compiled. KafkaError.
        """
        for partition, start in starts.items():
            self._foreseen[partition] = bounds[partition]
            self._topic.rollout.leave_out(partition, max(bounds[partition][1], start))
            # Of those further on few are needed, and none at once.
            span = self._topic.rollout.at(partition, start)
            if span is not None:
                self._made(span.version)

    def settled(self, partition: int, offset: int) -> bool:
        """Whether the message is worked on with the rules of the one before."""
        use = self._uses.get(partition)
        if use is None or offset >= use.until:
            return False
        wanted = use.version == self.wanted.version or use.until != NEVER or offset < use.gate
        return wanted or time.monotonic() < self._not_before

    def settle(self, partition: int, offset: int) -> RuleSet:
        """The rules for a message and those that follow. KafkaError if nobody can say."""
        use = self._uses.get(partition)
        foreseen = self._foreseen.pop(partition, None)
        if use is None and foreseen is None:
            # Others may have recorded something since, and worked on whatever was there.
            self.catch_up()
        try:
            oldest, end = foreseen or self._bounds(partition)
        except KafkaError as error:
            if use is None:
                raise
            self._put_off(error)
            return self._taken(partition, offset, use.gate)
        gate = use.gate if use is not None else end
        if foreseen is None:
            # An end that was foreseen may be old, and what was recorded since count.
            self._topic.rollout.leave_out(partition, max(end, offset + 1))
        span = self._topic.rollout.at(partition, offset)
        if span is None or (span.until == NEVER and span.version != self.wanted.version and offset >= gate):
            self._record(partition, offset, oldest, must=span is None)
        return self._taken(partition, offset, gate)

    def _taken(self, partition: int, offset: int, gate: int) -> RuleSet:
        """What is recorded for a message, and from now on settled for those that follow."""
        span = self._topic.rollout.at(partition, offset)
        assert span is not None
        made = self._made(span.version)
        self._uses[partition] = _Use(span.version, span.until, gate)
        return made.rules

    def _put_off(self, reason: KafkaError) -> None:
        log.error("rules not reloaded: %s", reason)
        self._not_before = time.monotonic() + PATIENCE_S

    def forget(self, partitions: set[int]) -> None:
        """These are no longer ours, or will be anew."""
        for partition in partitions:
            self._uses.pop(partition, None)
            self._foreseen.pop(partition, None)

    def _record(self, partition: int, offset: int, oldest: int, *, must: bool) -> None:
        wanted = self.wanted
        try:
            # Whoever sets offsets back finds what counted for all that Kafka still has; only where that is too much,
            # what counts for whatever a crash can bring back.
            adding = self._topic.rollout.adding
            entries = adding(partition, offset, wanted.version, oldest) or adding(
                partition, offset, wanted.version, self._committed(partition)
            )
        except KafkaError as error:
            if must:
                raise
            self._put_off(error)
            return
        if entries is None:
            log.warning("rules wait until offsets are committed partition=%d", partition)
            self._not_before = time.monotonic() + PATIENCE_S
            return
        # If that fails, what was written may still arrive: nobody may work on this message with other rules then.
        self._topic.record(partition, entries)
        log.info(
            "rules %s rules=%d version=%s partition=%d from_offset=%d",
            "recorded" if must else "reloaded",
            wanted.count,
            wanted.version[:12],
            partition,
            offset,
        )

    def _made(self, version: str) -> CompiledSet:
        if version == self.wanted.version:
            return self.wanted
        try:
            return self._topic.compiled(version)
        except RefusedError as error:
            # Nobody can do again what was done with rules that are gone.
            log.error("recorded rules cannot be used, the current ones are: %s", error)
            return self.wanted
