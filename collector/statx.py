"""Facts of a file as the kernel has them now: stat(2) would ask its file system, and wait for whoever serves that.

What another's FUSE server or a dead network share answers, or does not, must not hold up the drain.
"""

import ctypes
import os
from pathlib import Path
from typing import NamedTuple

_AT_FDCWD, _NO_AUTOMOUNT, _DONT_SYNC, _BASIC = -100, 0x800, 0x4000, 0x7FF
_libc = ctypes.CDLL(None, use_errno=True)


class _Time(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_int64), ("nanoseconds", ctypes.c_uint32), ("reserved", ctypes.c_int32))

    def ns(self) -> int:
        return int(self.seconds) * 1_000_000_000 + int(self.nanoseconds)


class _Statx(ctypes.Structure):
    """struct statx of <linux/stat.h>: 256 bytes."""

    _fields_ = (
        *((name, ctypes.c_uint32) for name in ("mask", "blksize")),
        ("attributes", ctypes.c_uint64),
        *((name, ctypes.c_uint32) for name in ("nlink", "uid", "gid")),
        *((name, ctypes.c_uint16) for name in ("mode", "spare0")),
        *((name, ctypes.c_uint64) for name in ("ino", "size", "blocks", "attributes_mask")),
        *((name, _Time) for name in ("atime", "btime", "ctime", "mtime")),
        *((name, ctypes.c_uint32) for name in ("rdev_major", "rdev_minor", "dev_major", "dev_minor")),
        ("spare", ctypes.c_uint64 * 14),
    )


class Facts(NamedTuple):
    """`dev` as the kernel encodes it: 12 bits of major within 20 of minor. Times in UTC ns."""

    mode: int
    nlink: int
    uid: int
    gid: int
    ino: int
    dev: int
    ctime: int
    mtime: int


def of(path: Path) -> Facts:
    """Of the file at this path, links followed; OSError."""
    found = _Statx()
    if _libc.statx(_AT_FDCWD, os.fsencode(path), _NO_AUTOMOUNT | _DONT_SYNC, _BASIC, ctypes.byref(found)):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), os.fspath(path))
    minor = found.dev_minor
    dev = (found.dev_major << 8 | minor & 0xFF | (minor & ~0xFF) << 12) & 0xFFFF_FFFF
    return Facts(found.mode, found.nlink, found.uid, found.gid, found.ino, dev, found.ctime.ns(), found.mtime.ns())
