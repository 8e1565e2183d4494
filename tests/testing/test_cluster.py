import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tiercel.local import bundled_capture
from tiercel.testing.kafka_server import free_port


@pytest.mark.services
def test_ctrl_c_ends_a_cluster_whose_books_balance(tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = ["-m", "tiercel.testing.cluster", "--directory", str(tmp_path), "--port", str(free_port())]
    with out.open("wb") as file:
        # A terminal sends SIGINT to the whole group.
        cluster = subprocess.Popen(
            [sys.executable, *command, "--capture", str(bundled_capture())],
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    deadline = time.monotonic() + 90
    while "Ctrl-C ends all of it" not in out.read_text() and time.monotonic() < deadline:
        assert cluster.poll() is None, out.read_text()
        time.sleep(0.2)
    time.sleep(3)
    os.killpg(cluster.pid, signal.SIGINT)
    assert cluster.wait(60) == 0, out.read_text()
    audit = subprocess.run(
        [sys.executable, "-m", "tiercel", "audit", "--dsn", f"chdb://{tmp_path}/store"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert audit.returncode == 0, audit.stdout + audit.stderr
    assert " balanced" in audit.stdout
    assert "produced 0" not in audit.stdout
