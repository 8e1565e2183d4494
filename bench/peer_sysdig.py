"""`sysdig -r` and `tiercel read` with the same filter on the same capture, amplified to millions of events, on tmpfs.

Old formats only, as sysdig 0.29 cannot read newer captures. Each repeat of the event blocks gets later times and fresh
thread ids, so that repetition flatters nobody. Both are started anew each time; best of some rounds.
"""

from __future__ import annotations

import argparse
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import recording

EVENT_BLOCKS = {0x204, 0x208, 0x216, 0x217, 0x221, 0x222}
FLAGGED_BLOCKS = {0x208, 0x217, 0x222}
FILTER = (
    "((evt.type = open or evt.type = openat) and fd.name startswith /etc and not proc.name in (sshd, sudo, su)) "
    "or (evt.type = execve and proc.name in (bash, sh, dash) and proc.pname in (nginx, apache2, httpd)) "
    "or (evt.type = connect and fd.typechar = 4 and proc.name in (bash, sh, nc))"
)


def blocks(data: bytes) -> list[tuple[int, int, int]]:
    """`(type, start, end)` of every block of an uncompressed capture."""
    found, at = [], 0
    while at + 8 <= len(data):
        kind, length = struct.unpack_from("<II", data, at)
        if length < 12:
            raise SystemExit(f"not a capture: block of {length} bytes at {at}")
        found.append((kind, at, at + length))
        at += length
    return found


def amplified(data: bytes, target: int) -> tuple[bytearray, int]:
    """The capture with its event blocks repeated until there are `target` events."""
    out, events = bytearray(), []
    for kind, start, end in blocks(data):
        if kind in EVENT_BLOCKS:
            # Block header 8, cpu 2, flags 4 where the block has them; then ts and tid.
            events.append((start + (14 if kind in FLAGGED_BLOCKS else 10), start, end))
        else:
            out += data[start:end]
    times = [struct.unpack_from("<Q", data, at)[0] for at, _, _ in events]
    span = max(times) - min(times) + 1
    rounds = -(-target // len(events))
    for number in range(rounds):
        for at, start, end in events:
            offset = len(out)
            out += data[start:end]
            ts, tid = struct.unpack_from("<QQ", data, at)
            struct.pack_into("<QQ", out, offset + at - start, ts + span * number, tid + 100_000 * number)
    return out, rounds * len(events)


def main() -> int:
    """Run the peer and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("capture", type=Path, help="a capture that sysdig can read")
    parser.add_argument("--events", type=int, default=3_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="one JSON object")
    options = parser.parse_args()
    sysdig = shutil.which("sysdig")
    if sysdig is None:
        print("sysdig is not installed: apt-get install sysdig", file=sys.stderr)
        return 1
    amplified_data, events = amplified(recording.plain(options.capture), options.events)
    with tempfile.NamedTemporaryFile(dir="/dev/shm", suffix=".scap") as file:
        file.write(amplified_data)
        file.flush()
        found = {
            name: timed([*command, file.name, FILTER], options.runs)
            for name, command in {
                "sysdig": [sysdig, "-r"],
                "tiercel": [sys.executable, "-m", "tiercel", "read"],
            }.items()
        }
    report: dict[str, object] = {"events": events}
    for name, (seconds, lines) in found.items():
        report |= {f"{name} lines": lines, f"{name} ns/event": round(seconds / events * 1e9)}
    recording.show(report, as_json=options.json)
    return 0


def timed(command: list[str], runs: int) -> tuple[float, int]:
    """Seconds of the best run, and how many lines it printed."""
    best, lines = float("inf"), 0
    for _ in range(runs):
        start = time.perf_counter()
        done = subprocess.run(command, capture_output=True, check=True)
        best, lines = min(best, time.perf_counter() - start), done.stdout.count(b"\n")
    return best, lines


if __name__ == "__main__":
    sys.exit(main())
