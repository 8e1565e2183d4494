"""`tiercel replay`: options that choose rules and add to alerts, over the bundled capture."""

import json
import sys
from pathlib import Path

import pytest

from tiercel.local import bundled_capture

sys.path.insert(0, str(Path(__file__).parent))
from run import one_line, tiercel

RULES = """
- rule: Reads shadow
  desc: d
  condition: evt.type in (open, openat, openat2) and fd.name = /etc/shadow
  output: shadow
  priority: WARNING
  tags: [files]
- rule: Runs cat
  desc: d
  condition: evt.type = execve and proc.name = cat
  output: cat
  priority: INFO
  tags: [process]
- rule: Off
  desc: d
  condition: evt.type = execve and proc.name = cat
  output: off
  priority: ERROR
  tags: [process]
  enabled: false
"""


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    file = tmp_path / "rules.yaml"
    file.write_text(RULES)
    return file


def names(rules: Path, *options: str, **environment: str) -> set[str]:
    capture = bundled_capture()
    assert capture
    done = tiercel("replay", capture, "-r", rules, "--json", *options, home=rules.parent, **environment)
    assert done.returncode == 0, done.stderr
    return {json.loads(line)["rule"] for line in done.stdout.splitlines()}


def test_options_choose_rules(rules: Path) -> None:
    both = {"Reads shadow", "Runs cat"}
    assert names(rules) == both
    assert names(rules, "--min-priority", "Warning") == {"Reads shadow"}
    assert names(rules, "--disable-tag", "files") == {"Runs cat"}
    assert names(rules, "--disable-rule", "Reads*") == {"Runs cat"}
    assert names(rules, "--enable-only-tag", "process", "--all") == {"Runs cat", "Off"}
    assert names(rules, TIERCEL_WORKER_SELECT='{disable: {rule: "*cat"}}') == {"Reads shadow"}
    assert names(rules, TIERCEL_WORKER_PRIORITY="warning") == {"Reads shadow"}


def test_outputs_are_added_to(rules: Path) -> None:
    capture = bundled_capture()
    assert capture
    more = "{match: {tags: [files]}, extra_fields: [evt.cpu]}"
    added = ["--append-output", "by %proc.name", "--append-output", more]
    done = tiercel("replay", capture, "-r", rules, "--json", *added, home=rules.parent)
    found = {alert["rule"]: alert for alert in map(json.loads, done.stdout.splitlines())}
    assert found["Reads shadow"]["output"].endswith(": Warning shadow by cat")
    assert set(found["Reads shadow"]["output_fields"]) == {"evt.time", "proc.name", "evt.cpu"}
    assert set(found["Runs cat"]["output_fields"]) == {"evt.time", "proc.name"}


@pytest.mark.parametrize(
    ("options", "status"), [(("--min-priority", "loud"), 2), (("--append-output", "%nosuch"), 1),
                            (("--append-output", "{extra: x}"), 1)]
)  # fmt: skip
def test_wrong_options_are_one_line(rules: Path, options: tuple[str, ...], status: int) -> None:
    capture = bundled_capture()
    assert capture
    done = tiercel("replay", capture, "-r", rules, *options, home=rules.parent)
    assert (done.returncode, done.stdout) == (status, "")
    assert one_line(done.stderr)
