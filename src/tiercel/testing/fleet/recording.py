"""A recording without end: its events again and again, each time by other processes, on other files, later."""

from functools import cache
from itertools import accumulate
from pathlib import Path

from tiercel._engine import Batch, amplify
from tiercel.local import bundled_capture
from tiercel.recording import Capture

# More rounds than a life has; with it no two lives share one.
_ROUNDS = 4096
_PAUSE_NS = 1_000_000_000


class Recording:
    """The events of a capture. Places count through all rounds: `size` events each."""

    def __init__(self, path: Path) -> None:
        self._events = Batch()
        times = []
        self._lists = 0
        for batch in Capture(path):
            self._events.extend(batch)
            if batch.last_time:
                times += [batch.first_time, batch.last_time]
            else:
                # What the machine was like before: it comes first, and has no time.
                self._lists += len(batch)
        self.size = len(self._events)
        self._first, self._span = min(times), max(times) - min(times) + _PAUSE_NS
        kernel = (self._piece(place, place + 1).kernel_events for place in range(self.size))
        self._kernel = [0, *accumulate(kernel)]

    def _piece(self, start: int, stop: int) -> Batch:
        out = Batch()
        out.extend(self._events, start, stop)
        return out

    def part(self, start: int, stop: int, *, number: int, begin: int) -> Batch:
        """The events from place `start` to `stop` in the life `number`, whose clock says `begin` (UTC ns) at first."""
        out = Batch()
        while start < stop:
            round_, place = divmod(start, self.size)
            zone, first = (self._lists, 0) if place < self._lists else (self.size, self._first)
            end = min(zone, place + stop - start)
            fresh = 1 + number * _ROUNDS + round_
            # `amplify` moves the time by the number of the round times this.
            away = (begin + round_ * self._span - first) // fresh
            out.extend(amplify(self._piece(place, end), fresh, away))
            start += end - place
        return out

    def kernel(self, start: int, stop: int) -> int:
        """How many of the events from place `start` to `stop` a kernel produced; others only tell what it is like."""
        return self._before(stop) - self._before(start)

    def _before(self, place: int) -> int:
        rounds, rest = divmod(place, self.size)
        return rounds * self._kernel[-1] + self._kernel[rest]


@cache
def recording(path: str) -> Recording:
    """Read once."""
    return Recording(Path(path))


def available(folder: Path = Path("../shared/captures")) -> list[Path]:
    """The bundled recording, and those of workloads that lie beside the project."""
    return [bundled_capture(), *sorted(folder.glob("*.scap.gz"))]
