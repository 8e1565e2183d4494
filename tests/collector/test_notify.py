"""What systemd is told, by a socket as it has one; and the unit, as systemd reads it."""

import os
import shutil
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest

from tiercel.collector.collector import Collector
from tiercel.collector.identity import Identity
from tiercel.collector.notify import Notifier
from tiercel.joints.queue import Queue

UNIT = Path(__file__).parents[2] / "deploy/systemd/tiercel-collector.service"


@pytest.fixture(params=["path", "abstract"])
def systemd(request: pytest.FixtureRequest, tmp_path: Path):
    name = str(tmp_path / "notify") if request.param == "path" else f"@tiercel-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as own:
        own.bind("\0" + name[1:] if name.startswith("@") else name)
        own.settimeout(5)
        yield name, own


def heard(own: socket.socket, wait: float = 0.0) -> list[bytes]:
    time.sleep(wait)
    own.settimeout(0.01)
    found = []
    while True:
        try:
            found.append(own.recv(100))
        except TimeoutError:
            return found


def test_it_says_that_it_is_ready_alive_and_ending(systemd) -> None:
    name, own = systemd
    notifier = Notifier({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "400000", "WATCHDOG_PID": str(os.getpid())})
    notifier.ready()
    begun = time.monotonic()
    for _ in range(25):
        notifier.beat()
        time.sleep(0.01)
    most = (time.monotonic() - begun) / 0.1 + 1
    notifier.stopping()
    notifier.close()
    notifier.beat()
    said = heard(own)
    assert (said[0], said[-1]) == (b"READY=1", b"STOPPING=1")
    assert 2 <= said.count(b"WATCHDOG=1") <= most


@pytest.mark.parametrize(
    "environment",
    [{}, {"NOTIFY_SOCKET": "vsock:1:2"}, {"NOTIFY_SOCKET": "/nowhere", "WATCHDOG_USEC": "x"}, {"WATCHDOG_USEC": "1"}],
)
def test_without_systemd_nothing_happens(environment: dict[str, str]) -> None:
    notifier = Notifier(environment)
    notifier.ready()
    notifier.beat()
    notifier.close()


def test_another_process_s_watchdog_is_not_fed(systemd) -> None:
    name, own = systemd
    notifier = Notifier({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1"})
    notifier.beat()
    notifier.close()
    assert heard(own) == []


def test_a_drain_that_stands_still_is_not_alive(systemd) -> None:
    name, own = systemd
    stuck, stop = threading.Event(), threading.Event()

    class Source:
        def read(self, batch, limit: int) -> int:
            if stuck.is_set():
                stop.wait(10)
            return 0

        def produced(self) -> int:
            return 0

        def losses(self) -> list:
            return []

        def shed(self) -> list:
            return []

        def snapshot(self, batch) -> None: ...
        def retell(self) -> None: ...
        def stop(self) -> None: ...
        def close(self) -> None: ...
        def wait(self, timeout: float) -> None:
            time.sleep(0.005)

        def finished(self) -> bool:
            return stop.is_set()

    notifier = Notifier({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "200000"})
    collector = Collector(Source(), Queue().producer(), Identity("h", "h", "b", 1), beat=notifier.beat)
    thread = threading.Thread(target=collector.run, args=(stop,))
    thread.start()
    try:
        assert len(heard(own, 0.5)) >= 4
        stuck.set()
        heard(own, 0.1)
        assert heard(own, 0.5) == []
    finally:
        stop.set()
        thread.join()
        notifier.close()


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/opt/tiercel/bin/tiercel", shutil.which("true") or "/bin/true"))
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False)
    complaints = [line for line in done.stderr.splitlines() if UNIT.name in line]
    assert done.returncode == 0 and not complaints, done.stderr
