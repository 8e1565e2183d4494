"""A fleet that something happens to, and what must hold of it afterwards, whatever it was."""

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tiercel.commands.rules import load_set
from tiercel.config import Worker
from tiercel.local import bundled_capture
from tiercel.testing.fleet import network, plan, undisturbed
from tiercel.testing.fleet.fleet import Fleet
from tiercel.testing.fleet.processes import Member

from .acts import PATIENCE_S

BATCH = 200
# Nobody lives as long: hosts end when they are told to.
_DAY_S = 86_400
# Of the spools of all hosts: ten seconds of what they produce.
_DISK_KB = 3072

# Of a process: what it may have, and by how much grow; MiB, and MiB a minute. At this rate ten bytes that are kept of
# each event are two of them.
_MOST_MIB, _MOST_SLOPE = 500, 2
# By how much what it has may move besides. A sink keeps the memory of the largest insert that it has made.
_MOST_ONCE = {"worker": 20, "hosts": 20, "sink": 150}
# Seconds after which it has settled, and for so many it is looked at at least; of a long life the second half.
_SETTLED_S, _LEAST_S = 20, 40

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
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small one."""
    if reason := network.why_not():
        pytest.skip(reason)
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={_DISK_KB}k", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def running(tmp_path: Path, disk: Path) -> Running:
    """Run a fleet around the block, and judge it at its end. Two processes of each kind, in networks of their own."""

    @contextmanager
    def run(*, hosts: int = 10, rate: float = 3000) -> Iterator[Fleet]:
        told = plan.make(
            [bundled_capture()],
            hosts=hosts,
            events=int(rate * _DAY_S),
            rate=rate,
            # Clocks of hosts are anywhere; that of the plan stands still, and so do its events.
            begin=time.time_ns() // (_DAY_S * 10**9) * _DAY_S * 10**9,
            batch=BATCH,
            reboot_s=20,
        )
        with Fleet(
            tmp_path / "fleet", told, workers=2, sinks=2, generators=2, spools=disk, network=network.Network()
        ) as fleet:
            fleet.begin()
            # It has settled when something of it has arrived.
            deadline = time.monotonic() + PATIENCE_S
            while not fleet.events_stored():
                assert time.monotonic() < deadline, fleet.tell()
                time.sleep(0.1)
            yield fleet
            fleet.end()
            fleet.wait_until_done(PATIENCE_S)
            check(fleet)

    return run


def check(fleet: Fleet) -> None:
    """Every event once or counted; the product says so, too; alerts as if nothing had happened; memory flat."""
    verdict, runs = fleet.judge(), fleet.runs()
    print(f"produced {verdict.produced} = stored {verdict.stored} + lost {verdict.lost} in {len(runs)} runs")
    print(f"lost: {fleet.lost()}")
    assert verdict.faults == []
    assert verdict.produced == verdict.stored + verdict.lost
    audit = fleet.audit()
    assert audit.returncode == 0, audit.stdout + audit.stderr
    assert " runs, 0 unbalanced" in audit.stderr
    compare_alerts(fleet)
    for member in fleet.processes.members.values():
        flat(member)
        log = member.log.read_text(errors="replace")
        assert "Traceback" not in log, log[log.index("Traceback") :][:4000]


def flat(member: Member) -> None:
    """It grows by a constant, whatever that is, and by little for each minute; of those that run long enough."""
    first, last = member.memory[0], member.memory[-1]
    life = last[0] - first[0]
    settled = max(_SETTLED_S, life / 2 if life > 10 * _LEAST_S else 0)
    slope, minutes = member.slope(settled, _LEAST_S), (life - settled) / 60
    told = "too short a life for a slope" if slope is None else f"{slope:.1f} MiB a minute in {minutes:.1f} minutes"
    print(f"{member.name}: {member.starts} starts, the last of {life:.0f} s; {last[1]:.0f} MiB, {told}")
    assert last[1] < _MOST_MIB, (member.name, last)
    assert slope is None or slope * minutes < _MOST_ONCE[member.kind] + _MOST_SLOPE * minutes, (
        member.name,
        slope,
        minutes,
    )


def compare_alerts(fleet: Fleet) -> None:
    """Byte for byte and in order, on the topic, and all in the store: as one worker makes them of the raw topic."""
    brokers = fleet.kafka.brokers
    replayed = undisturbed.replayed(brokers, load_set(Worker()).rules)
    assert sum(map(len, replayed.values())) > 20
    deadline = time.monotonic() + PATIENCE_S
    # The last may still be on their way.
    while (sent := undisturbed.delivered(brokers)) != replayed and time.monotonic() < deadline:
        time.sleep(1)
    assert {part: len(alerts) for part, alerts in sent.items()} == {p: len(alerts) for p, alerts in replayed.items()}
    assert sent == replayed
    while (stored := fleet.alerts_stored()) < sum(map(len, sent.values())) and time.monotonic() < deadline:
        time.sleep(0.5)
    assert stored == sum(map(len, sent.values()))
