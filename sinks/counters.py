"""What a sink counts for whoever watches it: plain numbers, written by its thread, read by any."""

import time
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field

# Upper ends in seconds of the buckets of `latency`; the last bucket has no end.
LATENCY_BUCKETS = (0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0)


@dataclass
class SinkCounters:
    """Rows and batches are in `Stored`; here is what it took to store them."""

    inserts: int = 0
    inserts_of: Counter[str] = field(default_factory=Counter)  # By table.
    insert_seconds: float = 0.0
    insert_bytes: int = 0
    rows: int = 0
    refused_batches: int = 0
    refused_events: int = 0
    refused_others: int = 0  # Alerts and raw batches.
    raw_batches: int = 0
    raw_bytes: int = 0
    takes: int = 0  # How often partitions were taken: after an assignment, and after each failure.
    paused: bool = False  # Whether reading waits for the store.
    paused_seconds: float = 0.0
    waiting_bytes: int = 0
    waiting_messages: int = 0
    oldest: float | None = None  # time.monotonic() at which the oldest message that is not stored was read.
    retries: Counter[str] = field(default_factory=Counter)  # By reason (sinks/refusals.py).
    latency: list[int] = field(default_factory=lambda: [0] * (len(LATENCY_BUCKETS) + 1))  # Of batches, by bucket.
    latency_seconds: float = 0.0

    def oldest_seconds(self) -> float:
        """Age of the oldest message that was read and is not stored."""
        since = self.oldest
        return time.monotonic() - since if since is not None else 0.0

    def stored_after(self, seconds: float) -> None:
        """Note that a batch was stored so long after its last event."""
        self.latency[bisect_left(LATENCY_BUCKETS, seconds)] += 1
        self.latency_seconds += max(0.0, seconds)
