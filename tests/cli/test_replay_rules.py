"""`tiercel replay`: options that choose rules and add to alerts, over the bundled capture."""

import json
import sys
from pathlib import Path
from typing import Any

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


def test_throttled_alerts_and_their_counts_are_the_matches_here_and_in_history(tmp_path: Path) -> None:
    file, dsn = tmp_path / "rules.yaml", f"chdb://{tmp_path / 'store'}"
    file.write_text(
        "- rule: Opens\n  desc: d\n  condition: evt.type in (open, openat)\n  output: o %proc.name\n"
        "  priority: INFO\n  throttle: {per: [proc.name], burst: 2, every: 1s}\n"
    )

    def run(*arguments: str | Path) -> tuple[list[dict[str, Any]], str]:
        done = tiercel(*arguments, "--json", home=tmp_path)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()], done.stderr

    every, summary = run("replay", bundled_capture(), "-r", file)
    few, throttled = run("replay", bundled_capture(), "-r", file, "--throttle", "--store", dsn)
    told = [(alert.get("suppressed", 0), alert.get("summary", False)) for alert in few]
    assert sum(count + (not summed) for count, summed in told) == len(every) > len(few)
    assert throttled.endswith(summary), "what is counted are matches"
    stored, _ = run("alerts", "--since", "5000w", "--limit", "1000000", "--dsn", dsn)

    def by_id(alerts: list[dict[str, Any]]) -> dict[str, tuple[object, ...]]:
        return {
            alert["id"]: (alert["output"], alert["rules_version"], alert.get("suppressed"), alert.get("summary"))
            for alert in alerts
        }

    assert {len(alert["rules_version"]) for alert in few} == {64}
    assert by_id(stored) == by_id(few)
    lines = tiercel("alerts", "--since", "5000w", "--limit", "1000000", "--dsn", dsn, home=tmp_path).stdout
    assert lines.count(" more alerts of this rule suppressed in 1 s: ") == sum(summed for _, summed in told) > 0
