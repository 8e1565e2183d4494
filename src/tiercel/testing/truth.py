"""What the kernel says of a process at this moment, in the words of `Host.describe`: from /proc, `ss` and `lsof`.

Read apart from tiercel.collector.proc, and held against it in tests; processes must hold still meanwhile.
"""

import contextlib
import os
import re
import shutil
import socket
import stat
import struct
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from typing import Any

_O_CLOEXEC = 0o2000000
_ANONYMOUS = {
    **{"[eventfd]": "event", "[signalfd]": "signalfd", "[eventpoll]": "eventpoll", "inotify": "inotify"},
    **{"[timerfd]": "timerfd", "[userfaultfd]": "userfaultfd", "[io_uring]": "io_uring", "[pidfd]": "pidfd"},
    **{"bpf-map": "bpf", "bpf-prog": "bpf", "bpf_link": "bpf"},
}
UNKNOWN = "<NA>"
# Those that events tell.
CONTROLLERS = ("cpu", "cpuacct", "cpuset", "io", "memory")


@dataclass(frozen=True)
class Descriptor:
    """An open descriptor. `link` is what /proc/PID/fd says; of sockets `local` and `remote` are (ip, port) or None, and
    `path` that of the Unix socket or of its peer; `pid` is whom a pidfd means.
    """

    type: str
    link: str
    cloexec: bool
    mode: int
    dev: int
    ino: int
    protocol: str | None = None
    local: tuple[str, int] | None = None
    remote: tuple[str, int] | None = None
    path: str = ""
    pid: int = 0

    @property
    def is_path(self) -> bool:
        """Whether it was opened by a path."""
        return self.link.startswith(("net:", "mnt:") if self.type == "memfd" else ("/", "net:", "mnt:"))


def text(raw: bytes) -> str:
    """As the engine shows bytes."""
    return raw.decode(errors="replace")


def link(path: Path | str) -> str:
    with contextlib.suppress(OSError):
        return text(os.readlink(os.fsencode(path)))  # noqa: PTH115 - names of files are bytes
    return ""


def status(pid: int, tid: int | None = None) -> dict[str, str]:
    path = Path(f"/proc/{pid}/task/{tid or pid}/status")
    lines = path.read_text(errors="replace").splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def tasks(pid: int) -> list[int]:
    return sorted(int(task.name) for task in Path(f"/proc/{pid}/task").iterdir())


def children() -> dict[int, list[int]]:
    """Processes by their parent; not those that have exited, and wait to be asked for."""
    found: dict[int, list[int]] = {}
    for entry in sorted(int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()):
        with contextlib.suppress(OSError):
            numbers = Path(f"/proc/{entry}/stat").read_bytes().rpartition(b")")[2].split()
            if numbers[0] != b"Z":
                found.setdefault(int(numbers[1]), []).append(entry)
    return found


def thread(pid: int, tid: int) -> dict[str, Any]:
    """Facts of a thread, those of its process included."""
    facts, place = status(pid, tid), Path(f"/proc/{pid}/task/{tid}")
    arguments = (place / "cmdline").read_bytes()
    words = [text(word) for word in arguments.removesuffix(b"\0").split(b"\0")]
    limits = re.search(r"^Max open files +(\S+)", (place / "limits").read_text(), re.M)
    numbers = (place / "stat").read_bytes().rpartition(b")")[2].split()
    cwd, root, exe = link(place / "cwd"), link(place / "root"), link(place / "exe")
    return {
        "pid": int(facts["Tgid"]),
        "parent": int(facts["PPid"]),
        "vtid": int(facts["NSpid"].split()[-1]),
        "vpid": int(facts["NStgid"].split()[-1]),
        "sid": int(facts["NSsid"].split()[-1]),
        "pgid": int(facts["NSpgid"].split()[0]),
        "vpgid": int(facts["NSpgid"].split()[-1]),
        "comm": text((place / "comm").read_bytes().removesuffix(b"\n")),
        "exe": words[0],
        "args": words[1:],
        "exepath": exe,
        "cwd": cwd,
        "root": root,
        "uid": int(facts["Uid"].split()[1]),
        "gid": int(facts["Gid"].split()[1]),
        "loginuid": struct.unpack("=i", struct.pack("=I", int((place / "loginuid").read_text())))[0],
        "tty": int(numbers[4]),
        "fdlimit": int(limits[1]) if limits else -1,
        "cap_inheritable": int(facts["CapInh"], 16),
        "cap_permitted": int(facts["CapPrm"], 16),
        "cap_effective": int(facts["CapEff"], 16),
        "cgroups": _cgroups(place),
    }


def _cgroups(place: Path) -> list[str]:
    """`controller=path`, of the controllers that events tell: version 1 calls io blkio, 2 has those left over."""
    found: dict[str, str] = {}
    unified = None
    for line in (place / "cgroup").read_text().splitlines():
        _, names, path = line.split(":", 2)
        found |= {name.replace("blkio", "io"): path for name in names.split(",") if name}
        unified = unified if names else path
    if unified is not None:
        found = dict.fromkeys(CONTROLLERS, unified) | found
    return sorted(f"{name}={path}" for name, path in found.items() if name in CONTROLLERS)


class Sockets:
    """All sockets of a network namespace, by inode."""

    def __init__(self, pid: int) -> None:
        self._place = Path(f"/proc/{pid}/net")
        self.internet: dict[int, tuple[str, tuple[str, int], tuple[str, int]]] = {}
        self.unix: dict[int, str] = {}
        for name in ("tcp", "tcp6", "udp", "udp6", "raw", "raw6", "icmp", "icmp6"):
            for words in self._rows(name):
                ends = (name.rstrip("6"), _end(words[1]), _end(words[2]))
                self.internet[int(words[9])] = ends
        for words in self._rows("unix"):
            self.unix[int(words[6])] = words[7] if len(words) > 7 else ""
        self.peers = peers()

    def _rows(self, name: str) -> Iterator[list[str]]:
        with contextlib.suppress(OSError):
            for line in (self._place / name).read_text(errors="replace").splitlines()[1:]:
                yield line.split(maxsplit=7) if name == "unix" else line.split()

    def of(self, ino: int) -> dict[str, Any]:
        """The facts of a `Descriptor` that only sockets have, and its type."""
        if ino in self.internet:
            protocol, local, remote = self.internet[ino]
            four = ip_address(local[0]).version == 4
            return {"type": "ipv4" if four else "ipv6", "protocol": protocol, "local": local, "remote": remote}
        if ino in self.unix:
            path = self.unix[ino] or self.unix.get(self.peers.get(ino, 0), "")
            return {"type": "unix", "path": path.removeprefix("@") if path.startswith("@") else path}
        return {}


def _end(words: str) -> tuple[str, int]:
    address, _, port = words.partition(":")
    raw = b"".join(struct.pack("=I", int(address[at : at + 8], 16)) for at in range(0, len(address), 8))
    ip = ip_address(raw)
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped:
        ip = ip.ipv4_mapped
    return str(ip), int(port, 16)


def descriptors(pid: int, sockets: Sockets, tid: int | None = None) -> dict[int, Descriptor]:
    found = {}
    place = Path(f"/proc/{pid}/task/{tid or pid}")
    for number in sorted(int(entry.name) for entry in (place / "fd").iterdir()):
        target, known = link(place / "fd" / str(number)), os.stat(place / "fd" / str(number))  # noqa: PTH116
        info = dict(
            line.split(":", 1) for line in (place / "fdinfo" / str(number)).read_text().splitlines() if ":" in line
        )
        facts: dict[str, Any] = {"type": _type(target, known.st_mode)}
        if stat.S_ISSOCK(known.st_mode) and target.startswith("socket:"):
            facts = sockets.of(known.st_ino) or _by_protocol(place / "fd" / str(number))
        found[number] = Descriptor(
            link=target,
            cloexec=bool(int(info["flags"], 8) & _O_CLOEXEC),
            mode=known.st_mode,
            dev=os.major(known.st_dev) << 8 | os.minor(known.st_dev) & 0xFF,
            ino=known.st_ino,
            pid=int(info.get("Pid", "0")),
            **facts,
        )
    return found


def _by_protocol(path: Path) -> dict[str, Any]:
    """Of a socket without address the kernel tells the protocol, as `lsof` shows it."""
    name = os.getxattr(path, "system.sockprotoname").rstrip(b"\0").decode()
    protocol = name.removesuffix("v6").lower()
    if protocol in {"tcp", "udp", "raw"}:
        return {"type": "ipv6" if name.endswith("v6") else "ipv4", "protocol": protocol}
    return {"type": {"UNIX": "unix", "UNIX-STREAM": "unix", "NETLINK": "netlink"}.get(name, UNKNOWN)}


def _type(target: str, mode: int) -> str:
    if target.startswith("anon_inode:"):
        return _ANONYMOUS.get(target.removeprefix("anon_inode:"), UNKNOWN)
    if target.startswith("pidfd:"):
        return "pidfd"
    if target.startswith("/memfd:"):
        return "memfd"
    if stat.S_ISFIFO(mode):
        return "pipe"
    return "directory" if stat.S_ISDIR(mode) else "file"


# What other programs say


def peers() -> dict[int, int]:
    """Inodes of Unix sockets and of those at their other ends, as `ss` has them."""
    lines = subprocess.run(["ss", "-Hanx"], capture_output=True, text=True, check=True).stdout.splitlines()
    found = {}
    for line in lines:
        words = line.split()
        # Netid State Recv-Q Send-Q Local-Address Local-Port Peer-Address Peer-Port; an address may have blanks.
        numbers = [int(word) for word in words[4:] if word.isdigit()]
        if len(numbers) >= 2 and numbers[-1]:
            found[numbers[-2]] = numbers[-1]
    return found


def ss() -> dict[int, tuple[str, tuple[str, int], tuple[str, int]]]:
    """Internet sockets by inode, as `ss` has them: protocol, local and remote end."""
    lines = subprocess.run(["ss", "-Hanetuw"], capture_output=True, text=True, check=True).stdout.splitlines()
    found = {}
    for line in lines:
        words = line.split()
        inode = next((word for word in words if word.startswith("ino:")), None)
        if inode:
            found[int(inode[4:])] = (words[0], _address(words[4]), _address(words[5]))
    return found


def _address(words: str) -> tuple[str, int]:
    host, _, port = words.rpartition(":")
    host = host.partition("%")[0].strip("[]").removeprefix("::ffff:")
    host = "::" if host == "*" else host
    number = 0 if port == "*" else int(port) if port.isdigit() else socket.getprotobyname(port)
    return host, number


def lsof(pids: list[int]) -> dict[tuple[int, int], tuple[str, str]] | None:
    """Type and name of each descriptor by process and number, as `lsof` has them; None where it is not installed."""
    if not shutil.which("lsof"):
        return None
    command = ["lsof", "-nP", "-w", "-a", "-d", "0-9999", "-p", ",".join(map(str, pids)), "-F0ftn"]
    found, pid = {}, 0
    for line in subprocess.run(command, capture_output=True, check=False).stdout.split(b"\n"):
        words = {word[:1]: text(word[1:]) for word in line.split(b"\0") if word}
        if b"p" in words:
            pid = int(words[b"p"])
        elif b"f" in words:
            found[pid, int(words[b"f"])] = (words.get(b"t", ""), words.get(b"n", ""))
    return found
