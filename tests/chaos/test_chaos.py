"""The fleet and what happens to it. `make test` takes what is not long, `make chaos` all, with at least 50 kills."""

import random
import time

import pytest

from . import acts

# Hosts first: later they may have lived their lives.
KINDS = ("hosts", "worker", "sink")
PAUSE_S = 2.0


@pytest.mark.chaos
@pytest.mark.services
def test_what_is_killed_or_torn_loses_nothing_and_says_nothing_twice(running, kills: int) -> None:
    chance = random.Random(kills)
    with running(seconds=15 + kills * 8, spool_mb=64) as fleet:
        for number in range(kills):
            acts.kill(fleet, KINDS[number % 3], chance)
            time.sleep(chance.uniform(0, PAUSE_S))
        killed = {member.kind for member in fleet.processes.members.values() if member.starts > 1}
        assert killed == set(KINDS[:kills])
        acts.messages_torn(fleet)
        acts.broker_killed(fleet)
        acts.store_killed(fleet)


@pytest.mark.chaos
@pytest.mark.services
def test_whose_cable_is_pulled_comes_back(running) -> None:
    with running(seconds=45, apart=True, spool_mb=64) as fleet:
        for name in ("worker-0", "sink-0", "store", "kafka", "hosts-0"):
            acts.cut_off(fleet, name)


@pytest.mark.chaos
@pytest.mark.services
def test_a_full_disk_and_a_damaged_one_cost_what_is_told(running) -> None:
    losing = frozenset({"spool/disk", "spool/corrupt"})
    with running(seconds=25, hosts=5, rate=8000, apart=True, spool_mb=2, losing=losing) as fleet:
        acts.disk_filled_and_damaged(fleet)


@pytest.mark.chaos(long=True)
@pytest.mark.services
@pytest.mark.parametrize("act", [acts.broker_killed, acts.store_killed, acts.worker_stopped])
def test_again_and_again(running, act) -> None:
    with running(seconds=60, spool_mb=64) as fleet:
        for _ in range(3):
            act(fleet)
            time.sleep(PAUSE_S)
