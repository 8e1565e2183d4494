"""What was really produced, written down before anybody else has it: what the judge holds the store against."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tiercel.testing.fleet.plan import NEXT_RUN, Life


@dataclass(frozen=True)
class Run:
    """One run of a collector: the places `start` to `stop` of its life; the event at `start` has the number `first`."""

    host_id: str
    boot_id: str
    first: int
    start: int
    stop: int


class Truth:
    """A file that outlives a kill -9 of its writer; one line for each batch."""

    def __init__(self, path: Path) -> None:
        self._all = {(run.host_id, run.boot_id, run.first): run for run in read([path])}
        self._runs = {(run.host_id, run.boot_id): run for run in self._all.values()}
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def next_run(self, life: Life) -> Run:
        """A run of this life that goes on where the last one was."""
        last = self._runs.get((life.host_id, life.boot_id))
        first, start = (last.first + NEXT_RUN, last.stop) if last is not None else (life.run, 0)
        return Run(life.host_id, life.boot_id, first, start, start)

    def begin(self, run: Run) -> None:
        """It is the current one of its life, whether it will produce anything or not."""
        self.produced(run, run.stop)

    def run_of(self, host_id: str, boot_id: str, first: int) -> Run | None:
        """A run that is over, if it ever was."""
        return self._all.get((host_id, boot_id, first))

    def produced(self, run: Run, stop: int) -> None:
        """Events up to this place are there from now on."""
        os.write(self._fd, f"{run.host_id} {run.boot_id} {run.first} {run.start} {stop}\n".encode())


def read(paths: Iterable[Path]) -> list[Run]:
    """The runs, in order; a line that was cut off by a kill had not happened."""
    found: dict[tuple[str, str, int], Run] = {}
    for path in paths:
        for line in path.read_text().splitlines(keepends=True) if path.exists() else []:
            host_id, boot_id, first, start, stop = line.split()
            found[host_id, boot_id, int(first)] = Run(host_id, boot_id, int(first), int(start), int(stop))
    return list(found.values())
