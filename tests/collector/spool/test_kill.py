"""A process that spools is killed again and again; a disk that is too small is a real one."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from tiercel.collector.spool import Spool

from .kafka import Broker, Run, arrived, segments

_WRITER = """
import sys, pathlib
sys.path.insert(0, {tests!r})
from tests.collector.spool.kafka import Broker, Run
from tiercel.collector.spool import Spool

class File(Broker):
    def __init__(self):
        super().__init__(away={away}, room=20)
        self.out = open({arrived!r}, "ab", buffering=0)
    def poll(self):
        super().poll()
        for message in self.messages:
            self.out.write(len(message).to_bytes(4, "little") + message)
        self.messages.clear()

run, broker = Run({run}), File()
spool = Spool(pathlib.Path({path!r}), broker, run.identity, max_bytes=4 << 20, in_flight_bytes=20_000,
              produced_before=lambda identity: int(pathlib.Path({produced!r} + str(identity.run)).read_text()))
produced = open({produced!r} + str({run}), "w", buffering=1)
while True:
    produced.seek(0)
    produced.write(f"{{run.numbered + run.told + 3:12}}")
    produced.flush()
    run.put(spool, lost=1, size={size})
"""


def messages_of(path: Path) -> list[bytes]:
    content, out, at = path.read_bytes(), [], 0
    while at + 4 <= len(content):
        size = int.from_bytes(content[at : at + 4], "little")
        if at + 4 + size > len(content):
            break  # the writer was killed in the middle of what a broker would have had whole
        out.append(content[at + 4 : at + 4 + size])
        at += 4 + size
    return out


def test_a_writer_that_is_killed_again_and_again_loses_nothing_that_is_not_told(tmp_path: Path) -> None:
    names = {"arrived": str(tmp_path / "arrived"), "produced": str(tmp_path / "produced-"), "path": str(tmp_path / "s")}
    chance = random.Random(7)
    runs = [1_000_000 * (index + 1) for index in range(8)]
    for run in runs:
        code = _WRITER.format(
            tests=str(Path.cwd()), run=run, away=chance.random() < 0.5, size=chance.choice([10, 3000]), **names
        )
        with subprocess.Popen([sys.executable, "-c", code]) as writer:
            deadline = time.monotonic() + 20
            while not Path(names["produced"] + str(run)).exists() and time.monotonic() < deadline:
                time.sleep(0.01)
            time.sleep(chance.uniform(0.02, 0.5))
            assert writer.poll() is None
            writer.send_signal(signal.SIGKILL)
    last, broker = Run(99_000_000), Broker()

    def produced(identity) -> int:
        return int(Path(names["produced"] + str(identity.run)).read_text())

    spool = Spool(Path(names["path"]), broker, last.identity, produced_before=produced)
    last.put(spool)
    assert spool.flush(20) == 0
    spool.close()
    got = [*messages_of(Path(names["arrived"])), *broker.messages]
    books = arrived(got)
    assert books[99_000_000] == (2, Counter())
    for run in runs:
        kernel, told = books[run]
        assert kernel + sum(told.values()) == int(Path(names["produced"] + str(run)).read_text()), run
        assert set(told) <= {("ring", "ring_full"), ("collector", "killed")}


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_disk_that_is_too_small_costs_only_what_is_told(tmp_path: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(tmp_path)], check=True)
    try:
        broker, run = Broker(away=True, room=50), Run()
        spool = Spool(tmp_path, broker, run.identity, memory_bytes=100_000)
        refused = 0
        for _ in range(600):
            refused += not run.put(spool, size=1000, timeout=0.0)
            time.sleep(0.0005)
        assert refused
        assert spool.refusal() == ("spool", "disk")
        broker.away = False
        assert run.put(spool, lost=refused * 2, timeout=5)
        assert spool.flush(10) == 0
        assert arrived(broker.messages)[1000] == (run.numbered, Counter({("ring", "ring_full"): refused * 2}))
        assert spool.write_errors
        spool.close()
        assert len(segments(tmp_path)) <= 1
        subprocess.run(["mount", "-o", "remount,ro", str(tmp_path)], check=True)
        from tiercel.errors import SpoolError

        with pytest.raises(SpoolError, match="Read-only"):
            Spool(tmp_path, broker, run.identity)
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)
