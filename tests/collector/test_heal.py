"""Answers to the kernel's questions, from the real /proc with marks and a clock of our own: order, time, the gone."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tiercel._engine import Batch
from tiercel.collector import heal
from tiercel.collector.heal import Healer, Question

EVER = 2**62


class Marks:
    """Knows whom it is told to know."""

    def __init__(self, *known: int) -> None:
        self.known = set(known)

    def knows(self, pid: int) -> bool:
        return pid in self.known

    def mark_known(self, pid: int) -> None:
        self.known.add(pid)


class Clock:
    """Stands still unless it is moved; each look at it takes `step` seconds."""

    def __init__(self, step: float = 0.0) -> None:
        self.now, self.step = 1000.0, step

    def __call__(self) -> float:
        self.now += self.step
        return self.now


def events(*tids: int) -> Batch:
    batch = Batch()
    for tid in tids:
        batch.append("getuid", time=5, tid=tid, params=[0])
    return batch


def answers(healer: Healer, found: Batch, *questions: Question) -> list[tuple[str, int]]:
    batch = Batch()
    healer.splice(batch, found, list(questions))
    return [(e["name"], e["tid"]) for e in batch.to_dicts() if e["name"] != "fd_snapshot"]


@pytest.fixture
def sleeper() -> Iterator[int]:
    """A process, the child of a shell that is not known either."""
    command = f"{sys.executable} -I -S -c 'import time; time.sleep(60)' & echo $!; wait"
    with subprocess.Popen(["/bin/sh", "-c", command], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as shell:
        assert shell.stdout
        pid = int(shell.stdout.readline())
        try:
            yield pid
        finally:
            os.kill(pid, 9)
            shell.wait()


def test_a_description_stands_before_the_event_that_asks(sleeper: int) -> None:
    marks = Marks(os.getpid())
    healer = Healer(marks, 0, 10.0)
    shell = int(Path(f"/proc/{sleeper}/stat").read_text().split()[3])
    told = answers(healer, events(1, 2, sleeper, 3), Question(2, sleeper, sleeper, True, EVER))
    assert told == [
        *[("getuid", 1), ("getuid", 2)],
        *[("thread_snapshot", shell), ("thread_snapshot", sleeper)],
        *[("getuid", sleeper), ("getuid", 3)],
    ]
    assert (healer.counts["described"], marks.knows(shell)) == (2, True)
    # Answered for all events before it, but not for those after.
    assert answers(healer, events(sleeper), Question(0, sleeper, sleeper, True, 5)) == [("getuid", sleeper)]
    again = answers(healer, events(sleeper), Question(0, sleeper, sleeper, True, EVER))
    assert again == [("thread_snapshot", sleeper), ("getuid", sleeper)]


def test_the_time_of_a_description_is_that_of_its_end() -> None:
    offset = 10**18
    healer = Healer(Marks(os.getppid()), offset, 10.0)
    batch, before = Batch(), time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    healer.splice(batch, events(os.getpid()), [Question(0, os.getpid(), os.getpid(), True, EVER)])
    after = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    told = [e["time"] - offset for e in batch.to_dicts() if e["name"] == "thread_snapshot"]
    assert told
    assert all(before < at < after for at in told)


def test_one_thread_is_told_alone() -> None:
    ready, done = threading.Event(), threading.Event()
    tids: list[int] = []

    def wait() -> None:
        tids.append(threading.get_native_id())
        ready.set()
        done.wait()

    thread = threading.Thread(target=wait)
    thread.start()
    ready.wait()
    batch = Batch()
    Healer(Marks(os.getppid()), 0, 10.0).splice(
        batch, events(tids[0]), [Question(0, tids[0], os.getpid(), False, EVER)]
    )
    done.set()
    thread.join()
    told, event = batch.to_dicts()
    assert (told["name"], told["tid"], told["params"]["pid"]) == ("thread_snapshot", tids[0], os.getpid())
    assert event["name"] == "getuid"


def test_who_is_gone_or_another_is_guessed() -> None:
    process = subprocess.Popen(["/bin/true"])
    process.wait()
    healer = Healer(Marks(), 0, 10.0)
    gone = Question(0, process.pid, process.pid, True, EVER)
    assert answers(healer, events(process.pid), gone) == [("thread_guessed", process.pid), ("getuid", process.pid)]
    # The number existed before this process began: it is another's now.
    other = Question(0, os.getpid(), os.getpid(), True, 1)
    assert answers(healer, events(os.getpid()), other) == [("thread_guessed", os.getpid()), ("getuid", os.getpid())]
    assert healer.counts == {"gone": 2}


def test_who_waits_to_be_reaped_is_gone() -> None:
    process = subprocess.Popen(["/bin/true"])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    question = Question(0, process.pid, process.pid, True, EVER)
    told = answers(Healer(Marks(), 0, 10.0), events(process.pid), question)
    process.wait()
    assert told == [("thread_guessed", process.pid), ("getuid", process.pid)]


def test_beyond_its_time_it_waits_and_tells_later(sleeper: int, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, me = Clock(step=0.2), os.getpid()  # each description takes longer than there is time for
    healer = Healer(Marks(os.getppid()), 0, 0.1, clock=clock)
    asked = [(me, True), (sleeper, False), (sleeper, True)]
    questions = [Question(place, tid, tid, whole, EVER) for place, (tid, whole) in enumerate(asked)]
    told = answers(healer, events(*(tid for tid, _ in asked)), *questions)
    assert [name for name, tid in told if tid == me] == ["thread_snapshot", "getuid"]
    assert told[-3:] == [("thread_guessed", sleeper), ("getuid", sleeper), ("getuid", sleeper)]
    assert (healer.waiting, healer.counts["late"]) == (1, 1)
    clock.step = 0
    monkeypatch.setattr(heal, "_WAITING_MAX", 1)
    assert answers(healer, events(77), Question(0, 77, 77, True, EVER)) == [("thread_guessed", 77), ("getuid", 77)]
    assert (healer.waiting, healer.counts["refused"]) == (1, 1)
    clock.now += 1
    assert ("thread_snapshot", sleeper) in answers(healer, events())
    assert healer.waiting == 0


def test_no_time_at_all_describes_nobody() -> None:
    healer = Healer(Marks(), 0, 0.0)
    question = Question(0, os.getpid(), os.getpid(), True, EVER)
    assert answers(healer, events(os.getpid()), question)[0] == ("thread_guessed", os.getpid())
    assert (answers(healer, events()), healer.waiting, healer.counts["refused"]) == ([], 0, 1)


def test_who_is_gone_after_waiting_is_not_brought_back() -> None:
    process, clock = subprocess.Popen(["/bin/sleep", "60"]), Clock(step=0.2)
    healer = Healer(Marks(os.getpid(), os.getppid()), 0, 0.1, clock=clock)
    questions = [Question(0, os.getpid(), os.getpid(), True, EVER), Question(1, process.pid, process.pid, True, EVER)]
    assert answers(healer, events(os.getpid(), process.pid), *questions)[-2] == ("thread_guessed", process.pid)
    process.kill()
    process.wait()
    clock.now += 10
    assert (answers(healer, events(1)), healer.waiting) == ([("getuid", 1)], 0)
    assert healer.counts["gone"] == 1


def test_what_proc_says_is_not_trusted(tmp_path: Any) -> None:
    for number, text in enumerate(
        ["", "1 (x) S", "1 (x) " + "x " * 60, "1 (x) S " + "9" * 400, "1 (x) S " + "1 " * 60]
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "stat").write_text(text)
        (folder / "status").write_bytes(b"Tgid:\t\xff\nName:\n")
        healer = Healer(Marks(), 0, 10.0, root=tmp_path)
        told = answers(healer, events(number), Question(0, number, number, True, EVER))
        assert told == [("thread_guessed", number), ("getuid", number)]
