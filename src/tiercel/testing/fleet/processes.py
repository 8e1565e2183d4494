"""The processes of a fleet: started, started anew when they end as a supervisor of services would, and watched."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

_WATCH_S = 0.25
_TICKS = os.sysconf("SC_CLK_TCK")


def resident(pid: int) -> float:
    """MiB of RAM that a process holds; 0 if it is gone."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def processor_seconds(pid: int) -> float:
    """CPU seconds that a process has used; 0 if it is gone."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(words[11]) + int(words[12])) / _TICKS


@dataclass
class Member:
    """One of them. `ended`: it did what it was to do. `memory`: (seconds, MiB) of this incarnation."""

    name: str
    command: list[str]
    log: Path
    environment: dict[str, str]
    process: subprocess.Popen[bytes]
    starts: int = 1
    ended: bool = False
    memory: list[tuple[float, float]] = field(default_factory=list)
    grown: list[float] = field(default_factory=list)

    @property
    def kind(self) -> str:
        """`worker` of worker-2."""
        return self.name.rpartition("-")[0]

    def slope(self, settled: float = 30.0, least: float = 60.0) -> float | None:
        """MiB a minute by which it grows once it has run `settled` seconds; None where `least` more are not over."""
        begun = self.memory[0][0] + settled if self.memory else 0.0
        points = [(when / 60, size) for when, size in self.memory if when >= begun]
        if not points or points[-1][0] - points[0][0] < least / 60:
            return None
        middle = sum(when for when, _ in points) / len(points)
        mean = sum(size for _, size in points) / len(points)
        spread = sum((when - middle) ** 2 for when, _ in points)
        return sum((when - middle) * (size - mean) for when, size in points) / spread


class Processes:
    """All of them. A thread starts anew what ended with another status than 0.

    `inside`: what the command of a kind begins with, where it runs elsewhere.
    """

    def __init__(
        self, folder: Path, environment: dict[str, str], inside: Callable[[str], list[str]] = lambda _kind: []
    ) -> None:
        self.members: dict[str, Member] = {}
        self._folder, self._environment, self._inside = folder, environment, inside
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="supervisor", daemon=True)
        self._thread.start()

    def start(self, name: str, command: list[str]) -> Member:
        log, environment = self._folder / f"{name}.log", {**os.environ, **self._environment}
        command = [*self._inside(name.rpartition("-")[0]), *command]
        member = Member(name, command, log, environment, _spawn(command, log, environment))
        with self._lock:
            self.members[name] = member
        return member

    def of(self, kind: str) -> list[Member]:
        """Those that run now."""
        return [m for m in self.members.values() if m.kind == kind and not m.ended and m.process.poll() is None]

    def kill(self, member: Member, how: int = signal.SIGKILL) -> None:
        """Send a signal; what it ends is started anew."""
        with self._lock:
            if member.process.poll() is None:
                member.process.send_signal(how)

    def close(self) -> None:
        """End all, the first started last, each with the ten seconds that it has."""
        self._stop.set()
        self._thread.join()
        for member in reversed(self.members.values()):
            if member.process.poll() is None:
                member.process.send_signal(signal.SIGCONT)
                member.process.terminate()
        deadline = time.monotonic() + 10
        for member in self.members.values():
            try:
                member.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                member.process.kill()
                member.process.wait()

    def _watch(self) -> None:
        while not self._stop.wait(_WATCH_S):
            with self._lock:
                for member in self.members.values():
                    self._look_after(member)

    def _look_after(self, member: Member) -> None:
        status = member.process.poll()
        if status is None:
            member.memory.append((time.monotonic(), resident(member.process.pid)))
        elif status == 0 or member.ended:
            member.ended = True
        else:
            if (slope := member.slope()) is not None:
                member.grown.append(slope)
            member.memory.clear()
            member.process = _spawn(member.command, member.log, member.environment)
            member.starts += 1


def _spawn(command: list[str], log: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    with log.open("ab") as out:
        return subprocess.Popen(command, stdout=out, stderr=out, env=environment, process_group=0)
