"""Capture files as batches of events: for whoever reads one from disk."""

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from tiercel._engine import Batch, CaptureReader
from tiercel.errors import CaptureError

_CHUNK, _EVENTS = 1 << 20, 1000


class Capture:
    """A capture file: iterate over its batches. What is whole comes before the CaptureError that tells of the rest."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.reader = CaptureReader()

    def __iter__(self) -> "Iterator[Batch]":
        try:
            with self._open() as file:
                while data := file.read(_CHUNK):
                    self.reader.feed(data)
                    yield from self._ready()
            self.reader.finish()
            yield from self._ready()
        except (ValueError, EOFError, OSError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else error
            raise CaptureError(f"{self._path}: {reason}") from None

    def _ready(self) -> "Iterator[Batch]":
        while (batch := self.reader.next(_EVENTS)) is not None:
            yield batch

    def _open(self) -> BinaryIO:
        with self._path.open("rb") as file:
            zipped = file.read(2) == b"\x1f\x8b"
        return cast("BinaryIO", gzip.open(self._path)) if zipped else self._path.open("rb")

    @property
    def hostname(self) -> str:
        """Of the machine that was recorded, once it is known."""
        return str((self.reader.machine or {}).get("hostname", ""))
