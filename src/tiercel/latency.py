"""How long things took, as counts by bucket: written by one thread, read by any."""

from bisect import bisect_left
from dataclasses import dataclass, field

BUCKETS = (0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0)
"""Upper ends in seconds; after the last one comes a bucket without an end."""


@dataclass
class Latency:
    """Counts by bucket, and the sum of seconds. What lies in the future, as clocks differ, took no time."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS) + 1))
    seconds: float = 0.0

    def add(self, seconds: float) -> None:
        seconds = max(0.0, seconds)
        self.counts[bisect_left(BUCKETS, seconds)] += 1
        self.seconds += seconds
