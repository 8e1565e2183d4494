"""The loop that feeds a sink from a joint: read, gather, write, commit; and wait, as a member of the group, while the
store takes nothing.
"""

import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from tiercel.joints.base import Consumer
from tiercel.sinks.base import Sink, Stored
from tiercel.sinks.gather import Gatherer
from tiercel.sinks.refusals import AwayError, Refusal

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Patience:
    """Seconds between tries: doubled from `first` up to `longest`, which a store that must be mended gets at once."""

    first: float = 0.5
    longest: float = 30.0

    def wait(self, tries: int, refusal: Refusal) -> float:
        if refusal.kind in ("wrong", "data"):
            pause = self.longest
        elif refusal.kind == "fenced":
            # Time for the group to say who has the partitions: heartbeats go out each three seconds.
            pause = min(4.0, self.longest)
        else:
            pause = min(self.longest, self.first * 2 ** min(tries - 1, 30))
        return pause * random.uniform(0.8, 1.2)  # noqa: S311 - so that sinks do not come all at once


def drive(
    sink: Sink,
    consumer: Consumer,
    stop: Callable[[], bool],
    *,
    gatherer: Gatherer | None = None,
    wrote: Callable[[Stored], None] | None = None,
    patience: Patience | None = None,
    drain_s: float = 3600.0,
) -> None:
    """Feed the sink until `stop`, and then for up to `drain_s` seconds, as long as something is there.

    What was read by then is written, and committed after that; but one that is away by then is not waited for.
    """
    gathered = gatherer or Gatherer()
    deadline: float | None = None
    while True:
        ending = stop()
        if ending and deadline is None:
            deadline = time.monotonic() + drain_s
        late = deadline is not None and time.monotonic() >= deadline
        messages = [] if late else consumer.read(gathered.room(), 0.0 if ending else 0.05)
        gathered.add(messages)
        if gathered.due() or (ending and gathered.messages and (late or not messages)):
            gathered.take()
            stored = _write(sink, consumer, gathered, stop, patience or Patience())
            if stored is None:
                return
            if wrote is not None:
                wrote(stored)
        elif ending and not messages:
            return


def _write(
    sink: Sink, consumer: Consumer, gathered: Gatherer, stop: Callable[[], bool], patience: Patience
) -> Stored | None:
    """Write what was taken, however long it takes; None: it was told to stop before the store took it."""
    tries, since, told = 0, time.monotonic(), set[str]()
    stored = Stored()
    counters = sink.counters
    while gathered.flight:
        try:
            stored = sink.write(gathered.flight)
            consumer.commit(gathered.flight)
            break
        except AwayError as error:
            tries += 1
            if error.refusal.reason not in told:
                told.add(error.refusal.reason)
                log.error("%s; reading waits, nothing is lost", error, extra={"reason": error.refusal.reason})
            if stop():
                log.warning("ended while the store is away; what was read and not stored is not committed")
                return None
            counters.paused = True
            consumer.pause(True)
            again = time.monotonic() + patience.wait(tries, error.refusal)
            while gathered.flight and not stop() and (left := again - time.monotonic()) > 0:
                # A member of a group that does not read is taken for dead; paused, it reads nothing.
                gathered.add(consumer.read(1, min(0.25, left)))
    gathered.done(stored.events)
    if tries:
        consumer.pause(False)
        counters.paused = False
        counters.paused_seconds += time.monotonic() - since
        log.warning("the store takes rows again", extra={"after_s": round(time.monotonic() - since, 1), "tries": tries})
    return stored
