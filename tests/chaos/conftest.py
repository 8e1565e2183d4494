"""A fleet that something happens to, and what must hold of it afterwards, whatever it was."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tiercel.commands.rules import load_set
from tiercel.config import Worker
from tiercel.local import bundled_capture
from tiercel.schemas import topics
from tiercel.testing.fleet import plan, undisturbed
from tiercel.testing.fleet.fleet import Fleet

BATCH = 200
# What a process may grow by, once it has settled; MiB a minute.
MOST_SLOPE = 30.0
# Nobody waits longer for what is on its way.
PATIENCE_S = 120.0

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

    `lossy`: what happens may cost events, counted, and so alerts.
    """

    @contextmanager
    def run(
        *, seconds: float, hosts: int = 10, rate: float = 3000, lossy: bool = False, **more: int
    ) -> Iterator[Fleet]:
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
            check(fleet, lossy=lossy)

    return run


def check(fleet: Fleet, *, lossy: bool) -> None:
    """Every event once or counted; the product says so, too; alerts as if nothing had happened; memory flat."""
    verdict = fleet.judge()
    assert verdict.faults == []
    assert verdict.produced == verdict.stored + verdict.lost
    if not lossy:
        assert verdict.lost == 0
    audit = fleet.audit()
    assert audit.returncode == 0, audit.stdout + audit.stderr
    assert f"{len(fleet.runs())} runs, 0 unbalanced" in audit.stderr

    for member in fleet.processes.members.values():
        slopes = [*member.grown, *([slope] if (slope := member.slope()) is not None else [])]
        print(f"{member.name}: {member.starts} starts, MiB a minute {[round(slope, 1) for slope in slopes]}")
        assert all(slope < MOST_SLOPE for slope in slopes), (member.name, slopes)
    compare_alerts(fleet, complete=verdict.lost == 0)


def compare_alerts(fleet: Fleet, *, complete: bool) -> None:
    """Byte for byte and in order, of each host; where events were lost, alerts of them are missing, and none is new."""
    expected = undisturbed.expected(fleet.plan, fleet.runs(), load_set(Worker()).rules)
    deadline = time.monotonic() + 20
    while (sent := undisturbed.sent(fleet.kafka.brokers, fleet.runs())) != expected and time.monotonic() < deadline:
        time.sleep(1)
    assert sum(map(len, expected.values())) > 20
    for host, alerts in expected.items():
        found = sent.get(host, [])
        if complete:
            if found != alerts and not hasattr(topics, "SNAPSHOTS"):
                pytest.xfail("a worker that starts anew knows nothing of its hosts while there are no snapshots")
            assert len(found) == len(alerts), f"alerts of host {host}"
            assert found == alerts, f"alerts of host {host}"
        else:
            assert len(found) <= len(alerts), f"alerts of host {host}"
    if complete:
        assert fleet.alerts_stored() == sum(map(len, expected.values()))
