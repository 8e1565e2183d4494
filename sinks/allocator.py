"""Keeps the memory of finished inserts for the next ones; called once by a process whose main work is a sink."""

import ctypes

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3


def keep_freed_memory() -> None:
    """Tell glibc not to give buffers of up to 32 MiB back to the kernel; other C libraries are left as they are.

    Each insert fills buffers of that size anew: given back in between, every page of them faults, which was a quarter
    of the sink's CPU time.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, 32 << 20)
        mallopt(_M_TRIM_THRESHOLD, 256 << 20)
        mallopt(_M_TOP_PAD, 32 << 20)
