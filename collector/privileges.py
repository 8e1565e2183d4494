"""Gives up what a process may do beyond what it needs: capabilities, its user, new privileges by exec."""

import ctypes
import os
import pwd
from collections.abc import Callable, Iterable
from pathlib import Path

from tiercel.errors import ConfigError

DAC_READ_SEARCH, SYS_PTRACE, PERFMON, BPF = 2, 19, 38, 39
# What a reader of other users' /proc needs, and nothing that writes.
READER = frozenset({DAC_READ_SEARCH, SYS_PTRACE})

_PR_SET_KEEPCAPS, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT = 8, 24, 38, 47
_PR_SET_DUMPABLE, _PR_CAP_AMBIENT_CLEAR_ALL = 4, 4
_VERSION_3 = 0x20080522


class _Head(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Sets(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def held() -> int:
    """The permitted capabilities of this thread, as bits."""
    sets = (_Sets * 2)()
    _call("capget", ctypes.byref(_Head(_VERSION_3, 0)), sets)
    return int(sets[0].permitted) | int(sets[1].permitted) << 32


def limit(kept: Iterable[int], *, user: str = "") -> None:
    """Keep these capabilities as far as they are held, and no others; become `user`, if that names one.

    For a process of one thread: others keep what they have. OSError; ConfigError: there is no such user.
    """
    account = _account(user) if user else None
    bits = sum(1 << number for number in set(kept)) & held()
    _drop_bounding(bits)
    if account is not None and (os.geteuid(), os.getegid()) != (account.pw_uid, account.pw_gid):
        _prctl(_PR_SET_KEEPCAPS, 1)
        os.setgroups(os.getgrouplist(account.pw_name, account.pw_gid))
        os.setresgid(account.pw_gid, account.pw_gid, account.pw_gid)
        os.setresuid(account.pw_uid, account.pw_uid, account.pw_uid)
        _prctl(_PR_SET_KEEPCAPS, 0)
    _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    sets = (_Sets * 2)()
    for index in (0, 1):
        sets[index].effective = sets[index].permitted = bits >> 32 * index & 0xFFFF_FFFF
    _call("capset", ctypes.byref(_Head(_VERSION_3, 0)), sets)
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    # Its memory holds what other users' processes did.
    _prctl(_PR_SET_DUMPABLE, 0)


def needed(try_it: Callable[[], object]) -> frozenset[int]:
    """The capabilities without which BPF maps that are open cannot be used: none, but on kernels that ask anew."""
    sets = (_Sets * 2)()
    head = _Head(_VERSION_3, 0)
    _call("capget", ctypes.byref(head), sets)
    effective = [row.effective for row in sets]
    for row in sets:
        row.effective = 0
    _call("capset", ctypes.byref(head), sets)
    try:
        try_it()
    except OSError:
        return frozenset({BPF, PERFMON})
    finally:
        for row, bits in zip(sets, effective, strict=True):
            row.effective = bits
        _call("capset", ctypes.byref(head), sets)
    return frozenset()


def _drop_bounding(kept: int) -> None:
    last = int(Path("/proc/sys/kernel/cap_last_cap").read_text(encoding="ascii"))
    for number in range(last + 1):
        if not kept >> number & 1:
            try:
                _prctl(_PR_CAPBSET_DROP, number)
            except PermissionError:  # without CAP_SETPCAP; no_new_privs does the same for exec
                return


def _account(user: str) -> pwd.struct_passwd:
    try:
        return pwd.getpwuid(int(user)) if user.isdigit() else pwd.getpwnam(user)
    except KeyError:
        raise ConfigError(f"collector.user: this host has no user {user}") from None


def owner(user: str) -> tuple[int, int]:
    """User and group number; ConfigError."""
    account = _account(user)
    return account.pw_uid, account.pw_gid


def _prctl(option: int, *arguments: int) -> None:
    words = [ctypes.c_ulong(word) for word in (*arguments, *[0] * (4 - len(arguments)))]
    _call("prctl", ctypes.c_int(option), *words)


def _call(name: str, *arguments: object) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments) < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")
