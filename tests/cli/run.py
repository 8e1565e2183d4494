"""Runs the command as a user does: a process of its own, with a home of its own."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path


def tiercel(
    *arguments: str | Path, home: Path, prefix: Sequence[str] = (), **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run `tiercel`; its configuration, state and socket stay below `home`. `prefix` is a command that starts it."""
    own = {
        "TIERCEL_API_SOCKET": str(home / "api.sock"),
        "TIERCEL_STORE_DSN": f"chdb://{home / 'store'}",
        "XDG_CONFIG_HOME": str(home),
        "COLUMNS": "200",
    }
    clean = {key: value for key, value in os.environ.items() if not key.startswith("TIERCEL_")}
    return subprocess.run(
        [*prefix, Path(sys.executable).parent / "tiercel", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=clean | own | environment,
    )


def one_line(text: str) -> bool:
    """A message for people: one line, no traceback."""
    return text.count("\n") == 1 and "Traceback" not in text
