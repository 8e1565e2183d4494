"""What `tiercel doctor` says of this host's ability to run the probe: one finding a requirement; nothing is loaded."""

import contextlib
import os
import platform
from pathlib import Path
from typing import NamedTuple

from tiercel.probe import libbpf
from tiercel.probe.core import OBJECT, PIN_FOLDER, lockdown

CAP_PERFMON, CAP_BPF, CAP_SYS_ADMIN = 38, 39, 21
PROG_TYPE_TRACING = 26
OLDEST = (5, 15)
BTF = Path("/sys/kernel/btf/vmlinux")


class Finding(NamedTuple):
    """One requirement: met or not, what was seen, and what mends it. `warn`: met, but look at it."""

    name: str
    ok: bool
    text: str
    remedy: str = ""
    warn: bool = False


def findings() -> list[Finding]:
    """All findings, in the order in which they matter."""
    found = [_system(), _kernel(), _capabilities(), _btf(), _object(), _library()]
    if found[-1].ok:
        found += [_rings(), _tracepoints(), _healing()]
    return [*found, _lockdown(), _bpffs()]


def _system() -> Finding:
    machine = platform.machine()
    ok = platform.system() == "Linux" and machine == "x86_64"
    return Finding("machine", ok, f"{platform.system()} on {machine}", "" if ok else "the probe runs on Linux x86_64")


def _kernel() -> Finding:
    release = platform.release()
    numbers = tuple(int(part) for part in release.split("-")[0].split(".")[:2] if part.isdigit())
    ok = numbers >= OLDEST
    return Finding("kernel", ok, f"Linux {release}", "" if ok else f"Linux {OLDEST[0]}.{OLDEST[1]} or newer is needed")


def _capabilities() -> Finding:
    effective = 0
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/self/status").read_text().splitlines()
        effective = int(next(line for line in lines if line.startswith("CapEff:")).split()[1], 16)
    admin = effective >> CAP_SYS_ADMIN & 1
    missing = [
        name
        for name, bit in (("CAP_BPF", CAP_BPF), ("CAP_PERFMON", CAP_PERFMON))
        if not (effective >> bit & 1 or admin)
    ]
    if missing:
        return Finding(
            "capabilities", False, f"{' and '.join(missing)} missing", "run as root, or grant CAP_BPF and CAP_PERFMON"
        )
    return Finding("capabilities", True, f"may load BPF programs (uid {os.geteuid()})")


def _btf() -> Finding:
    ok = BTF.exists()
    return Finding(
        "type information",
        ok,
        f"{BTF} is {'there' if ok else 'missing'}",
        "" if ok else "boot a kernel built with CONFIG_DEBUG_INFO_BTF=y",
    )


def _object() -> Finding:
    ok = OBJECT.exists()
    return Finding(
        "probe object", ok, f"{OBJECT.name} is {'built' if ok else 'missing'}", "" if ok else "run `make probe`"
    )


def _library() -> Finding:
    try:
        version = libbpf.library().libbpf_version_string().decode()
    except (OSError, AttributeError):
        return Finding("libbpf", False, "libbpf.so.1 is missing or too old", "apt-get install libbpf1")
    return Finding("libbpf", True, f"libbpf {version}")


def _rings() -> Finding:
    ok = libbpf.library().libbpf_probe_bpf_map_type(libbpf.MAP_TYPE_RINGBUF, None) == 1
    remedy = "" if ok else "Linux 5.8 or newer, and the right to make BPF maps, are needed"
    return Finding("ring buffers", ok, "can be made" if ok else "cannot be made", remedy)


def _tracepoints() -> Finding:
    ok = libbpf.kernel_has_type("btf_trace_sys_exit") and libbpf.kernel_has_type("btf_trace_sched_process_exec")
    remedy = "" if ok else "boot a kernel with CONFIG_FTRACE_SYSCALLS=y and CONFIG_DEBUG_INFO_BTF=y"
    return Finding(
        "typed tracepoints", ok, f"sys_exit and sched_process_exec are {'there' if ok else 'missing'}", remedy
    )


def _healing() -> Finding:
    if libbpf.has_task_storage():
        return Finding("self-healing", True, "processes that nobody announced are described from /proc")
    text = "no task storage: processes whose beginning is lost stay unknown until they execute a program"
    return Finding("self-healing", True, text)


def _lockdown() -> Finding:
    state = lockdown()
    if state != "confidentiality":
        return Finding("lockdown", True, state)
    cast = libbpf.kernel_has_function("bpf_rdonly_cast")
    lacking = "" if cast else "; before Linux 6.2 that leaves out inodes, socket addresses, cgroups and program paths"
    return Finding("lockdown", True, f"confidentiality: kernel memory is read by typed loads only{lacking}")


def _bpffs() -> Finding:
    mounted = os.path.ismount(PIN_FOLDER.parent)
    text = "mounted" if mounted else "not mounted: the collector tries to; without it counters do not outlive a crash"
    return Finding("BPF file system", True, text)
