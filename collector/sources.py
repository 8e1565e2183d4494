"""What a collector drains: `live` is the probe, `capture` a file."""

from typing import Protocol

from tiercel._engine import Batch

Loss = tuple[str, str, int]


class Source(Protocol):
    """What `Collector` drains. One thread."""

    def read(self, batch: Batch, limit: int) -> int:
        """Append at most `limit` of the events that are there, and return how many; never waits."""
        ...

    def produced(self) -> int:
        """Events of kernel origin there have been so far, lost ones included."""
        ...

    def losses(self) -> list[Loss]:
        """(stage, reason, total so far)."""
        ...

    def shed(self) -> list[Loss]:
        """What events that were delivered lack, in the same form: their payloads."""
        ...

    def snapshot(self, batch: Batch) -> None:
        """Append what the host is before its first event."""
        ...

    def retell(self) -> None:
        """Some of what was read is lost, snapshots among it perhaps: tell of each task again before its next event."""
        ...

    def wait(self, timeout: float) -> None:
        """Wait until there may be events."""
        ...

    def finished(self) -> bool:
        """Whether no event will ever come again."""
        ...

    def stop(self) -> None:
        """Produce no more; what was produced can still be read."""
        ...

    def close(self) -> None: ...
