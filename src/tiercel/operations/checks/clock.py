"""This host's clock: events carry its time, and hunts over several hosts need them to agree."""

import ctypes
from collections.abc import Iterator

from tiercel.probe.check import Finding

_WARN_S, _FAIL_S = 1.0, 60.0
_REMEDY = "run chrony or systemd-timesyncd on both"
_STA_UNSYNC, _TIME_ERROR = 0x40, 5


def skew(name: str, seconds: float, other: str) -> Finding:
    """What it means that the other's clock is so far from ours."""
    text = f"{other} is {abs(seconds):.1f} s {'ahead of' if seconds > 0 else 'behind'} this host's clock"
    if abs(seconds) < _WARN_S:
        return Finding(name, True, f"{other} agrees within a second")
    return Finding(name, abs(seconds) < _FAIL_S, text, _REMEDY, abs(seconds) < _FAIL_S)


def synchronised() -> Iterator[Finding]:
    """Whether the kernel says that something keeps its clock right."""
    timex = (ctypes.c_ubyte * 256)()  # struct timex, all of it zero: only read
    state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(timex))
    status = int.from_bytes(bytes(timex[40:44]), "little")
    if state < 0:
        yield Finding("clock", True, "whether it is kept right cannot be asked here", "", True)
    elif state == _TIME_ERROR or status & _STA_UNSYNC:
        remedy = "run chrony or systemd-timesyncd; in a container, on its host"
        yield Finding("clock", True, "the kernel says that nothing keeps it right", remedy, True)
    else:
        error = int.from_bytes(bytes(timex[24:32]), "little") / 1e6
        yield Finding("clock", True, f"is kept right, within {error:.3f} s")
