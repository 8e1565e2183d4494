"""What the shell sees: help, exit status, one clear line for each fault."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from run import one_line, tiercel


@pytest.mark.parametrize(
    "flag", [("--bogus",), ("fields", "--bogus"), ("bogus",), ("hunt",), ("hunt", "x", "--since", "y")]
)
def test_wrong_usage_is_2_and_one_line(tmp_path: Path, flag: tuple[str, ...]) -> None:
    done = tiercel(*flag, home=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert one_line(done.stderr)
    assert "--help" in done.stderr


def test_a_wrong_setting_is_1_and_one_line(tmp_path: Path) -> None:
    done = tiercel("audit", home=tmp_path, TIERCEL_LOG_LEVEL="loud")
    assert (done.returncode, done.stdout) == (1, "")
    assert one_line(done.stderr)
    assert "TIERCEL_LOG_LEVEL" in done.stderr


def test_no_store_yet(tmp_path: Path) -> None:
    done = tiercel("hunt", "proc.name = cat", home=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert one_line(done.stderr)
    assert "tiercel up" in done.stderr


@pytest.mark.parametrize("dsn", ["chdb:///proc/none", "chdb:relative", "postgres://x/y", "clickhouse://localhost:1/x"])
def test_a_store_that_cannot_be_opened(tmp_path: Path, dsn: str) -> None:
    done = tiercel("audit", "--dsn", dsn, home=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert one_line(done.stderr)


def test_a_closed_pipe_is_no_fault(tmp_path: Path) -> None:
    program = Path(sys.executable).parent / "tiercel"
    done = subprocess.run(
        ["/bin/sh", "-c", f"{program} fields --json | head -1; exit"], capture_output=True, text=True, check=False
    )
    assert (done.stdout.count("\n"), done.stderr) == (1, "")


def test_every_command_has_help(tmp_path: Path) -> None:
    done = tiercel("--help", home=tmp_path)
    assert done.returncode == 0
    for command in ("hunt", "alerts", "audit", "fields", "events", "doctor"):
        assert command in done.stdout
        assert tiercel(command, "--help", home=tmp_path).returncode == 0


def test_tables_as_json(tmp_path: Path) -> None:
    done = tiercel("events", "openat2", "--json", home=tmp_path)
    assert '"name": "resolve"' in done.stdout


def test_doctor_says_which_sink_of_alerts_cannot_be_reached(tmp_path: Path) -> None:
    sinks = {"FILE_ENABLED": "1", "FILE_PATH": str(tmp_path / "a.log"), "SYSLOG_ENABLED": "1", "WEBHOOK_ENABLED": "1"}
    sinks |= {"SYSLOG_ADDRESS": str(tmp_path / "none"), "WEBHOOK_URL": "http://localhost:1/hunter2"}
    done = tiercel("doctor", "--json", home=tmp_path, **{f"TIERCEL_{key}": value for key, value in sinks.items()})
    found = {one["name"]: one for one in map(json.loads, done.stdout.splitlines())}
    assert [found[name]["ok"] for name in ("file", "syslog", "webhook")] == [True, False, False]
    assert "http://localhost:1" in found["webhook"]["text"]
    assert "hunter2" not in done.stdout
    assert done.returncode == 1
