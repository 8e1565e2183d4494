"""What the benches play: a recording, amplified to so many events, as the raw batches that a collector sends."""

import argparse
import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import zstandard

from tiercel._engine import Batch, CaptureReader, amplify, encode_raw
from tiercel.local import bundled_capture

BATCH = 1000
HEADER = {"host_id": "bench", "host": "bench", "boot_id": "boot", "run": 1, "produced": 0, "delivered": 0, "lost": []}
_PIECE = 1 << 20
_READ = 10_000


def arguments(description: str | None, events: int = 3_000_000) -> argparse.ArgumentParser:
    """The options that every bench with a recording has."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("capture", nargs="?", type=Path, default=bundled_capture(), help="default: the bundled one")
    parser.add_argument("--events", type=int, default=events, help="amplify to so many")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    return parser


def show(report: dict[str, object], *, as_json: bool) -> None:
    """Print what a bench found."""
    if as_json:
        print(json.dumps(report))
    else:
        for name, value in report.items():
            print(f"{name:56} {value}")


def plain(capture: Path) -> bytes:
    """A capture's bytes, unzipped."""
    data = capture.read_bytes()
    return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data


def read(data: bytes) -> list[Batch]:
    """The events of a capture; lists come first, in batches of their own."""
    reader, batches = CaptureReader(), []
    for start in range(0, len(data), _PIECE):
        reader.feed(data[start : start + _PIECE])
        while (batch := reader.next(_READ)) is not None:
            batches.append(batch)
    reader.finish()
    while (batch := reader.next(_READ)) is not None:
        batches.append(batch)
    return batches


def amplified(batches: list[Batch], events: int) -> Iterator[list[Batch]]:
    """Rounds until there are at least `events`: the recording, then the same acts of others, later."""
    span = max(batch.last_time for batch in batches) - min(batch.first_time for batch in batches if batch.first_time)
    number, total = 0, 0
    while total < events:
        found = [amplify(batch, number, span + 10**9) for batch in batches]
        total += sum(map(len, found))
        number += 1
        yield found


def raw(batches: list[Batch], seq: int = 1) -> list[bytes]:
    """Avro bodies of up to a thousand events, numbered from `seq`."""
    bodies = []
    for batch in batches:
        for start in range(0, len(batch), BATCH):
            stop = min(start + BATCH, len(batch))
            bodies.append(encode_raw(batch, start, stop, HEADER | {"first_seq": seq}))
            seq += stop - start
    return bodies


def ratio(bodies: list[bytes], most: int = 128 << 20) -> float:
    """How much smaller zstd makes the bodies as one stream, repeats up to 128 MiB back found."""
    settings = zstandard.ZstdCompressionParameters.from_level(3, window_log=27, enable_ldm=True)
    packer = zstandard.ZstdCompressor(compression_params=settings).compressobj()
    size, packed = 0, 0
    for body in bodies:
        if size > most:
            break
        size += len(body)
        packed += len(packer.compress(body))
    return size / (packed + len(packer.flush()))
