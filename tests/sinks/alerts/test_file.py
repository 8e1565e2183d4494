"""Alerts to a file: appended whole, found again after a rotation, and a full disk is no end."""

import json
import os
import stat
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from tiercel.errors import ConfigError
from tiercel.sinks.alerts.base import Alert, AwayError
from tiercel.sinks.alerts.file import FileSink
from tiercel.sinks.alerts.lane import Lane
from tiercel.testing import builders
from tiercel.testing.services import eventually


def alert(name: str, **fields: object) -> Alert:
    return Alert.of(builders.alert(name, **fields))


def ids(path: Path) -> list[str]:
    return [json.loads(line)["id"] for line in path.read_text().splitlines()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "alerts.log"


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 KiB."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to mount a small disk")
    folder = tmp_path / "small"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"no disk can be mounted here: {done.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_it_is_made_for_its_owner_alone_and_appended_to(path: Path) -> None:
    for name in ("a", "b"):
        with closing(FileSink(path)) as sink:
            sink.send(alert(name))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert ids(path) == ["a", "b"]


def test_text_is_falcos_line(path: Path) -> None:
    with closing(FileSink(path, "text")) as sink:
        sink.send(alert("a"))
    assert path.read_text().endswith(":05.000000000: Warning something happened\n")


def test_a_file_that_was_renamed_or_removed_is_made_anew(path: Path) -> None:
    with closing(FileSink(path)) as sink:
        sink.send(alert("a"))
        path.rename(path.with_suffix(".1"))
        sink.send(alert("b"))
        path.unlink()
        sink.send(alert("c"))
        assert ids(path.with_suffix(".1")) == ["a"]
        assert ids(path) == ["c"]


def test_a_signal_lets_go_of_the_old_file_though_no_alert_comes(path: Path) -> None:
    lane = Lane(FileSink(path))
    lane.offer(alert("a"))
    assert eventually(lambda: lane.tally.delivered == 1)
    path.rename(path.with_suffix(".1"))
    lane.reopen()
    assert eventually(path.exists)
    held = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # that of the folder itself
            held.append(str(descriptor.readlink()))
    assert str(path) in held
    assert str(path.with_suffix(".1")) not in held
    lane.close(time.monotonic() + 5)


def test_a_missing_folder_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "later" / "alerts.log"
    lane = Lane(FileSink(path), backoff=(0.02, 0.05))
    lane.offer(alert("a"))
    assert eventually(lambda: lane.tally.retries > 2)
    path.parent.mkdir()
    assert eventually(lambda: lane.tally.delivered == 1)
    lane.close(time.monotonic() + 5)
    assert ids(path) == ["a"]


def test_a_full_disk_is_counted_leaves_no_half_line_and_loses_nothing_that_waits(small: Path) -> None:
    path = small / "alerts.log"
    lane = Lane(FileSink(path), backoff=(0.02, 0.05), max_alerts=50)
    offered = 0
    while lane.tally.retries == 0:
        offered += 1
        assert lane.offer(alert(f"{offered}", message="x" * 1500))
        eventually(lambda sent=offered: lane.tally.delivered == sent or lane.tally.retries > 0)
    text = path.read_text()
    assert text.endswith("\n")
    assert len(ids(path)) == lane.tally.delivered == offered - 1
    for _ in range(60):
        offered += 1
        lane.offer(alert(f"{offered}"))
    assert lane.tally.dropped["full"] == 10
    os.truncate(path, 0)  # somebody makes room
    assert eventually(lambda: lane.tally.delivered == offered - 10)
    lane.close(time.monotonic() + 5)
    assert lane.tally.dropped == {"full": 10}
    assert len(ids(path)) == 51


def test_a_device_that_is_always_full_is_told_in_words() -> None:
    with closing(FileSink(Path("/dev/full"))) as sink, pytest.raises(AwayError, match="/dev/full: No space left"):
        sink.send(alert("a"))


def test_what_is_no_file_is_refused_at_once_and_never_hangs(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path, tmp_path / "fifo"):
        with pytest.raises(ConfigError, match="is no file"):
            FileSink(path)
    sink = FileSink(tmp_path / "alerts.log")
    os.mkfifo(tmp_path / "alerts.log")
    with pytest.raises(AwayError):
        sink.send(alert("a"))


def test_doctor_is_told_and_makes_nothing(path: Path) -> None:
    assert FileSink(path).check() == f"{path} can be written"
    assert not path.exists()
    with pytest.raises(AwayError, match="is missing"):
        FileSink(path / "none" / "x").check()
