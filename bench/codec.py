"""How fast the engine reads captures and turns batches into Avro and Arrow: million events a second of each step, by the
clock and by processor time (steadier on a busy machine), best of some rounds. On a capture, else on events built by hand.
"""

import argparse
import gzip
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tiercel import _engine
from tiercel._engine import Batch, CaptureReader

PIECE = 1 << 20
BATCH = 1000
READ = 10_000
BASE = 1_795_461_325_000_000_000
HEADER = {"host_id": "bench", "host": "bench", "boot_id": "boot", "run": 1, "produced": 0, "delivered": 0, "lost": []}


def read(capture: bytes) -> list[Batch]:
    reader, batches = CaptureReader(), []
    for start in range(0, len(capture), PIECE):
        reader.feed(capture[start : start + PIECE])
        while (batch := reader.next(READ)) is not None:
            batches.append(batch)
    reader.finish()
    while (batch := reader.next(READ)) is not None:
        batches.append(batch)
    return batches


def built() -> list[Batch]:
    """A shell that starts programs which open, read and close files, as they come."""
    batches, made = [], Batch()
    for number in range(60_000):
        name, params = (
            ("openat", [3, -100, f"/usr/lib/x86_64-linux-gnu/lib{number % 97}.so.6", 4097, 0, 2049, number]),
            ("read", [832, b"\x7fELF\x02\x01\x01\x03" + bytes(72), 3, 832]),
            ("close", [0, 3]),
        )[number % 3]
        made.append(name, time=BASE + number * 1000, tid=4000 + number % 7, cpu=number % 4, params=params)
        if len(made) == READ:
            batches.append(made)
            made = Batch()
    return batches


def slices(batches: list[Batch]) -> Iterator[tuple[Batch, int, int, int]]:
    """Batch, start, stop and number of the first event."""
    seq = 1
    for batch in batches:
        for start in range(0, len(batch), BATCH):
            stop = min(start + BATCH, len(batch))
            yield batch, start, stop, seq
            seq += stop - start


def encode(batches: list[Batch]) -> list[bytes]:
    return [
        _engine.encode_raw(batch, start, stop, HEADER | {"first_seq": seq})
        for batch, start, stop, seq in slices(batches)
    ]


def enriched(raws: list[bytes]) -> list[bytes]:
    host = _engine.Host()
    return [host.process(raw, None, partition=0, offset=offset).enriched for offset, raw in enumerate(raws)]


def columns(bodies: list[bytes], together: int = 20) -> None:
    for start in range(0, len(bodies), together):
        _engine.event_columns(bodies[start : start + together], "bench")


def fastest(rounds: int, work: Callable[[], object]) -> tuple[float, float]:
    """Seconds by the clock, and of processor time."""
    took = []
    for _ in range(rounds):
        clock, processor = time.perf_counter(), time.process_time()
        work()
        took.append((time.perf_counter() - clock, time.process_time() - processor))
    return min(clock for clock, _ in took), min(processor for _, processor in took)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("capture", nargs="?", type=Path, help="a .scap or .scap.gz file")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    steps: dict[str, Callable[[], object]] = {}
    if options.capture:
        capture = options.capture.read_bytes()
        if options.capture.suffix == ".gz":
            capture = gzip.decompress(capture)
        batches = read(capture)
        steps["read"] = lambda: read(capture)
    else:
        batches = built()
    raws = encode(batches)
    bodies = enriched(raws)
    steps["encode_raw"] = lambda: encode(batches)
    steps["decode_raw"] = lambda: [_engine.decode_raw(raw) for raw in raws]
    steps["process"] = lambda: enriched(raws)
    steps["event_columns"] = lambda: columns(bodies)
    events = sum(map(len, batches))
    sizes = [sum(map(len, made)) // events for made in (raws, bodies)]
    print(f"{events} events of {sizes[0]} bytes as raw, {sizes[1]} as enriched")
    print(f"{'':14} {'clock':>6} {'processor':>10}  M events/s")
    for name, work in steps.items():
        clock, processor = fastest(options.rounds, work)
        print(f"{name:14} {events / clock / 1e6:6.2f} {events / processor / 1e6:10.2f}")


if __name__ == "__main__":
    main()
