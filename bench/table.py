"""All benches, one after the other, as one table: `make bench`. An idle machine gives honest figures; takes some minutes.

What cannot run here (no root or BTF, no sysdig, no old capture) is named with its reason.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tiercel.local import bundled_capture

HERE = Path(__file__).parent
SHARED = HERE.parent.parent / "shared" / "captures"
GOALS = {
    "decode + state, M events/s/core": "≥ 5",
    "10000 threads: MB saved": "< 5",
    "10000 threads: ms to save": "< 100",
    "10000 threads: ms to load": "< 100",
    "decode + state + 5 rules, M events/s/core": "≥ 2",
    "Falco's three files: % more than none": "≤ 30",
    "Falco's three files: M events/s/core": "≥ sysdig's",
    "Falco's three files: ms to load": "< 150",
    "tiercel ns/event": "the peer's or less",
    "high: CPU s per million rows": "≤ 2.0",
    "events/s, collectors to rows": "≥ 250000",
    "collector CPU s/M events": "≤ 0.7",
    "worker CPU s/M events": "≤ 1.0",
    "sink CPU s/M events": "≤ 2.0",
    "wire bytes/event raw (zstd)": "≤ 15",
    "worst recovery after kill -9, s": "< 10",
    "p50 ms": "< 200",
    "p99 ms": "< 300",
}


def available(name: str, fallback: Path | None) -> Path | None:
    """A recording beside the project, else what there is."""
    return SHARED / name if (SHARED / name).exists() else fallback


def result(bench: str, *arguments: str) -> dict[str, Any]:
    """What a bench reports; its failure is a row of the table, not the end of it."""
    command = [sys.executable, str(HERE / f"{bench}.py"), *arguments, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no output"]
        return {"failed": lines[-1]}
    return dict(json.loads(done.stdout))


def main() -> int:
    """Run all and print; status 1 if a bench failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--capture", type=Path, default=available("workload.scap.gz", bundled_capture()))
    parser.add_argument(
        "--old-capture", type=Path, default=available("curl_google.scap", None), help="one that sysdig 0.29 can read"
    )
    parser.add_argument("--events", type=int, default=3_000_000)
    options = parser.parse_args()
    console = Console(stderr=True)
    live = os.geteuid() == 0 and Path("/sys/kernel/btf/vmlinux").exists()
    benches: list[tuple[str, list[str], str]] = [
        ("state", [str(options.capture), "--events", str(options.events)], ""),
        ("rule_sets", [str(options.capture), "--events", str(options.events)], ""),
        ("reload", [str(options.capture)], ""),
        ("saved", [], ""),
        (
            "peer_sysdig",
            [str(options.old_capture)],
            "no capture of the old format here: name one with --old-capture"
            if options.old_capture is None
            else "sysdig is not installed"
            if shutil.which("sysdig") is None
            else "",
        ),
        ("codec", [str(options.capture)], ""),
        ("pipeline", [str(options.capture), "--events", str(options.events)], ""),
        ("sink", [str(options.capture), "--events", "1000000"], ""),
        ("fleet", [], ""),
        ("latency", [], "" if live else "needs root and BTF"),
        ("probe", [], "" if live else "needs root and BTF"),
    ]
    table = Table("bench", "measured", "value", "goal")
    failed = False
    for bench, arguments, hindrance in benches:
        console.print(f"[dim]{bench} …[/dim]")
        found = {"not run": hindrance} if hindrance else result(bench, *arguments)
        failed |= "failed" in found
        for number, (name, value) in enumerate(found.items()):
            shown = ", ".join(f"{k} {v:+}" for k, v in value.items()) if isinstance(value, dict) else str(value)
            table.add_row(bench if not number else "", name, shown, GOALS.get(name, ""))
        table.add_section()
    Console(width=None if sys.stdout.isatty() else 160).print(table)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
