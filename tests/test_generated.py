"""Generated files are current, and the engine knows the same tables as Python."""

import subprocess
import sys
from pathlib import Path

import pytest

from tiercel import _engine
from tiercel.schemas import tables

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("generator", ["schemas/generate.py", "scripts/reference.py", "scripts/rule_pages.py"])
def test_generated_files_are_current(generator: str) -> None:
    done = subprocess.run([sys.executable, ROOT / generator, "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_engine_has_the_same_events() -> None:
    expected = [(event.code, event.name, [param.name for param in event.params]) for event in tables.events()]
    assert _engine.event_table() == expected


def test_the_engine_has_the_same_fields() -> None:
    assert _engine.field_table() == list(tables.fields())
