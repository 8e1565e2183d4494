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
from tiercel.schemas import topics
from tiercel.testing.fleet import network, plan, undisturbed
from tiercel.testing.fleet.fleet import Fleet
from tiercel.testing.fleet.processes import Member

from .acts import PATIENCE_S

BATCH = 200
# Nobody lives as long: hosts end when they are told to.
_DAY_S = 86_400
# Of the spools of all hosts: ten seconds of what they produce.
_DISK_KB = 3072

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
    compare_alerts(fleet, whole=verdict.lost == 0)
    for member in fleet.processes.members.values():
        flat(member)
        assert "Traceback" not in member.log.read_text(errors="replace"), member.log.read_text(errors="replace")


def flat(member: Member) -> None:
    print(f"{member.name}: {member.starts} starts, {member.memory[0][1]:.0f} to {member.memory[-1][1]:.0f} MiB, "
          f"{member.memory[-1][0] - member.memory[0][0]:.0f} s, slopes {[round(x,1) for x in member.grown]} {member.slope(20,20)}")
    for when,size in member.memory[::20]: print(f"{when-member.memory[0][0]:.0f}:{size:.0f}",end=" ")
    print()


def compare_alerts(fleet: Fleet, *, whole: bool) -> None:
    """Byte for byte and in order: of what the raw topic has, and of all that the hosts did, if nothing of it is lost."""
    rules, brokers = load_set(Worker()).rules, fleet.kafka.brokers
    replayed = undisturbed.replayed(brokers, rules)
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
    if whole:
        expected = undisturbed.expected(fleet.plan, fleet.runs(), rules)
        assert undisturbed.sent(brokers, fleet.runs()) == {host: alerts for host, alerts in expected.items() if alerts}
