"""How long batches wait while a rule set is compiled in another thread, and what throttling costs."""

import threading
import time
from pathlib import Path

import recording
from rule_sets import ALL

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


def stalls(messages: list[bytes], paths: list[Path]) -> dict[str, object]:
    """Batches of a thousand events with nothing beside them, and beside a compilation."""
    files = sets.read(paths)
    made = sets.compiled(files)
    beside_batches()
    worker, done = Worker(made.rules, numbered=False), threading.Event()
    done.set()
    alone = gaps(worker, messages, done, 2.0)
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
    meanwhile = gaps(worker, messages, done)
    beside.join()
    return {
        "rules": made.count,
        "longest batch, nothing beside, ms": round(max(alone) * 1e3, 1),
        "longest batch beside a compilation, ms": round(max(meanwhile) * 1e3, 1),
        "compilation beside batches, s": round(min(took), 2),
    }


def costs(messages: list[bytes], rounds: int = 3) -> dict[str, object]:
    """A rule that matches every event: told each time, and with throttles that suppress nearly all."""
    report: dict[str, object] = {}
    for name, more in (
        ("no alert", None),
        ("every alert told", ""),
        ("throttled", "{burst: 1, every: 1d}"),
        ("throttled per proc.name, fd.name", "{per: [proc.name, fd.name], burst: 1, every: 1d}"),
    ):
        loader = Loader()
        text = EVERY if more is not None else EVERY.replace(">= 0", "< 0")
        loader.read_text("r", text + (f"  throttle: {more}\n" if more else ""))
        rules = RuleSet(loader.finish().plan(throttled=True))
        best, events = float("inf"), 1
        for _ in range(rounds):
            worker, start = Worker(rules, numbered=False), time.process_time()
            for message in messages:
                worker.handle(0, 0, b"h", message)
            best, events = min(best, time.process_time() - start), worker.counters.events
        report[f"{name}, ns/event"] = round(best / events * 1e9)
    return report


def main() -> None:
    """Measure and print."""
    parser = recording.arguments(__doc__)
    parser.add_argument("--rules", type=Path, nargs="*", default=[path for path in ALL if path.exists()])
    options = parser.parse_args()
    messages = raw(options.capture)
    recording.show(stalls(messages, options.rules) | costs(messages), as_json=options.json)


if __name__ == "__main__":
    main()
