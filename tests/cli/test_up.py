"""`tiercel up` of a user who may not watch the kernel: it says why and plays the bundled recording."""

import json
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.run import one_line, tiercel
from tiercel.local import bundled_capture
from tiercel.recording import Capture

NOBODY = 65534
# Nobody, who may read all files: the package may lie below a folder of root's.
AS_NOBODY = (
    "setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups",
    "--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search", "--bounding-set=-all,+dac_read_search",
)  # fmt: skip


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder that belongs to nobody; tmp_path is root's alone."""
    with tempfile.TemporaryDirectory(prefix="tiercel-") as folder:
        if os.geteuid() == 0:
            os.chown(folder, NOBODY, NOBODY)
        yield Path(folder)


def number(text: str) -> int:
    return int(text.replace(",", ""))


def test_without_root_a_recording_is_played(home: Path) -> None:
    prefix = AS_NOBODY if os.geteuid() == 0 else ()
    done = tiercel("up", "--json", home=home, prefix=prefix, HOME=str(home))
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    said, *rest = done.stderr.splitlines()
    assert one_line(f"{said}\n")
    assert re.fullmatch(r"Cannot watch this host: .*run as root.*\. Playing the bundled recording instead\.", said)

    summary = next(line for line in rest if line.startswith("produced "))
    found = re.fullmatch(r"produced ([\d,]+) = stored ([\d,]+) \+ lost ([\d,]+); ([\d,]+) alerts?", summary)
    assert found
    produced, stored, lost, alerts = map(number, found.groups())
    assert produced == stored + lost
    assert produced == sum(batch.kernel_events for batch in Capture(bundled_capture())) > 0
    losses = [re.fullmatch(r"  lost ([\d,]+): \w+/\w+", line) for line in rest[rest.index(summary) + 1 :]]
    assert sum(number(loss[1]) for loss in losses if loss) == lost == 0
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(told) == alerts > 0
