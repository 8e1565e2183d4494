"""The books of a fleet while it runs: what is on the way is in flight, and nothing is said to be missing."""

import time
from pathlib import Path

import pytest

from tiercel.testing.fleet import plan, recording
from tiercel.testing.fleet.fleet import Fleet

pytestmark = pytest.mark.services


def test_a_running_fleet_is_in_flight_and_never_missing(tmp_path: Path) -> None:
    rate, seconds = 2000, 12
    hosts = plan.make(
        recording.available(), hosts=6, events=rate * seconds, rate=rate, begin=time.time_ns(), seed=5, batch=100
    )
    audits = []
    with Fleet(tmp_path, hosts, workers=2, sinks=1, generators=1) as fleet:
        fleet.begin()
        begun = time.monotonic()
        while not fleet.all_produced() or fleet.accounted() < fleet.produced():
            assert time.monotonic() - begun < 120, fleet.tell()
            audits.append(fleet.audit())
            time.sleep(0.5)
        last = fleet.audit()
    for audit in audits:
        assert audit.returncode == 0, audit.stdout + audit.stderr
        assert "MISSING" not in audit.stdout
    assert len(audits) > 3
    assert last.returncode == 0, last.stdout + last.stderr
    assert f"{len(fleet.runs())} runs, 0 unbalanced; 100 % complete: stored" in last.stderr
    assert "in flight" not in last.stderr
