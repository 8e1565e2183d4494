"""One loaded probe for all tests of this folder; `trace` runs something and gives the events of its threads."""

import ctypes
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tiercel._engine import Batch, RingReader
from tiercel.probe.core import NUMBERS, PROCEXIT, Probe

Event = dict[str, Any]
LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.syscall.restype = ctypes.c_long


def syscall(name: str, *arguments: object) -> int:
    """The system call itself, as the kernel answers: a negative number is -errno."""
    words = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    result = LIBC.syscall(ctypes.c_long(NUMBERS[name]), *words)
    return -ctypes.get_errno() if result == -1 else int(result)


def memory() -> dict[str, int]:
    """What this process has of memory, in KiB, under the names that events use."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    names = {"vm_size": "VmSize", "vm_rss": "VmRSS", "vm_swap": "VmSwap"}
    return {name: int(lines[line].split()[0]) for name, line in names.items()}


def iovec(*buffers: "ctypes.Array[Any]") -> "ctypes.Array[Any]":
    """`struct iovec[]` over these buffers."""
    pairs = [(ctypes.addressof(buffer), ctypes.sizeof(buffer)) for buffer in buffers]
    vector = (ctypes.c_uint64 * (2 * len(pairs)))(*(word for pair in pairs for word in pair))
    vector.buffers = buffers  # they live as long
    return vector


def reason_to_skip() -> str | None:
    """Why no probe can run here."""
    if os.geteuid() != 0:
        return "needs root"
    return None if Path("/sys/kernel/btf/vmlinux").exists() else "needs a kernel with BTF"


class Tracer:
    """The probe with its reader; `trace(action)` gives the events that this process and its children made meanwhile."""

    def __init__(self, probe: Probe) -> None:
        self.probe = probe
        self.reader = RingReader(probe.ring_fds, probe.ring_bytes)
        self.offset = time.clock_gettime_ns(time.CLOCK_REALTIME) - time.clock_gettime_ns(time.CLOCK_BOOTTIME)

    def drain(self) -> list[Event]:
        batch = Batch()
        while self.reader.drain(batch, until=2**63, clock_offset=self.offset, limit=100_000):
            pass
        return batch.to_dicts()

    def everything(self, action: Callable[[], object]) -> list[Event]:
        """Events of the whole machine while `action` runs."""
        self.drain()
        action()
        return self.drain()

    def __call__(self, name: str, action: Callable[[], object], *, tid: int | None = None) -> list[Event]:
        """Events called `name` of this thread (or of `tid`) while `action` runs."""
        tid = tid or threading.get_native_id()
        return [e for e in self.everything(action) if e["name"] == name and e["tid"] == tid]

    def one(self, name: str, action: Callable[[], object]) -> dict[str, Any]:
        """The parameters of the only event called `name` of this thread."""
        events = self(name, action)
        assert len(events) == 1, events
        params: dict[str, Any] = events[0]["params"]
        return params

    def call(self, name: str, *arguments: object, event: str | None = None) -> tuple[int, dict[str, Any]]:
        """Make a system call; its result and the parameters of its event."""
        results: list[int] = []
        params = self.one(event or name, lambda: results.append(syscall(name, *arguments)))
        return results[0], params

    def in_child(
        self, name: str, *arguments: object, before: Callable[[], object] = int, event: str | None = None
    ) -> tuple[int, dict[str, Any], int]:
        """The same call made by a child process, after `before`; its result, the event's parameters, and the child."""
        results: list[int] = []
        pids: list[int] = []

        def action() -> None:
            out, into = os.pipe()
            pid = os.fork()
            if pid == 0:
                try:
                    before()
                    os.write(into, str(syscall(name, *arguments)).encode())
                finally:
                    os._exit(0)
            os.close(into)
            pids.append(pid)
            os.waitpid(pid, 0)
            results.append(int(os.read(out, 99)))
            os.close(out)

        events = [e for e in self.everything(action) if e["name"] == (event or name) and e["tid"] == pids[0]]
        return results[0], events[-1]["params"], pids[0]


@pytest.fixture(scope="session")
def live_probe() -> Iterator[Probe]:
    reason = reason_to_skip()
    if reason:
        pytest.skip(reason)
    with Probe.load(set(), ring_bytes=16 << 20) as probe:
        probe.set_wanted(probe.programs | {PROCEXIT})
        yield probe


@pytest.fixture(scope="session")
def tracer(live_probe: Probe) -> Iterator[Tracer]:
    tracer = Tracer(live_probe)
    yield tracer
    tracer.reader.close()


@pytest.fixture
def trace(tracer: Tracer) -> Tracer:
    return tracer
