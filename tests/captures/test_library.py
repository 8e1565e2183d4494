"""The shipped rules over recordings of ordinary work and of attacks, where they are present."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest

from tiercel._engine import Host, RuleSet
from tiercel.commands.rules import loaded
from tiercel.recording import Capture
from tiercel.schemas import avro

SHARED = next((up / "shared" for up in Path(__file__).parents if (up / "shared/captures").is_dir()), None)
pytestmark = pytest.mark.skipif(SHARED is None, reason="the recordings (../shared/captures) are not here")
ON_PURPOSE = {
    "Command line of a reverse shell": 1,
    "Execution from shared memory": 1,
    "Link made to a file with secrets": 1,
    "Search for keys or passwords": 1,
    "Sensitive file read by an untrusted program": 2,
    "Shell that reads from a connection": 1,
    "Standard input made a connection": 1,
}
"""What the workload does besides its work: it reads /etc/shadow and links to it, searches for id_rsa, runs a program
from /dev/shm and hands a shell over a socket."""
Matching = Literal["first", "all"]
MODES = pytest.mark.parametrize("matching", ["first", "all"])


def counts(name: str, matching: Matching) -> Counter[str]:
    """How often each rule fired."""
    assert SHARED
    host, rules, capture = Host(), RuleSet(loaded([]).plan(matching=matching)), Capture(SHARED / "captures" / name)
    header = {"host_id": "h", "host": "h", "boot_id": "b", "run": 1, "first_seq": 1}
    header |= {"produced": 0, "delivered": 0, "lost": []}
    bodies = (body for batch in capture for body in host.replay(batch, rules, header=header))
    return Counter(avro.decode("alert", avro.frame("alert", body))["rule"] for body in bodies)


@MODES
def test_ordinary_work_is_quiet(matching: Matching) -> None:
    assert counts("benign_b.scap.gz", matching) == {}


@MODES
def test_of_a_workload_only_what_it_does_on_purpose(matching: Matching) -> None:
    assert counts("workload.scap.gz", matching) == ON_PURPOSE


@MODES
def test_attacks(matching: Matching, golden: Callable[[str, str], None]) -> None:
    found = counts("attack_b.scap.gz", matching)
    golden(f"attack.{matching}.txt", "".join(f"{count:4} {rule}\n" for rule, count in sorted(found.items())))
