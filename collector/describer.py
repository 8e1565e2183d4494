"""Who describes processes from /proc: this process, or one that has the right to and nothing else (`reader.py`)."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from tiercel._engine import Batch
from tiercel.collector import proc
from tiercel.collector.descriptors import Tables

# What a look at /proc may end in: the process is gone, or is no more the one that was meant.
GONE = (OSError, ValueError, IndexError, KeyError)


class Describer(Protocol):
    """One thread."""

    def begin(self) -> None:
        """Tables of sockets that were read before are old now."""
        ...

    def describe(self, batch: Batch, pid: int, before: int, only: int | None = None) -> tuple[bool, int]:
        """Append a process, or one of its threads alone, that existed at `before` (CLOCK_BOOTTIME): whether nothing
        was missing, and its parent. One of GONE: there is none."""
        ...

    def snapshot(self, batch: Batch, known: Callable[[int], None]) -> None:
        """Append all that the host is; `known` is called for each process before it is looked at."""
        ...


class Here:
    """Looks itself. `clock` gives UTC ns, `offset` makes CLOCK_BOOTTIME that."""

    def __init__(self, offset: int, clock: Callable[[], int], root: Path = Path("/proc")) -> None:
        self._offset, self._clock, self._root = offset, clock, root
        self._tables = Tables()

    def begin(self) -> None:
        self._tables = Tables()

    def describe(self, batch: Batch, pid: int, before: int, only: int | None = None) -> tuple[bool, int]:
        found = proc.Description(self._root, pid, before, self._offset)
        complete = found.append(batch, self._tables, self._clock, only)
        return complete, found.parent

    def snapshot(self, batch: Batch, known: Callable[[int], None]) -> None:
        proc.snapshot(batch, clock=self._clock, known=known)
