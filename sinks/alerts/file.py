"""Alerts to a file, a line each, appended.

Whoever rotates logs may rename it: on a signal, and when another file or none stands at its path, it is opened anew.
"""

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path

from tiercel.errors import ConfigError
from tiercel.sinks.alerts.base import Alert, AwayError, Form

_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK


class FileSink:
    """See `base.Sink`. Made with mode 0600; a full disk is no end, the line waits for room."""

    name = "file"

    def __init__(self, path: Path, form: Form = "json") -> None:
        self._path, self._form = path, form
        self._descriptor: int | None = None
        with suppress(OSError):
            if not _fit(path.stat().st_mode):
                raise ConfigError(f"file.path {path}: is no file that can be appended to")

    def send(self, alert: Alert) -> None:
        line = alert.line(self._form)
        try:
            descriptor = self._current()
            written = os.write(descriptor, line)
            if written < len(line):
                self._take_back(descriptor, written)
        except OSError as error:
            raise AwayError("not written", f"{self._path}: {error.strerror}") from None

    def _current(self) -> int:
        """The descriptor of what stands at the path now."""
        if self._descriptor is not None:
            mine = os.fstat(self._descriptor)
            with suppress(OSError):
                there = self._path.stat()
                if (mine.st_dev, mine.st_ino) == (there.st_dev, there.st_ino):
                    return self._descriptor
            self.close()
        # Not blocking: a FIFO may have come to stand there.
        descriptor = os.open(self._path, _FLAGS, 0o600)
        if not _fit(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError(errno.EINVAL, "is no file that can be appended to")
        self._descriptor = descriptor
        return descriptor

    def _take_back(self, descriptor: int, written: int) -> None:
        """The disk is full in the middle of a line: better none of it than a part, which nobody could read."""
        size = os.fstat(descriptor).st_size
        if size >= written and os.lseek(descriptor, 0, os.SEEK_CUR) == size:
            os.ftruncate(descriptor, size - written)
        raise OSError(errno.ENOSPC, "No space left for the whole line")

    def reopen(self) -> None:
        self.close()
        self._current()

    def check(self) -> str:
        target = self._path if self._path.exists() else self._path.parent
        if not os.access(target, os.W_OK):
            raise AwayError("not writable", f"{target} is missing or may not be written")
        return f"{self._path} can be written"

    def close(self) -> None:
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            os.close(descriptor)


def _fit(mode: int) -> bool:
    return stat.S_ISREG(mode) or stat.S_ISCHR(mode)
