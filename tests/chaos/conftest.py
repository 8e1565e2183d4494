"""A fleet that something happens to, and what must hold of it afterwards, whatever it was."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tiercel.commands.rules import load_set
from tiercel.config import Worker
from tiercel.local import bundled_capture
from tiercel.testing.fleet import plan, undisturbed
from tiercel.testing.fleet.fleet import Fleet
from tiercel.testing.fleet.processes import Member

BATCH = 200
# MiB that a process may hold at the end; by how much it may grow in the second half of a run (a sink keeps the buffers
# of its largest insert); and in a minute of a long one.
MOST = {"worker": 400.0, "sink": 800.0, "hosts": 400.0}
MOST_GROWTH = {"worker": 50.0, "sink": 300.0, "hosts": 50.0}
MOST_SLOPE = 40.0
# Nobody waits longer for what is on its way.
PATIENCE_S = 180.0

Running = Callable[..., "contextmanager[Fleet]"]


# So many kills, and the long tests run, too.
_LONG = 50


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The long form has more tests."""
    if config.getoption("--kills") < _LONG:
        long = [item for item in items if any(mark.kwargs.get("long") for mark in item.iter_markers("chaos"))]
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in long]


@pytest.fixture
def kills(request: pytest.FixtureRequest) -> int:
    return int(request.config.getoption("--kills"))


@pytest.fixture
def running(tmp_path: Path) -> Running:
    """Run a fleet of so many seconds around the block, and judge it at its end.

    `losing`: stages and reasons of losses that there must be. `more` is for `Fleet`.
    """

    @contextmanager
    def run(
        *, seconds: float, hosts: int = 10, rate: float = 3000, losing: frozenset[str] = frozenset(), **more: Any
    ) -> Iterator[Fleet]:
        if os.geteuid() != 0:
            pytest.skip("disks and cables of its own need root")
        # Clocks of hosts are anywhere; that of the plan stands still, and so do its events.
        told = plan.make(
            [bundled_capture()],
            hosts=hosts,
            events=int(rate * seconds),
            rate=rate,
            begin=time.time_ns() // 86_400_000_000_000 * 86_400_000_000_000,
            batch=BATCH,
        )
        with Fleet(tmp_path / "fleet", told, **more) as fleet:
            fleet.begin()
            # It has settled when something of it has arrived.
            deadline = time.monotonic() + PATIENCE_S
            while not fleet.events_stored():
                assert time.monotonic() < deadline, fleet.tell()
                time.sleep(0.1)
            yield fleet
            fleet.wait_until_done(seconds + PATIENCE_S)
            check(fleet, losing)

    return run


def check(fleet: Fleet, losing: frozenset[str]) -> None:
    """Every event once or counted; the product says so, too; alerts as if nothing had happened; memory flat."""
    verdict, losses = fleet.judge(numbered=not losing), fleet.losses()
    print(f"produced {verdict.produced:,} = stored {verdict.stored:,} + lost {verdict.lost:,} {losses}")
    assert verdict.faults == []
    assert verdict.produced == verdict.stored + verdict.lost
    # What a collector held in its memory alone when it was killed.
    assert set(losses) - {"collector/killed"} == losing
    assert losing or verdict.lost < verdict.produced / 100
    audit = fleet.audit()
    assert audit.returncode == 0, audit.stdout + audit.stderr
    assert "0 unbalanced" in audit.stderr

    for member in fleet.processes.members.values():
        compare_memory(member)
    compare_alerts(fleet)


def compare_memory(member: Member) -> None:
    """Of the incarnation that runs, or ran last: from when it had settled to its end."""
    sizes = [size for when, size in member.memory if size and when >= member.memory[0][0] + 10.0]
    slopes = [*member.grown, *([slope] if (slope := member.slope()) is not None else [])]
    if sizes:
        middle, end = sizes[len(sizes) // 2], sizes[-1]
        told = ", ".join(f"{slope:+.1f}" for slope in slopes) or "no run of 90 s"
        print(f"{member.name}: {member.starts} starts, MiB {sizes[0]:.0f} {middle:.0f} {end:.0f}; a minute: {told}")
        assert end < MOST[member.kind], member.name
        assert end - middle < MOST_GROWTH[member.kind], member.name
    assert all(slope < MOST_SLOPE for slope in slopes), (member.name, slopes)


def compare_alerts(fleet: Fleet) -> None:
    """Byte for byte and in order, of each host, as one worker makes them of the same raw topic."""
    expected = undisturbed.expected(fleet.kafka.brokers, load_set(Worker()).rules)
    deadline = time.monotonic() + 30
    while (sent := undisturbed.sent(fleet.kafka.brokers)) != expected and time.monotonic() < deadline:
        time.sleep(1)
    assert sum(map(len, expected.values())) > 20
    for host, alerts in expected.items():
        found = sent.get(host, [])
        assert len(found) == len(alerts), f"alerts of host {host.decode()}"
        assert found == alerts, f"alerts of host {host.decode()}"
    assert fleet.alerts_stored() == sum(map(len, expected.values()))
