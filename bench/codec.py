"""How fast the engine reads captures and turns batches into Avro and Arrow: million events a second of each step, by the
clock and by processor time (steadier on a busy machine), best of some rounds.
"""

import time
from collections.abc import Callable

import recording

from tiercel import _engine

TOGETHER = 64


def enriched(raws: list[bytes]) -> list[bytes]:
    """What a worker without rules makes of them."""
    host = _engine.Host()
    return [host.process(raw, None, partition=0, offset=offset).enriched for offset, raw in enumerate(raws)]


def columns(bodies: list[bytes]) -> None:
    """What a sink makes of them."""
    for start in range(0, len(bodies), TOGETHER):
        _engine.event_columns(bodies[start : start + TOGETHER], "bench")


def fastest(rounds: int, work: Callable[[], object]) -> tuple[float, float]:
    """Seconds by the clock, and of processor time."""
    took = []
    for _ in range(rounds):
        clock, processor = time.perf_counter(), time.process_time()
        work()
        took.append((time.perf_counter() - clock, time.process_time() - processor))
    return min(clock for clock, _ in took), min(processor for _, processor in took)


def main() -> None:
    """Measure and print."""
    parser = recording.arguments(__doc__, events=200_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    capture = recording.plain(options.capture)
    original = recording.read(capture)
    batches = [batch for found in recording.amplified(original, options.events) for batch in found]
    raws = recording.raw(batches)
    bodies = enriched(raws)
    events = sum(map(len, batches))
    repeats = -(-options.events // sum(map(len, original)))
    steps: dict[str, Callable[[], object]] = {
        "read .scap": lambda: [recording.read(capture) for _ in range(repeats)],
        "encode raw": lambda: recording.raw(batches),
        "decode raw": lambda: [_engine.decode_raw(raw) for raw in raws],
        "process": lambda: enriched(raws),
        "Arrow columns": lambda: columns(bodies),
    }
    report: dict[str, object] = {
        "events": events,
        "bytes/event raw": round(sum(map(len, raws)) / events),
        "bytes/event enriched": round(sum(map(len, bodies)) / events),
    }
    for name, work in steps.items():
        clock, processor = fastest(options.rounds, work)
        report[f"{name}, M events/s (clock, processor)"] = (
            round(events / clock / 1e6, 2),
            round(events / processor / 1e6, 2),
        )
    recording.show(report, as_json=options.json)


if __name__ == "__main__":
    main()
