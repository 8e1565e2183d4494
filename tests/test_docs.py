"""What a user can say is documented: every command, configuration key, field and event."""

import re
from pathlib import Path
from typing import Any

import pytest
import typer.main

from tiercel import cli, config
from tiercel.operations.table import METRICS
from tiercel.schemas import tables

ROOT = Path(__file__).parent.parent
DOCS = "\n".join(
    path.read_text(encoding="utf-8") for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
)


def _commands(group: Any, prefix: str = "tiercel") -> list[tuple[str, Any]]:
    found = []
    for name, command in group.commands.items():
        found += (
            _commands(command, f"{prefix} {name}") if hasattr(command, "commands") else [(f"{prefix} {name}", command)]
        )
    return found


COMMANDS = _commands(typer.main.get_command(cli.app))


@pytest.mark.parametrize(("name", "command"), COMMANDS, ids=[name for name, _ in COMMANDS])
def test_every_command_is_documented(name: str, command: Any) -> None:
    assert f"`{name}" in DOCS or f"{name} " in DOCS
    assert command.help
    for parameter in command.params:
        assert parameter.help, f"{name}: {parameter.name}"


@pytest.mark.parametrize("key", [f"{group}.{key}" for group, keys in config.keys().items() for key in keys])
def test_every_configuration_key_is_documented(key: str) -> None:
    assert f"`{key}`" in DOCS


def test_every_field_and_event_is_documented() -> None:
    for field in tables.fields():
        assert field in DOCS
    for event in tables.events():
        assert f" {event.name} " in DOCS or f"`{event.name}`" in DOCS


def test_every_metric_is_documented_and_named_alike() -> None:
    for metric in METRICS.values():
        assert f"`{metric.name}`" in DOCS
        assert re.fullmatch(r"tiercel_(process|collector|worker|sink|forward)_[a-z_]+", metric.name)
        assert metric.name.endswith("_total") == (metric.kind == "counter"), metric.name
        assert metric.help.endswith(".")
