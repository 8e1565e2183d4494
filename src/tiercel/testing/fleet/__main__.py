"""`make fleet`: simulated hosts against real Kafka, workers and sinks; ends with the books.

`python -m tiercel.testing.fleet --hosts 200 --rate 20000 --seconds 60`. Exit status 1 if one event is missing or twice.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tiercel.errors import TiercelError
from tiercel.testing.fleet import plan, recording
from tiercel.testing.fleet.fleet import Fleet
from tiercel.testing.fleet.processes import resident

_EVERY_S = 3.0


def show(fleet: Fleet, before: tuple[int, int], seconds: float) -> tuple[int, int]:
    """One line; returns the counts for the next one."""
    produced, stored = fleet.produced(), fleet.events_stored()
    lags = fleet.lags()
    members = fleet.processes.members.values()
    memory = " ".join(f"{m.name} {resident(m.process.pid):.0f}" for m in members if not m.ended)
    print(
        f"events/s: {(produced - before[0]) / seconds:,.0f} produced, {(stored - before[1]) / seconds:,.0f} stored · "
        f"behind: worker {lags['worker']:,}, sink {lags['sink']:,} messages · alerts {fleet.alerts_stored():,} · "
        f"MiB: {memory}",
        flush=True,
    )
    return produced, stored


def run(options: argparse.Namespace, folder: Path) -> int:
    """Begin, watch, judge."""
    hosts = plan.make(
        options.recording or recording.available(),
        hosts=options.hosts,
        events=int(options.rate * options.seconds),
        rate=options.rate,
        begin=time.time_ns(),
        seed=options.seed,
        # A host that is slow sends small batches, as a collector does; a few a second.
        batch=max(50, min(1000, int(options.rate / options.hosts / 4))),
    )
    print(f"starting Kafka, {options.workers} workers, {options.sinks} sinks and {options.hosts} hosts …", flush=True)
    with Fleet(folder, hosts, workers=options.workers, sinks=options.sinks, generators=options.generators) as fleet:
        fleet.begin()
        begun = before = time.monotonic()
        counts = (0, 0)
        while not fleet.all_produced() or fleet.accounted() < fleet.produced():
            time.sleep(_EVERY_S)
            now = time.monotonic()
            counts, before = show(fleet, counts, now - before), now
            if now - begun > options.seconds * 4 + 120:
                print(f"what was produced does not arrive; {fleet.tell()}", file=sys.stderr)
                break
        verdict, audit = fleet.judge(), fleet.audit()
    print(f"produced {verdict.produced:,} = stored {verdict.stored:,} + lost {verdict.lost:,}")
    print(audit.stderr.strip() or audit.stdout.strip().splitlines()[-1])
    for fault in verdict.faults:
        print(f"fault: {fault}", file=sys.stderr)
    return int(bool(verdict.faults or audit.returncode))


def main() -> int:
    parser = argparse.ArgumentParser(prog="make fleet", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--hosts", type=int, default=200)
    parser.add_argument("--rate", type=float, default=20_000, help="events a second of all hosts together")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--sinks", type=int, default=1)
    parser.add_argument("--generators", type=int, default=1, help="processes that the hosts live in")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--recording", type=Path, action="append", help="default: the bundled one, and ../shared/captures"
    )
    options = parser.parse_args()
    for name in ("hosts", "rate", "seconds", "workers", "sinks", "generators"):
        if getattr(options, name) <= 0:
            parser.error(f"--{name} must be more than 0")
    try:
        with tempfile.TemporaryDirectory(prefix="tiercel-fleet-") as folder:
            return run(options, Path(folder))
    except TiercelError as error:
        print(f"make fleet: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
