"""The fleet and what happens to it. `make test` takes the first two tests, `make chaos` all, with at least 50 kills."""

import random

import pytest

from . import acts

pytestmark = pytest.mark.services

KINDS = ("hosts", "worker", "sink")


@pytest.mark.chaos
def test_what_is_killed_cut_off_torn_or_full_loses_nothing_untold_and_says_nothing_twice(running) -> None:
    chance = random.Random(5)
    with running() as fleet:
        for act in (
            acts.killed("worker"),
            acts.messages_torn,
            acts.wires_cut,
            acts.killed("hosts", "sink"),
            acts.spools_suffer,
        ):
            act(fleet, chance)
