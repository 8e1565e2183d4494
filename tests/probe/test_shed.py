"""Too much, on the real kernel: budgets and full rings, what goes first and what stays; every event is counted."""

import os
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tiercel._engine import Batch, RingReader
from tiercel.errors import ProbeError
from tiercel.probe.core import CLASSES, PROCEXIT, Probe
from tiercel.schemas import generated, shedding

from .conftest import reason_to_skip

bpf = pytest.mark.bpf

READ = "read"
LIFE = {"clone", "clone3", "vfork", "fork", "execve", PROCEXIT}


class Shedding:
    """A probe that is drained when a test says so; `mine` are events of this process and its children."""

    def __init__(self, wanted: set[str], ring_bytes: int) -> None:
        self.probe = Probe.load(wanted, ring_bytes=ring_bytes)
        self.reader = RingReader(self.probe.ring_fds, ring_bytes)
        self.counts: Counter[str] = Counter()
        self.events: list[dict[str, object]] = []
        self.delivered = 0

    def drain(self, *, keep: bool = False) -> int:
        """Take what is in the rings; with `keep` the events themselves, but for the many reads."""
        batch, before = Batch(), self.delivered
        while self.reader.drain(batch, until=2**63, clock_offset=0, limit=100_000):
            pass
        self.delivered += len(batch)
        if keep:
            self.events += batch.to_dicts()
        return self.delivered - before

    def balance(self) -> dict[str, int]:
        """Stop, take the rest; produced = delivered + all that is counted. The counts that are not zero."""
        self.probe.set_wanted(set())
        time.sleep(0.02)
        self.drain(keep=True)
        assert self.reader.bad_records == 0
        drops = self.probe.drops()
        assert self.probe.produced() == self.delivered + sum(drops.values())
        return {name: count for name, count in (drops | self.probe.shed()).items() if count}


@contextmanager
def shedding_probe(wanted: set[str], ring_bytes: int) -> Iterator[Shedding]:
    reason = reason_to_skip()
    if reason:
        pytest.skip(reason)
    watched = Shedding(wanted, ring_bytes)
    try:
        yield watched
    finally:
        watched.reader.close()
        watched.probe.close()


def flood(seconds: float, meanwhile: Callable[[], object] = int, threads: int = 2) -> None:
    """Reads of eight bytes, as many as threads on all CPUs can make."""
    until = time.monotonic() + seconds

    def read() -> None:
        with Path("/dev/zero").open("rb", buffering=0) as zero:
            while time.monotonic() < until:
                for _ in range(100):
                    os.read(zero.fileno(), 8)
                meanwhile()

    readers = [threading.Thread(target=read) for _ in range(threads)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()


def test_every_event_has_a_class_and_each_keeps_less_than_the_one_before() -> None:
    assert {row[1] for row in generated.EVENTS} == generated.EVENT_CLASSES.keys()
    assert set(generated.EVENT_CLASSES.values()) == set(CLASSES[1:])
    keeps = [keep for _, keep in generated.SHEDDING]
    assert keeps == sorted(set(keeps), reverse=True)
    assert (CLASSES[0], CLASSES[-1], keeps[-1]) == ("payload", "execution", 0)
    assert set(shedding.LOST) | set(shedding.LACKING) == {
        f"{why}_{name}" for why in ("budget", "ring_full") for name in CLASSES
    } | {"no_ring", "no_scratch"}
    order = [generated.EVENT_CLASSES[name] for name in ("read", "getuid", "openat", "connect", "execve")]
    assert order == list(CLASSES[1:])


@bpf
def test_a_flood_of_reads_passes_as_the_budget_says_and_an_exec_in_it_arrives() -> None:
    budget = 5000
    with shedding_probe({READ, *LIFE}, 4 << 20) as watched:
        watched.probe.set_budget(events=budget)
        lock = threading.Lock()

        def drain() -> None:
            with lock:
                watched.drain()

        flood(1.0, drain)  # what may pass at once has passed
        before, began = watched.delivered, time.monotonic()
        flood(2.0, drain)
        spent = time.monotonic() - began
        rate = (watched.delivered - before) / spent
        assert budget * 0.9 <= rate <= budget * 1.1, rate
        process: list[int] = []

        def execute() -> None:
            with subprocess.Popen(["/bin/true"]) as child:
                process.append(child.pid)

        running = threading.Timer(0.2, execute)
        running.start()
        flood(0.6, lambda: lock.acquire() and (watched.drain(keep=True), lock.release()))
        running.join()
        counts = watched.balance()
    assert counts.keys() <= {"budget_read_write", "budget_payload"}, counts
    assert counts["budget_read_write"] > 10 * budget
    names = {event["name"] for event in watched.events if event["tid"] == process[0]}
    assert {"execve", "procexit"} <= names


@bpf
def test_a_budget_changes_and_ends_while_the_probe_runs() -> None:
    with shedding_probe({READ}, 4 << 20) as watched:

        def rate(seconds: float) -> float:
            flood(0.5, watched.drain, threads=1)
            before, began = watched.delivered, time.monotonic()
            flood(seconds, watched.drain, threads=1)
            return (watched.delivered - before) / (time.monotonic() - began)

        for budget in (10_000, 1000, 4000):
            watched.probe.set_budget(events=budget)
            rate(0.5)
            assert budget * 0.9 <= rate(1.0) <= budget * 1.1
        watched.probe.set_budget()
        before = watched.probe.drops()
        assert rate(0.3) > 20_000
        assert watched.probe.drops() == before
        watched.balance()
        with pytest.raises(ProbeError, match="is no budget: from 0 to 10,000,000,000 a second"):
            watched.probe.set_budget(events=-1)


@bpf
def test_of_bytes_the_payloads_go_first() -> None:
    with shedding_probe({READ}, 4 << 20) as watched:
        watched.probe.set_budget(bytes=200_000_000)
        zero = os.open("/dev/zero", os.O_RDONLY)
        os.read(zero, 80)
        watched.drain(keep=True)
        assert len([e for e in watched.events if len(e["params"]["data"] or b"") == 80]) == 1  # type: ignore[index]
        watched.probe.set_budget(bytes=60_000)
        until = time.monotonic() + 2
        while time.monotonic() < until:
            os.read(zero, 80)
            watched.drain(keep=True)
            time.sleep(0.001)  # more than 100,000 bytes a second with their payloads, half without
        os.close(zero)
        counts = watched.balance()
        mine = [e["params"] for e in watched.events if e["tid"] == threading.get_native_id()]
    assert counts["budget_payload"] > 100
    bare = [params for params in mine if params["res"] == 80 and not params["data"]]  # type: ignore[index]
    assert 0 < len(bare) <= counts["budget_payload"]


@bpf
def test_a_full_ring_keeps_executions_and_sheds_in_order() -> None:
    """Nobody drains: payloads go first, then reads; what a process is and has open still comes."""
    wanted = {READ, "getuid", "openat", "close", "connect", "socket", *LIFE}
    with shedding_probe(wanted, 2 << 20) as watched:
        zero = os.open("/dev/zero", os.O_RDONLY)
        watched.drain()
        home = os.sched_getaffinity(0)
        for cpu in home:
            os.sched_setaffinity(0, {cpu})
            for _ in range(12_000):
                os.read(zero, 80)
            for _ in range(8000):
                os.getuid()
        os.sched_setaffinity(0, home)
        with subprocess.Popen(["/bin/sh", "-c", "exec cat /etc/hostname"]) as child:
            pass
        counts = watched.balance()
        events = watched.events
    assert counts.keys() == {"ring_full_payload", "ring_full_read_write", "ring_full_other"}, counts
    reads = [event["params"] for event in events if event["name"] == READ and event["params"]["res"] == 80]  # type: ignore[index]
    full = [bool(params["data"]) for params in reads]  # type: ignore[index]
    assert full.count(False) > 0
    assert full.count(True) > full.count(False)
    theirs = Counter(str(event["name"]) for event in events if event["tid"] == child.pid)
    assert theirs["execve"] >= 2
    assert theirs["procexit"] == 1
    assert theirs["openat"] > 0
    assert theirs["close"] > 0


@bpf
def test_a_shed_open_makes_the_process_unknown_and_its_next_event_asks() -> None:
    with shedding_probe({"openat", "close", "getuid", "setuid"}, 1 << 20) as watched:
        watched.probe.mark_known(os.getpid())
        watched.reader.questions()
        watched.probe.set_budget(events=1)
        for _ in range(3):
            os.close(os.open("/dev/null", os.O_RDONLY))
        assert not watched.probe.knows(os.getpid())
        assert watched.probe.drops()["budget_open"]
        watched.drain()
        watched.reader.questions()
        watched.probe.set_budget()
        os.getuid()
        watched.drain()
        assert [pid for _, _, pid, whole, _ in watched.reader.questions() if whole and pid == os.getpid()]
        assert watched.probe.knows(os.getpid())
        watched.balance()
