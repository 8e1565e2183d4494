"""The live source on real losses: rings too small or not drained, and what the state says of who suffered them."""

import itertools
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tiercel._engine import Batch, Host
from tiercel.collector.collector import Collector
from tiercel.collector.identity import Identity
from tiercel.collector.live import LiveSource
from tiercel.joints.queue import Queue
from tiercel.operations import readers
from tiercel.probe.core import PROCEXIT, Probe
from tiercel.schemas.shedding import BY_RING

pytestmark = pytest.mark.bpf

WANTED = {"clone", "clone3", "vfork", "fork", "execve", "openat", "close", "chdir", "getuid", "lseek", "setresuid"}
WANTED |= {"setresgid", "dup2", PROCEXIT}
FIELDS = [
    *("evt.type", "thread.tid", "proc.pid", "proc.name", "proc.exepath", "proc.cmdline", "proc.pname", "proc.ppid"),
    *("proc.cwd", "user.uid", "fd.num", "fd.name", "proc.is_guessed"),
]
# Opens a file, and once told to, makes known calls on it.
PROGRAM = """
import os, sys
fd = os.open('/etc/hostname', os.O_RDONLY)
print(fd, flush=True)
for line in sys.stdin:
    exec(line)
    os.getuid()
    print(line, end='', flush=True)
"""


class Watched:
    """A probe with its source and the state that a worker would have of this host."""

    def __init__(self, ring_bytes: int, wanted: set[str] | None = None, heal_ms: int = 1000) -> None:
        self.probe = Probe.load(wanted or WANTED, ring_bytes=ring_bytes)
        self.source = LiveSource(self.probe, heal_ms=heal_ms)
        self.host = Host()
        batch = Batch()
        self.source.snapshot(batch)
        self.rows(batch)

    def rows(self, batch: Batch) -> list[dict[str, Any]]:
        return [dict(zip(FIELDS, row, strict=True)) for row in self.host.field_rows(batch, FIELDS)]

    def drain(self) -> Batch:
        """What is in the rings by now, and the answers to its questions."""
        batch = Batch()
        time.sleep(0.005)
        deadline = time.monotonic() + 20
        while self.source.read(batch, 1000):
            # To look at /proc takes calls that are traced here, other than in a collector that leaves itself out.
            assert time.monotonic() < deadline, "what it does to describe this process is told by more than it reads"
        return batch

    def read(self) -> list[dict[str, Any]]:
        return self.rows(self.drain())

    def meet(self, child: "Child") -> None:
        """Until the process is known, whatever of its beginning did not fit."""
        for _ in range(20):
            self.read()
            if self.probe.knows(child.pid):
                return
            child("os.lseek(fd, 0, 0)")
        raise AssertionError("never known")

    def hear(self, child: "Child", line: str, name: str) -> dict[str, Any]:
        """What the first such call says that comes through: others fill these rings, too."""
        for _ in range(20):
            child(line)
            rows = [row for row in of(self.read(), child.pid) if row["evt.type"] == name]
            if rows:
                return rows[0]
        raise AssertionError("never heard")

    def fill(self) -> None:
        """Fill the rings of all CPUs, so that what comes next is lost."""
        home = os.sched_getaffinity(0)
        for cpu in home:
            os.sched_setaffinity(0, {cpu})
            for _ in range(2 * self.probe.ring_bytes // 48):
                os.setresuid(-1, -1, -1)  # of the class that is shed last
        os.sched_setaffinity(0, home)

    def close(self) -> None:
        self.source.close()


@pytest.fixture
def watched() -> Iterator[Watched]:
    if os.geteuid() != 0:
        pytest.skip("needs root")
    # Small enough to be filled, and large enough for what describing this process takes: two calls a descriptor.
    watched = Watched(512 << 10)
    try:
        watched.read()
        yield watched
    finally:
        watched.close()


class Child:
    """A Python that opens a file, then does what it is told: its input is run line by line."""

    def __init__(self, *words: str, **how: Any) -> None:
        command = [sys.executable, "-I", "-S", "-c", PROGRAM, *words]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **how)
        assert self.process.stdout
        self.fd = int(self.process.stdout.readline())
        self.pid = self.process.pid

    def __call__(self, line: str) -> None:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == line + "\n"

    def end(self) -> None:
        self.process.communicate()


@pytest.fixture
def children() -> Iterator[Callable[..., Child]]:
    made: list[Child] = []

    def make(*words: str, **how: Any) -> Child:
        made.append(Child(*words, **how))
        return made[-1]

    yield make
    for child in made:
        child.end()


def of(rows: list[dict[str, Any]], pid: int) -> list[dict[str, Any]]:
    return [row for row in rows if row["thread.tid"] == pid]


def facts(child: Child, **changes: Any) -> dict[str, Any]:
    """What every event of a child says."""
    return {
        "proc.pid": child.pid,
        "proc.name": Path(f"/proc/{child.pid}/comm").read_text().strip(),
        "proc.exepath": os.path.realpath(sys.executable),
        "proc.pname": Path("/proc/self/comm").read_text().strip(),
        "proc.ppid": os.getpid(),
    } | changes


def lacks(row: dict[str, Any], expected: dict[str, Any]) -> dict[str, Any]:
    """Where a row says something else."""
    return {name: row[name] for name, value in expected.items() if row[name] != value}


def test_who_was_announced_is_not_asked_about(children: Callable[..., Child]) -> None:
    watched = Watched(8 << 20)
    watched.read()
    before = watched.source.healer.counts["described"]
    child = children("announced")
    child("os.lseek(fd, 0, 0)")
    batch = watched.drain()
    assert not [e for e in batch.to_dicts() if e["name"].startswith("thread_") and e["tid"] == child.pid]
    rows = of(watched.rows(batch), child.pid)
    assert lacks(rows[-1], facts(child)) == {}
    assert [row for row in rows if row["proc.is_guessed"]] == []
    assert watched.probe.knows(child.pid)
    assert watched.source.healer.counts["described"] - before < 20
    watched.close()


def test_a_process_whose_beginning_was_lost_is_whole_before_its_first_event(
    watched: Watched, children: Callable[..., Child]
) -> None:
    watched.fill()
    child = children("lost", cwd="/usr/lib")
    child("os.setresuid(65534, 65534, 65534)")
    lost = watched.probe.drops()["ring_full_execution"]
    assert lost
    assert not of(watched.read(), child.pid), "nothing of it came through"
    assert not watched.probe.knows(child.pid)
    child("os.lseek(fd, 0, 0)")
    batch = watched.drain()
    names = [e["name"] for e in batch.to_dicts() if e["tid"] == child.pid]
    assert names[0] == "thread_snapshot"
    assert set(names[1 : names.index("lseek")]) == {"fd_snapshot"}
    rows = of(watched.rows(batch), child.pid)
    first = rows[0]
    words = ["-I", "-S", "-c", PROGRAM, "lost"]
    cmdline = " ".join([first["proc.name"], *words])
    uid = {"user.uid": 65534, "proc.cwd": "/usr/lib/", "proc.cmdline": cmdline}
    assert lacks(first, facts(child, **uid)) == {}
    assert lacks(first, {"fd.num": child.fd, "fd.name": "/etc/hostname", "evt.type": "lseek"}) == {}
    assert first["proc.is_guessed"] is True
    # From its description on its facts are certain.
    lseek = watched.hear(child, "os.lseek(fd, 0, 0)", "lseek")
    assert lacks(lseek, facts(child, **uid, **{"proc.is_guessed": False, "fd.name": "/etc/hostname"})) == {}


def test_its_parents_are_told_with_it(watched: Watched) -> None:
    watched.fill()
    command = f'{sys.executable} -I -S -c "{PROGRAM}"; true'
    with subprocess.Popen(
        ["/bin/sh", "-c", command, "parent"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as shell:
        assert shell.stdout
        assert shell.stdin
        shell.stdout.readline()
        # The shell has calls left to make before it waits: these may be its first to come through.
        early = watched.drain()
        watched.rows(early)
        shell.stdin.write("os.lseek(fd, 0, 0)\n")
        shell.stdin.flush()
        shell.stdout.readline()
        batch = watched.drain()
        told = [e["tid"] for b in (early, batch) for e in b.to_dicts() if e["name"] == "thread_snapshot"]
        rows = [row for row in watched.rows(batch) if row["evt.type"] == "lseek" and row["proc.ppid"] == shell.pid]
        assert shell.pid in told
        assert [row["proc.pname"] for row in rows] == [Path(f"/proc/{shell.pid}/comm").read_text().strip()]
        shell.communicate()


def test_a_known_process_that_lost_events_is_told_again(watched: Watched, children: Callable[..., Child]) -> None:
    child = children("known")
    watched.meet(child)
    watched.fill()
    child("os.chdir('/usr'); os.close(fd); fd = os.open('/etc/passwd', os.O_RDONLY); os.dup2(fd, 77)")
    assert not watched.probe.knows(child.pid)
    watched.read()
    row = watched.hear(child, "os.lseek(77, 0, 0)", "lseek")
    assert lacks(row, facts(child, **{"fd.name": "/etc/passwd", "proc.cwd": "/usr/"})) == {}
    assert watched.probe.knows(child.pid)


def test_a_lost_exec_is_made_up_for(watched: Watched, children: Callable[..., Child]) -> None:
    child = children("before")
    watched.meet(child)
    watched.fill()
    program = [sys.executable, "-I", "-S", "-c", PROGRAM, "after"]
    assert child.process.stdin
    assert child.process.stdout
    child.process.stdin.write(f"os.execv({program[0]!r}, {program!r})\n")
    child.process.stdin.flush()
    child.process.stdout.readline()
    watched.read()
    row = watched.hear(child, "os.lseek(fd, 0, 0)", "lseek")
    assert row["proc.cmdline"].endswith(" after")


def test_calls_that_change_nothing_are_lost_without_consequences(
    watched: Watched, children: Callable[..., Child]
) -> None:
    child = children("unchanged")
    watched.meet(child)
    watched.fill()
    child("[os.lseek(fd, 0, 0) for _ in range(9)]")
    assert watched.probe.knows(child.pid)


def test_a_lost_thread_is_told_without_its_process(watched: Watched, children: Callable[..., Child]) -> None:
    child = children("threads")
    child("import threading, time")
    watched.meet(child)
    watched.fill()
    child("go, end, ready = threading.Event(), threading.Event(), threading.Event()")
    child("t = threading.Thread(target=lambda: (go.wait(), os.lseek(fd, 0, 0), ready.set(), end.wait())); t.start()")
    watched.read()
    child("go.set(); ready.wait()")
    batch = watched.drain()
    (tid,) = {int(task.name) for task in Path(f"/proc/{child.pid}/task").iterdir()} - {child.pid}
    child("end.set(); t.join()")
    assert "thread_snapshot" in [e["name"] for e in batch.to_dicts() if e["tid"] == tid]
    (row,) = [row for row in of(watched.rows(batch), tid) if row["evt.type"] == "lseek"]
    assert lacks(row, facts(child, **{"fd.name": "/etc/hostname"})) == {}


def test_threads_from_before_the_snapshot_are_known() -> None:
    done = threading.Event()
    threads = [threading.Thread(target=lambda: (done.wait(), os.getuid())) for _ in range(8)]
    for thread in threads:
        thread.start()
    watched = Watched(1 << 20)
    tids = {thread.native_id for thread in threads}
    done.set()
    for thread in threads:
        thread.join()
    batch = watched.drain()
    told = batch.to_dicts()
    watched.close()
    assert tids <= {e["tid"] for e in told if e["name"] == "getuid"}
    assert not tids & {e["tid"] for e in told if e["name"] == "thread_snapshot"}


def test_the_short_lived_are_counted_and_flagged(watched: Watched) -> None:
    """Their clone is not traced, so nobody announces them; they are gone before anybody reads."""
    watched.probe.set_wanted({"getuid", PROCEXIT})
    watched.read()
    pids = []
    for _ in range(50):
        pid = os.fork()
        if pid == 0:
            os.getuid()
            os._exit(0)
        os.waitpid(pid, 0)
        pids.append(pid)
    before = watched.source.healer.counts["gone"]
    rows = [row for row in watched.read() if row["thread.tid"] in pids and row["evt.type"] == "getuid"]
    assert len(rows) == 50
    assert {row["proc.is_guessed"] for row in rows} == {True}
    assert watched.source.healer.counts["gone"] - before >= 50


def test_what_was_not_announced_is_in_the_metrics(watched: Watched) -> None:
    found = {(name, *labels): value for name, labels, value in readers.kernel(watched.source)()}
    counts = watched.source.healer.counts
    assert found["tiercel_collector_unannounced_processes_total", "described"] == counts["described"] > 0
    assert found["tiercel_collector_reader_answers",] == 1
    assert found["tiercel_collector_ring_fill_bytes",] >= 0


def test_processes_that_start_while_the_snapshot_runs() -> None:
    probe = Probe.load(WANTED, ring_bytes=8 << 20)
    stop = threading.Event()
    started: list[subprocess.Popen[bytes]] = []

    def start() -> None:
        for number in itertools.count():
            if stop.is_set():
                return
            command = ["/bin/sh", "-c", "cd /usr; read x; : </etc/hostname", f"number-{number}"]
            started.append(subprocess.Popen(command, stdin=subprocess.PIPE))

    thread = threading.Thread(target=start)
    thread.start()
    time.sleep(0.05)
    source, host, batch = LiveSource(probe, heal_ms=1000), Host(), Batch()
    source.snapshot(batch)
    time.sleep(0.05)
    stop.set()
    thread.join()
    for process in started:
        process.communicate(b"\n")
    time.sleep(0.005)
    while source.read(batch, 1000):
        pass
    rows = [dict(zip(FIELDS, row, strict=True)) for row in host.field_rows(batch, FIELDS)]
    source.close()
    assert len(started) > 10
    for number, process in enumerate(started):
        opened = [row for row in of(rows, process.pid) if row["fd.name"] == "/etc/hostname"]
        assert opened, number
        expected = {"proc.name": "sh", "proc.cwd": "/usr/", "proc.ppid": os.getpid()}
        assert lacks(opened[0], expected) == {}
        assert opened[0]["proc.cmdline"].endswith(f" number-{number}")


def test_a_storm_of_losses_costs_bounded_work_and_the_books_balance(
    children: Callable[..., Child], monkeypatch: pytest.MonkeyPatch
) -> None:
    probe = Probe.load(WANTED, ring_bytes=64 << 10)
    source = LiveSource(probe, heal_ms=50)
    queue = Queue(max_messages=100_000)
    collector = Collector(source, queue.producer(), Identity("h", "h", "b", 1))
    collector.begin()
    stop = threading.Event()

    def churn() -> None:
        while not stop.is_set():
            subprocess.run(["/bin/sh", "-c", "cd /; : </etc/hostname; (cd /usr; : </etc/passwd)"], check=True)

    threads = [threading.Thread(target=churn) for _ in range(4)]
    for thread in threads:
        thread.start()
    spent = [0.0]
    splice = source.healer.splice

    def timed(*arguments: Any) -> None:
        before = time.monotonic()
        splice(*arguments)
        spent.append(time.monotonic() - before)

    monkeypatch.setattr(source.healer, "splice", timed)
    begun = time.monotonic()
    try:
        while time.monotonic() - begun < 3:
            collector.step()
            time.sleep(0.1)  # far too slow for these rings
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    elapsed = time.monotonic() - begun
    children("calm")
    for _ in range(3):
        collector.step()
    totals = collector.finish()
    assert sum(count for (_, reason), count in totals.lost.items() if reason in BY_RING) > 1000
    assert totals.produced == totals.delivered + sum(totals.lost.values())
    assert source.healer.counts["late"] + source.healer.counts["refused"] > 0, "the limit was reached"
    assert sum(spent) < 0.05 * (elapsed + 1) + max(spent) + 0.2
    source.close()
