"""A collector that runs takes a new budget from its configuration when it is told to."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tiercel import config
from tiercel.commands import Context
from tiercel.commands.collecting import follow_budget
from tiercel.testing.services import eventually


class Probe:
    """What the kernel would be told."""

    def __init__(self) -> None:
        self.budgets: list[tuple[int, int]] = []

    def set_budget(self, events: int, bytes: int) -> None:  # noqa: A002
        self.budgets.append((events, bytes))


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for name in [name for name in os.environ if name.startswith("TIERCEL_")]:
        monkeypatch.delenv(name)
    before = signal.getsignal(signal.SIGHUP)
    yield tmp_path / "tiercel.yaml"
    signal.signal(signal.SIGHUP, before)


def test_sighup_reads_the_budget_anew_and_what_is_wrong_changes_nothing(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file.write_text("collector: {budget_events: 1000}")
    context, probe = Context(file, {}), Probe()
    follow_budget(probe, config.load(file).collector, context.reread)  # type: ignore[arg-type]
    assert probe.budgets == [(1000, 0)]
    file.write_text("collector: {budget_events: 500, budget_bytes: 70000}")
    os.kill(os.getpid(), signal.SIGHUP)
    eventually(lambda: len(probe.budgets) == 2)
    assert probe.budgets[1] == (500, 70000)
    file.write_text("collector: {budget_events: many}")
    os.kill(os.getpid(), signal.SIGHUP)
    eventually(lambda: "the budget stays what it is" in caplog.text)
    assert "budget_events" in caplog.text
    file.write_text("{}")
    os.kill(os.getpid(), signal.SIGHUP)
    eventually(lambda: len(probe.budgets) == 3)
    assert probe.budgets[2] == (0, 0)
