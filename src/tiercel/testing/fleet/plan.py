"""What the simulated hosts do, told in advance: from one seed the same hosts, events and numbers every time."""

import dataclasses
import json
import random
import uuid
from collections.abc import Sequence
from pathlib import Path

# Of a collector that starts anew: beyond every number that the one before can have given out.
NEXT_RUN = 10**9
_MOST_SKEW_S = 300
_PAIR = 2


@dataclasses.dataclass(frozen=True)
class Life:
    """One boot of one host. `number` is its own, and with it the pids, names and times of its events.

    `begin`: UTC ns of its first event by its own clock; `rate`: events a second, 0: as fast as they are taken; `phase`:
    seconds before the first; `run`: first number of the first run.
    """

    number: int
    host_id: str
    host: str
    boot_id: str
    run: int
    events: int
    begin: int
    rate: float
    phase: float
    recording: str


@dataclasses.dataclass(frozen=True)
class Plan:
    """The lives of all hosts, those of one host in order; `batch` is how many events a collector sends at once."""

    lives: tuple[Life, ...]
    batch: int = 1000

    @property
    def hosts(self) -> list[str]:
        """Ids, in order."""
        return list(dict.fromkeys(life.host_id for life in self.lives))

    @property
    def events(self) -> int:
        """Of all lives together, those that no kernel produced included."""
        return sum(life.events for life in self.lives)

    def lives_of(self, hosts: Sequence[str]) -> "Plan":
        """The part of these hosts."""
        return Plan(tuple(life for life in self.lives if life.host_id in set(hosts)), self.batch)

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(dataclasses.asdict(self)))

    @classmethod
    def load(cls, path: Path) -> "Plan":
        told = json.loads(path.read_text())
        return cls(tuple(Life(**life) for life in told["lives"]), told["batch"])


def make(
    recordings: Sequence[Path],
    *,
    hosts: int,
    events: int,
    rate: float,
    begin: int,
    seed: int = 1,
    batch: int = 1000,
    reboot_s: float | None = None,
) -> Plan:
    """So many hosts with `events` all together, `rate` a second all together (0: as fast as they are taken).

    Every other host bears its neighbour's name, every fifth reboots half-way, or after so many seconds; rates differ by
    a factor of up to four, clocks by up to five minutes. `begin`: UTC ns.
    """
    chance = random.Random(seed)  # noqa: S311 - hosts, not secrets
    weights = [chance.uniform(0.5, 2) for _ in range(hosts)]
    lives = []
    for number, weight in enumerate(weights):
        host_id = str(uuid.UUID(int=chance.getrandbits(128), version=4)).replace("-", "")
        skew = chance.randrange(-_MOST_SKEW_S, _MOST_SKEW_S) * 10**9
        share = weight / sum(weights)
        phase = chance.uniform(0, 1) if rate else 0.0
        boots = 2 if number % 5 == 4 else 1
        recording = str(recordings[number % len(recordings)])
        mine = events * share
        first = mine / boots if reboot_s is None or boots == 1 else min(mine / boots, rate * share * reboot_s)
        for boot in range(boots):
            lives.append(
                Life(
                    number=2 * number + boot,
                    host_id=host_id,
                    host=f"node-{number // _PAIR}",
                    boot_id=str(uuid.UUID(int=chance.getrandbits(128), version=4)),
                    run=chance.randrange(10**8, 10**9),
                    events=max(1, round(first if boot == 0 else mine - first)),
                    # A host is off for an hour, by its own clock, when it reboots.
                    begin=begin + skew + boot * 3600 * 10**9,
                    rate=rate * share,
                    phase=phase if boot == 0 else 0.0,
                    recording=recording,
                )
            )
    return Plan(tuple(lives), batch)
