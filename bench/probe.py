"""What the probe adds to a system call: nothing loaded, a bpftrace counter on sys_exit, the probe not wanting the call,
and the probe tracing it: without a budget, within one, and far beyond one. Prints a table of nanoseconds a call; run as root on an idle machine.
"""

import argparse
import ctypes
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tiercel._engine import Batch, RingReader
from tiercel.probe.core import Probe

# Compiled, so that the loop itself costs next to nothing.
SOURCE = r"""
#include <fcntl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e9 + t.tv_nsec;
}
double getpid_ns(long n) {
    double t = now();
    for (long i = 0; i < n; i++) syscall(SYS_getpid);
    return (now() - t) / n;
}
double close_ns(long n) {
    double t = now();
    for (long i = 0; i < n; i++) syscall(SYS_close, -1);
    return (now() - t) / n;
}
double open_close_ns(long n) {
    double t = now();
    for (long i = 0; i < n; i++) close(openat(AT_FDCWD, "/dev/null", O_RDONLY));
    return (now() - t) / n;
}
double read_ns(long n) {
    char c; int fd = open("/dev/zero", O_RDONLY); double t = now();
    for (long i = 0; i < n; i++) syscall(SYS_read, fd, &c, 1);
    t = (now() - t) / n; close(fd); return t;
}
"""
CALLS = {"getpid": "getpid_ns", "close(-1)": "close_ns", "openat+close": "open_close_ns", "read 1 byte": "read_ns"}
WANTED = {"getpid", "close", "openat", "read"}


def build(folder: Path) -> ctypes.CDLL:
    """The loops as a library."""
    source, library = folder / "calls.c", folder / "calls.so"
    source.write_text(SOURCE)
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", library, source], check=True)
    loaded = ctypes.CDLL(str(library))
    for name in CALLS.values():
        getattr(loaded, name).restype = ctypes.c_double
        getattr(loaded, name).argtypes = (ctypes.c_long,)
    return loaded


@contextmanager
def counter() -> Iterator[None]:
    """bpftrace counting every system call."""
    if not Path("/sys/kernel/tracing/events").exists():
        subprocess.run(["mount", "-t", "tracefs", "tracefs", "/sys/kernel/tracing"], check=False)
    program = 'BEGIN { printf("ready\\n"); } tracepoint:raw_syscalls:sys_exit { @ = count(); }'
    with subprocess.Popen(["bpftrace", "-B", "line", "-e", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        if not any("ready" in line for line in process.stdout):
            raise SystemExit("bpftrace does not run here: leave it out of PATH to measure without it")
        yield
        process.terminate()


@contextmanager
def probe(wanted: set[str], budget: int = 0) -> Iterator[None]:
    """The probe, drained by a thread as the collector would; `budget` events may pass in a second, 0: all."""
    with Probe.load(wanted, ring_bytes=64 << 20) as loaded:
        loaded.set_budget(events=budget)
        reader, done = RingReader(loaded.ring_fds, loaded.ring_bytes), threading.Event()

        def drain() -> None:
            os.sched_setaffinity(0, range(os.cpu_count() or 1))  # not in the way of what is measured
            while not done.wait(0.005):
                reader.drain(Batch(), until=2**63, clock_offset=0, limit=1_000_000)

        thread = threading.Thread(target=drain)
        thread.start()
        yield
        done.set()
        thread.join()
        drops = {reason: count for reason, count in loaded.drops().items() if count}
        reader.close()
    if drops and not budget:
        print(f"  dropped while measuring: {drops}", file=sys.stderr)


@contextmanager
def nothing() -> Iterator[None]:
    yield


def measure(library: ctypes.CDLL, rounds: int, calls: int) -> dict[str, float]:
    """Nanoseconds of each call, the best round of each: what else the machine does only ever adds."""
    return {name: min(getattr(library, function)(calls) for _ in range(rounds)) for name, function in CALLS.items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--calls", type=int, default=100_000)
    parser.add_argument("--json", action="store_true", help="one JSON object: added nanoseconds by case and call")
    options = parser.parse_args()
    cases: dict[str, Callable[[], object]] = {"nothing loaded": nothing}
    if shutil.which("bpftrace"):
        cases["bpftrace counter"] = counter
    cases |= {"probe, not wanted": lambda: probe({"reboot"}), "probe, traced": lambda: probe(WANTED)}
    cases |= {
        "within a budget": lambda: probe(WANTED, 10**9),
        "beyond a budget": lambda: probe(WANTED, 1000),
    }
    with tempfile.TemporaryDirectory() as folder:
        library = build(Path(folder))
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
        base: dict[str, float] = {}
        added: dict[str, dict[str, int]] = {}
        if not options.json:
            print(f"{'ns a call (added)':20}" + "".join(f"{name:>20}" for name in CALLS))
        for name, case in cases.items():
            with case():  # type: ignore[attr-defined]
                row = measure(library, options.rounds, options.calls)
            base = base or row
            added[name] = {call: round(row[call] - base[call]) for call in CALLS}
            if not options.json:
                print(f"{name:20}" + "".join(f"{row[c]:11.0f} ({row[c] - base[c]:+5.0f})" for c in CALLS))
        if options.json:
            print(json.dumps(added))


if __name__ == "__main__":
    main()
