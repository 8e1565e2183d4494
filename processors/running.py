"""A Faust worker at work, for whoever watches it: plain numbers, from any thread."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tiercel.processors.custody import Custody
from tiercel.processors.worker import Worker


@dataclass
class Running:
    """`app.make` fills it in. `turned` is when the event loop turned last (monotonic)."""

    worker: Worker | None = None
    assigned: set[int] | None = None
    seen: dict[int, int] = field(default_factory=dict)
    turned: float = field(default_factory=time.monotonic)
    under_way: Callable[[], int] = lambda: 0
    highwater: Callable[[int], int | None] = lambda _partition: None
    custody: Custody | None = None
    rules: Callable[[], tuple[str, int]] = lambda: ("", 0)
    waits: str | None = None
    """Why the next message cannot be taken yet; the group's other members could not, either."""

    def snapshot_age(self) -> float | None:
        """Seconds since the oldest message that no snapshot stands for; None if there is none."""
        return self.custody.oldest_s() if self.custody is not None else None

    def lags(self) -> dict[int, int]:
        """Messages that wait in each of our partitions, where that is known: after its first message."""
        found = {}
        for partition in list(self.assigned or ()):
            end, last = self.highwater(partition), self.seen.get(partition)
            if end is not None and last is not None:
                found[partition] = max(0, end - last - 1)
        return found

    def unready(self) -> str | None:
        """Why it does not work; None if it does, or has nothing to do."""
        if self.assigned is None:
            return "no partitions were assigned yet"
        if self.custody is not None and self.custody.wanted - set(self.custody.kept):
            return "what is known of the hosts is being recovered"
        return self.waits
