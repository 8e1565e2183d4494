"""Recovery of a worker that holds many hosts: from kill -9 until all that was produced until then is stored.

A simulated fleet (tiercel.testing.fleet) on real Kafka; its only worker is killed a few times, and started anew at once.
"""

import argparse
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import recording

from tiercel.local import bundled_capture
from tiercel.testing.fleet import plan
from tiercel.testing.fleet.fleet import Fleet


def measure(folder: Path, hosts: int, rate: float, kills: int) -> dict[str, object]:
    """Seconds of each recovery, and whether the books balance after all of them."""
    told = plan.make(
        [bundled_capture()],
        hosts=hosts,
        events=int(rate * (20 + 25 * kills)),
        rate=rate,
        begin=time.time_ns(),
        batch=100,
    )
    recoveries = []
    with Fleet(folder, told, workers=1) as fleet:
        fleet.begin()
        while len({run.host_id for run in fleet.runs()}) < hosts:
            time.sleep(0.2)
        fleet.wait_for(fleet.runs(), 120)
        for _ in range(kills):
            fleet.wait_until_kept(120)
            (worker,) = fleet.processes.of("worker")
            killed = time.monotonic()
            fleet.processes.kill(worker)
            # What the dead one has not sent can only come from its successor.
            time.sleep(0.5)
            fleet.wait_for(fleet.runs(), 120)
            recoveries.append(round(time.monotonic() - killed, 1))
        fleet.wait_until_done(300)
        verdict = fleet.judge()
    return {
        "hosts of the worker": hosts,
        "events/s": rate,
        "kills": kills,
        "worst recovery after kill -9, s": max(recoveries),
        "recoveries, s": ", ".join(map(str, recoveries)),
        "produced, stored, lost": f"{verdict.produced}, {verdict.stored}, {verdict.lost}",
        "events missing or twice": len(verdict.faults),
    }


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hosts", type=int, default=100)
    parser.add_argument("--rate", type=float, default=5000, help="events a second of all hosts together")
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with TemporaryDirectory(prefix="tiercel-bench-") as folder:
        report = measure(Path(folder), options.hosts, options.rate, options.kills)
    recording.show(report, as_json=options.json)


if __name__ == "__main__":
    main()
