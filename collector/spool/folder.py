"""The folder of the spool: one collector at a time, its segments by number, and nothing else that lies there.

A segment begins with whose batches it holds; then come records (`record.py`), until its end or the first damage.
"""

import contextlib
import fcntl
import json
import os
import re
import stat
import struct
from pathlib import Path

from tiercel._engine import checksum
from tiercel.collector.identity import Identity
from tiercel.errors import SpoolBusyError, SpoolError

_NAME = re.compile(r"([0-9]{16})\.segment")
_HEAD = struct.Struct("<16sIQ")
_MAGIC = b"tiercel spool 1\n"
_MOST_IDENTITY = 16 << 10
# The last damaged segment is kept under this name, for whoever wants to know.
DAMAGED = "damaged"
_RESERVE, _RESERVE_BYTES = "reserve", 16 << 10


class Folder:
    """Holds the lock from construction to `close`. SpoolError: it cannot be used, and why."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            raise SpoolError(f"the spool {path} cannot be used: {error.strerror}") from None
        self._lock = -1
        try:
            if os.fstat(self._fd).st_uid != os.geteuid():
                raise SpoolError(f"the spool {path} belongs to another user")
            os.fchmod(self._fd, 0o700)
            self._lock = self.open("lock", os.O_RDWR | os.O_CREAT)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.close()
            raise SpoolBusyError(f"the spool {path} is in use by another collector") from None
        except OSError as error:
            self.close()
            raise SpoolError(f"the spool {path} cannot be used: {error.strerror}") from None
        except SpoolError:
            self.close()
            raise

    def open(self, name: str, flags: int) -> int:
        """A descriptor of a plain file of ours; OSError, of a link or another kind of file, too."""
        fd = os.open(name, flags | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, 0o600, dir_fd=self._fd)
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_nlink > 1:
            os.close(fd)
            raise PermissionError(1, "not a plain file of ours")
        return fd

    def segments(self) -> dict[int, int]:
        """Number → bytes of the segments, in order; what else lies there is left alone."""
        found = {}
        for name in os.listdir(self._fd):  # noqa: PTH208 (by descriptor)
            match = _NAME.fullmatch(name)
            if match is None:
                continue
            with contextlib.suppress(OSError):
                status = os.stat(name, dir_fd=self._fd, follow_symlinks=False)
                if stat.S_ISREG(status.st_mode):
                    found[int(match[1])] = status.st_size
        return dict(sorted(found.items()))

    def age(self, number: int) -> float:
        """Time of the last write, in seconds since 1970; OSError."""
        return os.stat(_name(number), dir_fd=self._fd, follow_symlinks=False).st_mtime

    def begin(self, number: int, identity: Identity) -> tuple[int, int]:
        """Make a segment: its descriptor and bytes; OSError, and then there is none."""
        fd = self.open(_name(number), os.O_RDWR | os.O_CREAT | os.O_EXCL)
        told = json.dumps([identity.host_id, identity.host, identity.boot_id, identity.run]).encode()
        head = _HEAD.pack(_MAGIC, len(told), checksum(told)) + told
        try:
            write_all(fd, head, 0)
        except OSError:
            os.close(fd)
            self.remove(number)
            raise
        return fd, len(head)

    def read(self, number: int) -> tuple[int, Identity, int]:
        """Descriptor, whose batches they are, and where the first record is. OSError; ValueError: of another version,
        or damaged."""
        fd = self.open(_name(number), os.O_RDONLY)
        try:
            head = os.pread(fd, _HEAD.size, 0)
            if len(head) < _HEAD.size:
                raise ValueError("too short")
            magic, size, check = _HEAD.unpack(head)
            if magic != _MAGIC:
                raise ValueError("of another version, or none")
            told = os.pread(fd, min(size, _MOST_IDENTITY), _HEAD.size)
            if len(told) != size or checksum(told) != check:
                raise ValueError("its head is damaged")
            host_id, host, boot_id, run = json.loads(told)
            return fd, Identity(str(host_id), str(host), str(boot_id), int(run)), _HEAD.size + size
        except BaseException:
            os.close(fd)
            raise

    def keep_reserve(self) -> None:
        """Hold some room, if there is any, for a run that begins on a disk that is full."""
        with contextlib.suppress(OSError):
            fd = self.open(_RESERVE, os.O_RDWR | os.O_CREAT)
            try:
                os.posix_fallocate(fd, 0, _RESERVE_BYTES)
            finally:
                os.close(fd)

    def give_reserve(self) -> None:
        """Give that room up."""
        with contextlib.suppress(OSError):
            os.unlink(_RESERVE, dir_fd=self._fd)

    def remove(self, number: int) -> None:
        """Take a segment away, if it can be."""
        with contextlib.suppress(OSError):
            os.unlink(_name(number), dir_fd=self._fd)

    def set_aside(self, number: int) -> None:
        """Keep a damaged segment in the place of the one before it."""
        try:
            os.rename(_name(number), DAMAGED, src_dir_fd=self._fd, dst_dir_fd=self._fd)
        except OSError:
            self.remove(number)

    def close(self) -> None:
        for fd in (self._lock, self._fd):
            if fd >= 0:
                os.close(fd)
        self._lock = self._fd = -1


def write_all(fd: int, data: bytes, at: int) -> None:
    """Write at a place, all of it; OSError."""
    view = memoryview(data)
    while view:
        count = os.pwrite(fd, view, at)
        view, at = view[count:], at + count


def _name(number: int) -> str:
    return f"{number:016}.segment"
