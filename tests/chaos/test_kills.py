"""kill -9 of each kind of process, at random, again and again."""

import random
import time

import pytest

from tiercel.testing.fleet.fleet import Fleet

PAUSE_S = 3.0
_RECOVERY_S = 60.0


@pytest.mark.chaos
@pytest.mark.services
def test_what_is_killed_loses_nothing_and_says_nothing_twice(running, request: pytest.FixtureRequest) -> None:
    kills = request.config.getoption("--kills")
    chance = random.Random(kills)
    with running(seconds=8 + kills * PAUSE_S * 1.6, workers=2, sinks=1) as fleet:
        times: dict[str, list[float]] = {}
        for number in range(kills):
            kind = ("worker", "sink", "hosts")[number % 3]
            victims = fleet.processes.of(kind)
            if not victims:
                continue
            produced = fleet.produced()
            fleet.processes.kill(chance.choice(victims))
            times.setdefault(kind, []).append(fleet.wait_until(produced, _RECOVERY_S))
            time.sleep(chance.uniform(0, PAUSE_S))
        for kind, seconds in times.items():
            print(f"killed {len(seconds)} of {kind}: recovered after {max(seconds):.1f} s at most")
        assert _killed(fleet) >= min(kills, 3)


def _killed(fleet: Fleet) -> int:
    return sum(member.starts - 1 for member in fleet.processes.members.values())
