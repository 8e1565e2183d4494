"""The process that reads /proc for the collector: it says what this process would say, and may end or stand still."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tiercel._engine import Batch
from tiercel.collector import reader as module
from tiercel.collector.describer import GONE, Here
from tiercel.collector.heal import Healer, Question
from tiercel.collector.reader import Reader

EVER = 2**62


@contextmanager
def reading() -> Iterator[Reader]:
    reader = Reader(0)
    try:
        yield reader
    finally:
        reader.close()


def facts(batch: Batch) -> list[tuple[str, int, dict]]:
    passing = {"vm_size", "vm_rss", "vm_swap", "pgft_min", "pgft_maj"}
    rows = batch.to_dicts()
    return [(row["name"], row["tid"], {k: v for k, v in row["params"].items() if k not in passing}) for row in rows]


@pytest.mark.skipif(os.geteuid() != 0, reason="reading other users' /proc needs root")
def test_it_says_of_another_user_s_process_what_this_one_would() -> None:
    command = ["/bin/sh", "-c", "echo 1; read x"]
    with (
        reading() as reader,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, user=65534, group=65534) as other,
    ):
        assert other.stdout is not None
        other.stdout.readline()
        ours, theirs = Batch(), Batch()
        here = Here(0, lambda: 1)
        assert here.describe(ours, other.pid, EVER) == reader.describe(theirs, other.pid, EVER) == (True, os.getpid())
        assert facts(ours) == facts(theirs)
        assert len(ours) > 3
        other.kill()


def test_who_is_gone_is_gone() -> None:
    with reading() as reader:
        with pytest.raises(GONE):
            reader.describe(Batch(), 2**22 + 5, EVER)
        reader.begin()
        batch = Batch()
        assert reader.describe(batch, os.getpid(), EVER, os.getpid())[0]
        assert [row["name"] for row in batch.to_dicts()] == ["thread_snapshot"]


def test_all_processes_are_told() -> None:
    known: list[int] = []
    with reading() as reader:
        batch = Batch()
        reader.snapshot(batch, known.append)
        assert os.getpid() in known
        assert any(row["tid"] == os.getpid() for row in batch.to_dicts() if row["name"] == "thread_snapshot")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_one_that_does_not_answer_costs_little_and_is_told_once(
    number: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Marks:
        def knows(self, pid: int) -> bool:
            return True

        def mark_known(self, pid: int) -> None:
            pass

    monkeypatch.setattr(module, "_PROMPT_S", 0.3)
    with reading() as reader:
        os.kill(reader.pid, number)
        healer = Healer(Marks(), 0, 10.0, describer=reader)
        for _ in range(5):
            batch, events = Batch(), Batch()
            events.append("getuid", time=5, tid=1, params=[0])
            healer.splice(batch, events, [Question(0, 1, 1, True, EVER)])
            assert [row["name"] for row in batch.to_dicts()] == ["thread_guessed", "getuid"]
        assert sum("reader of /proc" in record.message for record in caplog.records) == 1
        os.kill(reader.pid, signal.SIGKILL)


def test_one_that_is_late_is_asked_again_when_it_has_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PROMPT_S", 0.3)
    with reading() as reader:
        os.kill(reader.pid, signal.SIGSTOP)
        for _ in range(3):
            with pytest.raises(GONE):
                reader.describe(Batch(), 1, EVER)
        assert not reader.answers
        os.kill(reader.pid, signal.SIGCONT)
        monkeypatch.setattr(module, "_PROMPT_S", 5.0)
        deadline = time.monotonic() + 10
        while True:
            batch = Batch()
            try:
                reader.describe(batch, os.getpid(), EVER, os.getpid())
                break
            except GONE:
                assert time.monotonic() < deadline
                time.sleep(0.01)
        # It is the answer to this question, and not the one that came late.
        assert [row["tid"] for row in batch.to_dicts()] == [os.getpid()]
        assert reader.answers
