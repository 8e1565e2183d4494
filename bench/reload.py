"""How long batches wait while a rule set is compiled in another thread, and what throttling costs.

python bench/reload.py CAPTURE RULES…
"""

import argparse
import statistics
import threading
import time
from pathlib import Path

from tiercel._engine import RuleSet, encode_raw
from tiercel.processors.worker import Worker
from tiercel.recording import Capture
from tiercel.rules import sets
from tiercel.rules.load import Loader
from tiercel.rules.reload import beside_batches
from tiercel.schemas import avro

HEADER = {"host_id": "h", "host": "h", "boot_id": "b", "run": 1, "produced": 0, "delivered": 0, "lost": []}
EVERY = "- rule: every\n  desc: d\n  condition: evt.num >= 0\n  output: o %proc.name %fd.name\n  priority: NOTICE\n"


def raw(path: Path) -> list[bytes]:
    """The capture in messages of a thousand events."""
    found, first = [], 1
    for batch in Capture(path):
        body = encode_raw(batch, 0, len(batch), HEADER | {"first_seq": first})
        first += len(batch)
        found.append(avro.frame("raw_batch", body))
    return found


def gaps(worker: Worker, messages: list[bytes], until: threading.Event, at_least: float = 0.0) -> list[float]:
    """Seconds that each message took, over and over until told to stop."""
    found, begun = [], time.monotonic()
    while True:
        for message in messages:
            start = time.perf_counter()
            worker.handle(0, 0, b"h", message)
            found.append(time.perf_counter() - start)
            if until.is_set() and time.monotonic() - begun > at_least:
                return found


def told(name: str, found: list[float]) -> None:
    cut = statistics.quantiles(found, n=100)
    print(f"{name:34} {len(found):6} batches  median {cut[49] * 1e3:6.2f} ms  99 % {cut[98] * 1e3:6.2f} ms  "
          f"longest {max(found) * 1e3:6.2f} ms")  # fmt: skip


def stalls(messages: list[bytes], paths: list[Path]) -> None:
    """Batches beside a compilation."""
    files = sets.read(paths)
    made = sets.compiled(files)
    beside_batches()
    worker, done = Worker(made.rules), threading.Event()
    done.set()
    told("nothing beside", gaps(worker, messages, done, 2.0))
    done.clear()
    took: list[float] = []

    def compile_some() -> None:
        for _ in range(3):
            start = time.monotonic()
            sets.compiled(files)
            took.append(time.monotonic() - start)
        done.set()

    beside = threading.Thread(target=compile_some)
    beside.start()
    told(f"{made.count} rules compiled beside", gaps(worker, messages, done))
    beside.join()
    print(f"compiling took {min(took):.2f} to {max(took):.2f} s beside the batches")


def costs(messages: list[bytes], rounds: int = 3) -> None:
    """A rule that matches every event: without a throttle, and with one that suppresses nearly all."""
    for name, more in (("no alert", None), ("every alert", ""), ("throttled", "{burst: 1, every: 1d}"),
                       ("throttled per proc.name, fd.name", "{per: [proc.name, fd.name], burst: 1, every: 1d}")):  # fmt: skip
        loader = Loader()
        text = EVERY if more is not None else EVERY.replace(">= 0", "< 0")
        loader.read_text("r", text + (f"  throttle: {more}\n" if more else ""))
        rules = RuleSet(loader.finish().plan(throttled=True))
        best, events = 1e9, 0
        for _ in range(rounds):
            worker, start = Worker(rules), time.perf_counter()
            for message in messages:
                worker.handle(0, 0, b"h", message)
            best, events = min(best, time.perf_counter() - start), worker.counters.events
        print(f"{name:34} {best / events * 1e9:7.0f} ns an event, {worker.counters.alerts} alerts of {events} events")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("capture", type=Path)
    parser.add_argument("rules", type=Path, nargs="+")
    options = parser.parse_args()
    messages = raw(options.capture)
    stalls(messages, options.rules)
    costs(messages)


if __name__ == "__main__":
    main()
