"""The fleet and what happens to it. `make test` takes the first test, `make chaos` all, with at least 50 kills."""

import random
import time

import pytest

from . import acts

# Hosts first: later they may have lived their lives.
KINDS = ("hosts", "worker", "sink")


@pytest.mark.chaos
@pytest.mark.services
def test_what_is_killed_cut_off_or_torn_loses_nothing_and_says_nothing_twice(running, kills: int) -> None:
    chance = random.Random(kills)
    with running(seconds=25 + kills * acts.PAUSE_S) as fleet:
        for number in range(kills):
            acts.kill(fleet, KINDS[number % 3], chance)
            time.sleep(chance.uniform(0, acts.PAUSE_S))
        killed = {member.kind for member in fleet.processes.members.values() if member.starts > 1}
        assert killed == set(KINDS[:kills])
        acts.messages_torn(fleet)
        acts.wires_cut(fleet)
        acts.broker_restarted(fleet)


@pytest.mark.chaos(long=True)
@pytest.mark.services
@pytest.mark.parametrize("act", [acts.broker_restarted, acts.worker_stopped, acts.wires_cut])
def test_again_and_again(running, act) -> None:
    with running(seconds=60) as fleet:
        for _ in range(2):
            act(fleet)
            time.sleep(acts.PAUSE_S)
