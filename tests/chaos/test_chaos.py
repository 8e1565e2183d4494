"""The fleet and what happens to it. `make test` takes the first test, `make chaos` both, with at least 50 kills."""

import random

import pytest

from tiercel.processors import app

from . import acts
from .acts import killed, wire_cut

pytestmark = pytest.mark.services


@pytest.mark.chaos
@pytest.mark.timeout(900)
def test_what_is_killed_cut_off_torn_or_full_loses_nothing_untold_and_says_nothing_twice(running) -> None:
    chance = random.Random(5)
    with running() as fleet:
        for act in (
            killed("worker"),
            acts.messages_torn,
            acts.wires_cut,
            acts.as_if_nothing_had_happened,
            killed("hosts", "sink"),
            acts.spools_suffer,
        ):
            act(fleet, chance)


# Seven kills each time.
ROUND = (
    *(killed(kind) for kind in ("hosts", "worker", "sink")),
    acts.broker_killed,
    killed("hosts", "worker", "sink"),
)
BETWEEN = (
    *(wire_cut(kind, network) for kind, network in acts.WIRES),
    # Longer than the session of a worker.
    wire_cut("worker", acts.KAFKA, least=app.SESSION_SECONDS + 1),
    acts.messages_torn,
    acts.worker_stopped,
    acts.spools_suffer,
)


@pytest.mark.chaos(long=True)
@pytest.mark.timeout(7200)
def test_again_and_again(running, kills: int) -> None:
    chance, done, turn = random.Random(kills), 0, 0
    with running() as fleet:
        while done < kills:
            for act in chance.sample(ROUND, len(ROUND)):
                act(fleet, chance)
            BETWEEN[turn % len(BETWEEN)](fleet, chance)
            done, turn = done + 7, turn + 1
            print(f"{done} of {kills} kills", flush=True)
        for act in BETWEEN[turn:]:
            act(fleet, chance)
