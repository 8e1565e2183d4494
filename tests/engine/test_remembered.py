"""What is kept with processes, descriptors and containers goes when it changes: alerts are the same without."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tiercel._engine import Host, RuleSet
from tiercel.local import bundled_capture
from tiercel.recording import Capture
from tiercel.rules.load import library, load

SHARED = Path(__file__).parents[3] / "shared"
PUBLIC = sorted((SHARED / "falco-rules").glob("*.yaml"))
HEADER = {"host_id": "h", "host": "h", "boot_id": "b", "run": 1, "first_seq": 1, "produced": 0, "delivered": 0} | {
    "lost": []
}


def alerts(capture: Path, plan: str, *, remember: bool) -> list[bytes]:
    host, rules = Host(), RuleSet(plan, remember=remember)
    return [alert for batch in Capture(capture) for alert in host.replay(batch, rules, header=HEADER)]


def same(capture: Path, files: Sequence[Any]) -> int:
    plan = load(files).check().plan(matching="all")
    remembered = alerts(capture, plan, remember=True)
    assert remembered == alerts(capture, plan, remember=False)
    return len(remembered)


def test_the_bundled_capture() -> None:
    assert same(bundled_capture(), library()) > 0


@pytest.mark.skipif(not PUBLIC, reason="needs the rule files and captures beside the project")
@pytest.mark.parametrize("name", ["attack_b", "benign_b", "workload"])
def test_the_public_rules(name: str) -> None:
    captures = SHARED / "captures"
    assert same(captures / f"{name}.scap.gz", [*PUBLIC, captures / "field_rules.yaml"]) > 0
