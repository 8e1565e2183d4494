"""Model test: after any acts of processes the engine knows of each thread what the slow oracle knows."""

import os
from typing import Any

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from tests.engine import acts, acts_fds, acts_sockets
from tests.engine.events import EVENTS
from tests.engine.world import STRANGERS, TIDS, Act, World
from tiercel._engine import Batch, Host

HEADER = {"host_id": "h", "host": "vm", "boot_id": "b", "run": 1, "time": 1, "produced": 0, "delivered": 0, "lost": []}
# More by hand: TIERCEL_MODEL_EXAMPLES=20000 pytest --timeout 0 tests/engine/test_state_model.py
EXAMPLES = int(os.environ.get("TIERCEL_MODEL_EXAMPLES", "400"))
NO_SOCKET = dict.fromkeys(("l4proto", "role", "source", "destination")) | {"connected": False}

COPIED = {name: acts.ACTS[name] for name in ("clone", "execute", "leave", "place")}
# What threads do, and how many there are at first: few whose descriptors change often, or all of the host.
KINDS: dict[str, tuple[dict[str, Act], int]] = {
    "processes": (acts.ACTS, 5),
    "descriptors": (acts_fds.ACTS | COPIED, 2),
    "sockets": (acts_sockets.ACTS | COPIED | {name: acts_fds.ACTS[name] for name in ("close", "copy")}, 2),
    "everything": (acts.ACTS | acts_fds.ACTS | acts_sockets.ACTS, 5),
}


def batch_of(events: list[tuple[str, int, int, dict[str, Any]]]) -> Batch:
    batch = Batch()
    for name, time, tid, params in events:
        batch.append(name, time=time, tid=tid, params=[params.get(param[0]) for param in EVENTS[name][6]])
    return batch


def known(expected: dict[str, Any] | None, found: dict[str, Any] | None) -> dict[str, Any] | None:
    """What the engine says of what the oracle knows."""
    if expected is None or found is None:
        return found
    kept = {key: found[key] for key in expected}
    if "fds" in expected:
        # Of what is no socket the engine says nothing about peers.
        kept["fds"] = {number: NO_SOCKET | fd for number, fd in found["fds"].items()}
    return kept


def compare(host: Host, world: World) -> None:
    for tid in TIDS + STRANGERS:
        expected = world.oracle.describe(tid)
        found = known(expected, host.describe(tid))
        assert found == expected, f"thread {tid}"


def lives(kind: dict[str, Act]) -> st.SearchStrategy[list[tuple[str, bytes]]]:
    """Acts, each with the bytes that say how. All lengths alike: lists of themselves are mostly short."""
    act = st.tuples(st.sampled_from(sorted(kind)), st.binary(min_size=14, max_size=14))
    return st.integers(0, 40).flatmap(lambda count: st.lists(act, min_size=count, max_size=count))


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=EXAMPLES)
@given(st.data())
def test_any_acts(kind: str, data: st.DataObject) -> None:
    possible, crowd = KINDS[kind]
    world, host = World(crowd), Host()
    host.replay(batch_of(world.events), None, header=HEADER | {"first_seq": 1})
    compare(host, world)
    seen = len(world.events)
    for name, how in data.draw(lives(possible)):
        world.act(possible[name], how)
        # What an event removes goes with the next; a host saved in between removes it, too.
        told = len(world.events)
        world.tell("kill", 1, res=0, pid=1, sig=0)
        for event in world.events[seen:]:
            note(f"{event[0]} of {event[2]} at {event[1]}: {event[3]}")
        host.replay(batch_of(world.events[seen:told]), None, header=HEADER | {"first_seq": seen + 1})
        if how[-1] % 8 == 7:
            note("saved and loaded")
            saved, host = host.save(), Host()
            host.load(saved)
        host.replay(batch_of(world.events[told:]), None, header=HEADER | {"first_seq": told + 1})
        seen = len(world.events)
        compare(host, world)
