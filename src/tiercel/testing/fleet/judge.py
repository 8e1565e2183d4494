"""Holds the store against what was really produced: each event once, or counted as lost. Asks no audit of ours."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from clickhouse_connect.driver.client import Client

from tiercel.testing.fleet.plan import Plan
from tiercel.testing.fleet.recording import recording
from tiercel.testing.fleet.truth import Run

_MOST_TOLD = 20

Place = tuple[str, str, int]
"""Host, boot and run."""


@dataclass
class Verdict:
    """What was found; `faults` are sentences, and none is what is hoped for."""

    produced: int = 0
    stored: int = 0
    lost: int = 0
    faults: list[str] = field(default_factory=list)

    def fault(self, text: str) -> None:
        if len(self.faults) < _MOST_TOLD:
            self.faults.append(text)


def judge(plan: Plan, runs: Iterable[Run], store: Client) -> Verdict:
    """Every event of every run, by number."""
    lives = {(life.host_id, life.boot_id): life for life in plan.lives}
    verdict = Verdict()
    lost, shed = _losses(store)
    seen: set[tuple[str, str, int]] = set()
    for run in runs:
        life = lives[run.host_id, run.boot_id]
        kept = recording(life.recording)
        name = f"host {run.host_id} boot {run.boot_id} run {run.first}"
        place = {"host": run.host_id, "boot": run.boot_id, "run": run.first}
        numbers = store.query(
            "SELECT seq FROM events WHERE host_id = %(host)s AND boot_id = %(boot)s AND run = %(run)s ORDER BY seq",
            parameters=place,
        ).result_columns
        stored = [int(number) for number in numbers[0]] if numbers else []
        produced = kept.kernel(run.start, run.stop)
        missing = lost.get((run.host_id, run.boot_id, run.first), 0)
        verdict.produced += produced
        verdict.stored += len(stored)
        verdict.lost += missing
        seen.add((run.host_id, run.boot_id, run.first))
        all_numbered = (run.host_id, run.boot_id, run.first) not in shed
        for number, times in Counter(stored).items():
            if times > 1:
                verdict.fault(f"{name}: event {number} is stored {times} times")
            place_of = run.start + number - run.first
            # After events that got no number, those of the others tell their order alone.
            is_kernels = not all_numbered or kept.kernel(place_of, place_of + 1)
            if not run.start <= place_of < run.stop or not is_kernels:
                verdict.fault(f"{name}: event {number} is stored and was never produced")
        if produced != len(stored) + missing:
            verdict.fault(f"{name}: produced {produced}, stored {len(stored)}, told lost {missing}")
    for host, boot, run_number in store.query("SELECT DISTINCT host_id, boot_id, run FROM events").result_rows:
        if (host, boot, run_number) not in seen:
            verdict.fault(f"host {host} boot {boot} run {run_number} is stored and never was")
    return verdict


# What a collector had no room for.
_NOT_NUMBERED = {("spool", "full"), ("spool", "disk")}


def _losses(store: Client) -> tuple[dict[Place, int], set[Place]]:
    """What each run is told to have lost, and the runs of which something got no number."""
    lost, shed = Counter[Place](), set[Place]()
    for host, boot, run, stage, reason, count in store.query(
        "SELECT host_id, boot_id, run, stage, reason, sum(count) FROM ledger WHERE kind = 'lost' GROUP BY ALL"
    ).result_rows:
        lost[host, boot, int(run)] += int(count)
        if (stage, reason) in _NOT_NUMBERED:
            shed.add((host, boot, int(run)))
    return lost, shed
