"""`tiercel up` of a user who may not watch the kernel: it says why and plays the bundled recording."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.run import one_line, tiercel
from tiercel.local import bundled_capture
from tiercel.recording import Capture
from tiercel.testing.alert_server import AlertServer
from tiercel.testing.services import eventually

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


def test_alerts_go_to_the_configured_sinks_and_one_that_hangs_holds_up_nothing(tmp_path: Path) -> None:
    path = tmp_path / "alerts.log"
    with AlertServer(tmp_path / "taken", ["hang"] * 9) as server:
        sinks = {"FILE_ENABLED": "true", "FILE_PATH": str(path), "FILE_PRIORITY": "error", "STDOUT_PRIORITY": "error"}
        sinks |= {"WEBHOOK_ENABLED": "true", "WEBHOOK_URL": server.url}
        settings = {f"TIERCEL_{key}": value for key, value in sinks.items()}
        done = tiercel("up", "--json", "--capture", bundled_capture(), home=tmp_path, **settings)
    assert done.returncode == 0, done.stderr
    told = [json.loads(line) for line in path.read_text().splitlines()]
    assert told == [json.loads(line) for line in done.stdout.splitlines()]
    assert {alert["priority"] for alert in told} <= {"Error", "Critical", "Alert", "Emergency"} and told
    alerts = re.search(r"; (\d+) alerts", done.stderr)
    assert alerts is not None
    assert f"alerts to file: {len(told)} delivered\n" in done.stderr
    assert f"alerts to webhook: 0 delivered, {alerts[1]} dropped (stopped {alerts[1]})" in done.stderr


@pytest.mark.bpf
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_up_opens_its_file_anew_on_a_signal_and_ends_though_a_sink_is_away(tmp_path: Path) -> None:
    path, old = tmp_path / "alerts.log", tmp_path / "alerts.log.1"
    own = {
        "TIERCEL_STORE_DSN": f"chdb://{tmp_path}/store",
        "TIERCEL_API_SOCKET": str(tmp_path / "api.sock"),
        "XDG_CONFIG_HOME": str(tmp_path),
        "TIERCEL_FILE_ENABLED": "true",
        "TIERCEL_FILE_PATH": str(path),
        "TIERCEL_FILE_FORMAT": "text",
        "TIERCEL_SYSLOG_ENABLED": "true",
        "TIERCEL_SYSLOG_ADDRESS": str(tmp_path / "nobody"),
    }

    def told(where: Path, word: str) -> bool:
        """Whether an alert about this file is there; a read makes one, which may have come too early."""
        subprocess.run(["cat", "/etc/shadow", f"/{word}"], capture_output=True, check=False)
        return where.exists() and word in where.read_text()

    command = [sys.executable, "-m", "tiercel", "up"]
    with subprocess.Popen(command, env=os.environ | own, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        try:
            assert eventually(lambda: told(path, "before"), 60)
            for how in (signal.SIGUSR1, signal.SIGHUP):
                path.rename(old)
                running.send_signal(how)
                assert eventually(path.exists)
                held = old.read_text()
                assert eventually(lambda word=how.name: told(path, word))
                assert old.read_text() == held
                assert held.endswith("\n")
            running.send_signal(signal.SIGINT)
            begun = time.monotonic()
            _, errors = running.communicate(timeout=60)
            assert time.monotonic() - begun < 15
        finally:
            running.kill()
    assert running.returncode == 0, errors
    assert b"alerts to syslog: 0 delivered, " in errors
