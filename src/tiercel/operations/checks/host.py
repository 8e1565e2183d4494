"""This host's memory limits, and who may read what tiercel keeps on it."""

import os
import resource
import stat
from collections.abc import Iterator
from pathlib import Path

from tiercel import config
from tiercel.probe.check import Finding

_MEMORY_BYTES = 512 << 20


def memory(settings: config.Settings) -> Iterator[Finding]:
    """The limit of locked memory, which kernels before 5.11 count BPF maps in, and that of the control group."""
    soft, hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    need = settings.collector.ring_bytes * (os.cpu_count() or 1)
    release = tuple(int(part) for part in os.uname().release.split("-")[0].split(".")[:2] if part.isdigit())
    if release < (5, 11) and hard != resource.RLIM_INFINITY and hard < need:
        yield Finding("memlock", False, f"{hard} bytes, the rings need {need}", "ulimit -l unlimited")
    else:
        yield Finding("memlock", True, "unlimited" if soft == resource.RLIM_INFINITY else f"{soft} bytes, enough here")
    limit = _group_limit()
    if limit is not None and limit < need + _MEMORY_BYTES:
        text = f"the control group may have {limit >> 20} MB; rings take {need >> 20} MB of them"
        remedy = "raise MemoryMax=, or lower collector.ring_bytes"
        yield Finding("memory", limit > need, text, remedy, limit > need)
    else:
        yield Finding("memory", True, "no limit" if limit is None else f"the control group may have {limit >> 20} MB")


def _group_limit() -> int | None:
    try:
        group = Path("/proc/self/cgroup").read_text().rpartition("::")[2].strip().lstrip("/")
        text = (Path("/sys/fs/cgroup") / group / "memory.max").read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None


def files(settings: config.Settings) -> Iterator[Finding]:
    """What only its owner may read: configuration with passwords, state, sockets."""
    folder = config.state_dir()
    if folder.exists():
        # What lies in it has modes of its own.
        yield _private("state directory", folder, 0o022, "chmod 700")
        if not os.access(folder, os.W_OK | os.X_OK):
            yield Finding("state directory", False, f"{folder} cannot be written", f"chown it to uid {os.geteuid()}")
    else:
        yield Finding("state directory", True, f"{folder} is not there yet; it is made with mode 0700")
    named = config.config_file()
    if named.exists():
        secret = any(word in named.read_text(errors="replace").lower() for word in ("password", "token", "url:"))
        yield _private("configuration", named, 0o077 if secret else 0o022, "chmod 600")
    if settings.api.socket.exists():
        yield _private("socket", settings.api.socket, 0o077, "chmod 600")


def _private(name: str, path: Path, forbidden: int, remedy: str) -> Finding:
    seen = path.stat()
    mode = stat.S_IMODE(seen.st_mode)
    if seen.st_uid not in (os.geteuid(), 0):
        return Finding(name, False, f"{path} belongs to uid {seen.st_uid}", f"chown {os.geteuid()} {path}")
    if mode & forbidden:
        return Finding(name, False, f"{path} has mode {mode:04o}: others may use it", f"{remedy} {path}")
    return Finding(name, True, f"{path} is its owner's alone (mode {mode:04o})")
