"""The reasons that the probe counts by, and that stand in the ledger with the stage `ring`: what is shed when there is
too much (shedding.toml), and what cannot be delivered at all.
"""

from tiercel.schemas import generated

STAGE = "ring"


def reason(why: str, name: str) -> str:
    """`ring_full` or `budget`, and a class of events."""
    return f"{why}_{name}"


_PAYLOAD, *_EVENTS = [name for name, _ in generated.SHEDDING]

BY_BUDGET = tuple(reason("budget", name) for name in _EVENTS)
"""Events that were left out because a budget said so, first those that go first."""

BY_RING = tuple(reason("ring_full", name) for name in _EVENTS)
"""Events that were left out because nobody made room in time."""

LOST = (*BY_BUDGET, *BY_RING, "no_ring", "no_scratch")
"""Every reason for which an event that the kernel produced is not delivered."""

LACKING = (reason("budget", _PAYLOAD), reason("ring_full", _PAYLOAD))
"""Every reason for which an event is delivered without its payload: no event is lost by these."""
