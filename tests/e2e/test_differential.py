"""The state that events make, against what the kernel says: a workload of real processes, watched by the probe."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tiercel._engine import Batch, Host
from tiercel.collector.live import LiveSource
from tiercel.probe.core import Probe
from tiercel.testing import truth
from tiercel.testing.services import eventually

from .comparison import Comparison
from .docker import IMAGE, Docker

pytestmark = [pytest.mark.bpf, pytest.mark.timeout(120)]

WORKLOAD = Path(__file__).with_name("workload.py")
TRANSFERS = {"sendto", "sendmsg", "sendmmsg", "recvfrom", "recvmsg", "recvmmsg"}
PATIENCE_S = 60


class Watched:
    """A live source, and the state that a worker would have of this host."""

    def __init__(self) -> None:
        probe = Probe.load(ring_bytes=64 << 20)
        probe.set_wanted(probe.default_wanted() | TRANSFERS)
        self.source, self.host = LiveSource(probe, heal_ms=1000), Host()

    def snapshot(self) -> None:
        batch = Batch()
        self.source.snapshot(batch)
        self._apply(batch)

    def drain(self) -> None:
        """All that was done before this call, and maybe more; what an event leaves for later the next one does."""
        os.getuid()
        until = time.monotonic() + 0.01
        while self._read() or time.monotonic() < until:
            pass

    def _read(self) -> int:
        batch = Batch()
        count = self.source.read(batch, 10_000)
        self._apply(batch)
        return count

    def _apply(self, batch: Batch) -> None:
        self.host.field_rows(batch, ["evt.num"])

    def close(self) -> None:
        losses = {reason: count for _, reason, count in self.source.losses() if count}
        self.source.close()
        assert not losses


class Workload:
    """Running processes: `ready` has the numbers and cases of those that hold still."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="tiercel-"))
        command = [sys.executable, "-I", "-S", str(WORKLOAD), str(self.folder)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.ready: dict[int, str] = {}
        self.refused: dict[str, str] = {}
        self._expected = self._heard = 0
        self._rest = b""

    def wait(self, watched: Watched | None = None, count: int | None = None) -> None:
        """Until all hold still, or as many as `count`; meanwhile the source is drained."""
        assert self._process.stdout
        deadline = time.monotonic() + PATIENCE_S
        while not (self._expected and self._heard >= self._expected) and (count is None or self._heard < count):
            assert time.monotonic() < deadline, (self._heard, self._expected)
            if watched:
                watched.drain()
            if select.select([self._process.stdout], [], [], 0.01)[0]:
                self._hear(os.read(self._process.stdout.fileno(), 1 << 16))

    def _hear(self, data: bytes) -> None:
        assert data, "the workload ended"
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            word, name, *rest = line.decode().split(" ", 2)
            if word == "all":
                self._expected = int(name)
                continue
            self._heard += 1
            if word == "ready":
                self.ready[int(rest[0])] = name
            else:
                self.refused[name] = rest[0]

    def close(self) -> None:
        self._process.communicate()
        shutil.rmtree(self.folder, ignore_errors=True)


@pytest.fixture
def workloads() -> Iterator[list[Workload]]:
    made: list[Workload] = []
    yield made
    for workload in made:
        workload.close()


def _check(watched: Watched, workloads: list[Workload], *, from_events: bool) -> None:
    watched.drain()
    refused = {name: reason for workload in workloads for name, reason in workload.refused.items()}
    assert not refused
    cases = {pid: case for workload in workloads for pid, case in workload.ready.items()}
    comparison = Comparison(watched.host, cases, from_events=from_events)
    comparison.run()
    if not comparison.witnesses():
        print("lsof is not installed: what it says is left out")
    watched.close()
    print(f"{len(cases)} processes, {comparison.total} facts, {comparison.equal.total()} equal: {comparison.equal}")
    print(f"explained: {comparison.explained}")
    assert not comparison.unexplained, "\n".join(["", *comparison.unexplained])


def test_processes_from_before_the_start(workloads: list[Workload]) -> None:
    workloads.append(Workload())
    workloads[0].wait()
    watched = Watched()
    watched.snapshot()
    _check(watched, workloads, from_events=False)


def test_processes_from_after_the_start(workloads: list[Workload]) -> None:
    watched = Watched()
    watched.snapshot()
    watched.drain()
    workloads.append(Workload())
    workloads[0].wait(watched)
    _check(watched, workloads, from_events=True)


def test_processes_that_come_while_the_snapshot_is_taken(workloads: list[Workload]) -> None:
    watched = Watched()
    workloads += [Workload() for _ in range(3)]
    workloads[0].wait(count=5)
    watched.snapshot()
    for workload in workloads:
        workload.wait(watched)
    _check(watched, workloads, from_events=True)


def test_containers(docker: Docker) -> None:
    """One that runs before the start, one that comes after it; what they are docker says, what they do /proc."""
    first = _container(docker, "first")
    watched = Watched()
    watched.snapshot()
    containers = {first: False, _container(docker, "second", watched): True}
    watched.drain()
    for container, from_events in containers.items():
        told = docker.inspect(container)
        pid = told["State"]["Pid"]
        comparison = Comparison(watched.host, {pid: "container"}, from_events=from_events)
        comparison.run()
        known = watched.host.describe(pid)
        assert known
        user, group = map(int, told["Config"]["User"].split(":"))
        facts = {
            "container": (known["container"], told["Id"][:12]),
            "vpid": (known["vpid"], 1),
            "command": ([known["exe"], *known["args"]], [told["Path"], *told["Args"]]),
            "uid": (known["uid"], user),
            "gid": (known["gid"], group),
            "cwd": (known["cwd"], told["Config"]["WorkingDir"] + "/"),
        }
        for name, (ours, theirs) in facts.items():
            comparison.fact(f"container {container}", f"docker {name}", ours, theirs)
        print(f"{comparison.total} facts, {comparison.equal.total()} equal, explained: {comparison.explained}")
        assert not comparison.unexplained, "\n".join(["", *comparison.unexplained])
    watched.close()
    docker("rm", "-f", *containers)


def _container(docker: Docker, name: str, watched: Watched | None = None) -> str:
    """One that sleeps, as another user, in a directory of its own."""
    place = ["--network=none", "--name", f"differential-{name}", "--user", "12:34", "--workdir", "/bin"]
    container = docker("run", "-d", *place, IMAGE, "/bin/sleep", "1000")
    pid = docker.inspect(container)["State"]["Pid"]

    def sleeps() -> bool:
        if watched:
            watched.drain()
        return truth.link(f"/proc/{pid}/exe") == "/bin/busybox"

    assert eventually(sleeps, PATIENCE_S)
    return container
