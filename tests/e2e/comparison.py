"""What the engine knows of processes beside what the kernel says: every fact is equal, explained or neither."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tiercel._engine import Host
from tiercel.testing import truth

DELETED = " (deleted)"
# Why a fact may differ from /proc; each is checked where it is used, and counted.
REASONS = {
    "own name": "a name that a thread gives itself is not its program's, as in Falco; /proc has it",
    "path as given": "a path is what the program gave, from its own root: links in it are not followed; it leads there",
    "renamed": "a path is what it was when the file was opened",
    "unnamed file": "O_TMPFILE makes a file without a name: it has name and type of its folder, as in Falco",
    "kind of a path": "an opened path is a file, or a directory where O_DIRECTORY said so, as in Falco",
    "untold file": "no event tells device and inode of what has no path; of a pipe it tells the inode",
    "received": "a descriptor that came over a socket is unknown until it is told (docs/differences.md)",
    "not traced": "what Falco has no event for makes descriptors that nobody announces",
    "last peer": "an unconnected UDP socket is named after whom it last spoke to, as in Falco",
    "peer without name": "/proc/net/unix tells a socket's own path, not that of its peer",
    "zeros": "the IPv6 address of zeros counts as mapped IPv4, as in Falco",
    "bound only": "a TCP socket that is bound and neither listens nor is connected is in no table of the kernel",
}


# What `lsof` calls them; all others are a_inode.
LSOF_TYPES = {
    "file": {"REG", "CHR"},
    "memfd": {"REG"},
    "directory": {"DIR"},
    "pipe": {"FIFO"},
    "unix": {"unix"},
    "netlink": {"netlink", "sock"},
    # A socket that accepts mapped addresses is one of IPv6; one that has no address yet is but a socket.
    "ipv4": {"IPv4", "IPv6", "sock", "raw"},
    "ipv6": {"IPv6", "sock"},
    truth.UNKNOWN: {"a_inode", "pack"},
    "pidfd": {"a_inode", "REG"},
}


class Comparison:
    """Facts about processes that hold still; `cases` names what each process is."""

    def __init__(self, host: Host, cases: dict[int, str], *, from_events: bool) -> None:
        self._host, self._cases, self._from_events = host, cases, from_events
        self.equal: Counter[str] = Counter()
        self.explained: Counter[str] = Counter()
        self.unexplained: list[str] = []
        self._children = truth.children()
        self._sockets: dict[str, truth.Sockets] = {}
        self.descriptors: dict[tuple[int, int], truth.Descriptor] = {}

    @property
    def total(self) -> int:
        return self.equal.total() + self.explained.total() + len(self.unexplained)

    def run(self) -> None:
        for pid, case in self._cases.items():
            self._process(pid, f"{case} {pid}")

    def witnesses(self) -> bool:
        """What /proc said of the descriptors, beside `ss` and `lsof`; whether there is an `lsof`."""
        internet, files = truth.ss(), truth.lsof([*self._cases])
        for (pid, number), fd in self.descriptors.items():
            where = f"{self._cases[pid]} {pid} fd {number} {fd.link}"
            if fd.protocol in ("tcp", "udp") and fd.local:
                self.fact(where, "ss", (fd.protocol, fd.local, fd.remote), internet.get(fd.ino))
            if files is not None:
                kind, name = files.get((pid, number), ("", ""))
                self.fact(where, "lsof type", kind in LSOF_TYPES.get(fd.type, {"a_inode"}), True)
                if name.isascii() and fd.link.isascii() and "\\" not in name:
                    self.fact(where, "lsof name", _lsof_name(fd, name), name)
        return files is not None

    def fact(self, where: str, name: str, ours: Any, theirs: Any, reasons: Iterable[str] = ()) -> None:
        """Compare; `reasons` are those that hold for what differs."""
        if ours == theirs:
            self.equal[name] += 1
            return
        for reason in reasons:
            self.explained[f"{name}: {reason}"] += 1
            assert reason in REASONS
            return
        self.unexplained.append(f"{where}: {name}: {ours!r}, in truth {theirs!r}")

    def _process(self, pid: int, where: str) -> None:
        known = self._host.describe(pid)
        self.fact(where, "known", known is not None, True)
        if known is None:
            return
        tasks = truth.tasks(pid)
        self.fact(where, "threads", known["threads"], tasks)
        children: list[int] = []
        for tid in tasks:
            found = self._host.describe(tid)
            self.fact(where, "known", found is not None, True)
            if found is not None:
                children += found["children"]
                self._thread(f"{where}/{tid}", pid, found, truth.thread(pid, tid))
        self.fact(where, "children", sorted(children), self._children.get(pid, []))
        namespace = truth.link(f"/proc/{pid}/ns/net")
        sockets = self._sockets.setdefault(namespace, truth.Sockets(pid))
        self._descriptors(where, pid, known["fds"], truth.descriptors(pid, sockets))

    def _thread(self, where: str, pid: int, known: dict[str, Any], true: dict[str, Any]) -> None:
        parent = self._host.describe(known["ptid"])
        known["parent"] = parent["pid"] if parent else known["ptid"]
        known["cwd"] = known["cwd"].rstrip("/") or "/"
        known["cgroups"] = _controllers(known["cgroups"])
        # It is gone: /proc says so behind the name. A memfd is named by the kernel in an exec as here.
        true["exepath"] = true["exepath"].removesuffix(DELETED)
        if true["exepath"].startswith("/memfd:"):
            true["exepath"] = true["exepath"][1:]
        true["cwd"] = true["cwd"].removesuffix(DELETED)
        for name, value in true.items():
            reasons = []
            if name == "cwd" and _leads_to(pid, known["cwd"], Path(f"/proc/{pid}/cwd")):
                reasons.append("path as given")
            if name == "comm" and self._from_events and self._cases[pid] == "names":
                reasons.append("own name")
            self.fact(where, name, known[name], value, reasons)

    def _descriptors(self, where: str, pid: int, known: dict[str, Any], true: dict[int, truth.Descriptor]) -> None:
        for number in sorted({int(number) for number in known} - true.keys()):
            self.fact(f"{where} fd {number}", "fd", known[str(number)]["name"], None)
        for number, fd in true.items():
            self.descriptors[pid, number] = fd
            mine = known.get(str(number))
            place = f"{where} fd {number} {fd.link}"
            self.fact(place, "fd", mine is not None, True, self._absent(pid, fd))
            if mine is None:
                continue
            self.fact(place, "fd.type", mine["type"], fd.type, self._kinds(mine, fd))
            self.fact(place, "fd.name", mine["name"], _name(mine, fd), self._names(pid, number, mine, fd))
            self.fact(place, "fd.cloexec", mine["cloexec"], fd.cloexec)
            untold = [] if fd.is_path or mine["ino"] else ["untold file"]
            self.fact(place, "fd.ino", mine["ino"], fd.ino, untold)
            untold = [] if fd.is_path or mine["dev"] else ["untold file"]
            self.fact(place, "fd.dev", mine["dev"], fd.dev, untold)
            if fd.type in ("ipv4", "ipv6"):
                self.fact(place, "fd.l4proto", mine.get("l4proto"), fd.protocol)

    def _absent(self, pid: int, fd: truth.Descriptor) -> Iterable[str]:
        if self._from_events and self._cases[pid] == "passed" and fd.is_path:
            yield "received"
        if self._from_events and fd.link == "anon_inode:[fanotify]":
            yield "not traced"

    def _kinds(self, mine: dict[str, Any], fd: truth.Descriptor) -> Iterable[str]:
        if self._from_events and fd.is_path and mine["type"] == "file" and fd.type in ("directory", "pipe"):
            yield "kind of a path"
        if self._from_events and re.search(rf"/#\d+{re.escape(DELETED)}$", fd.link) and mine["type"] == "directory":
            yield "unnamed file"
        if fd.local and fd.local[0] == "::" and mine["type"] == "ipv4":
            yield "zeros"

    def _names(self, pid: int, number: int, mine: dict[str, Any], fd: truth.Descriptor) -> Iterable[str]:
        name, link = mine["name"], fd.link
        if fd.is_path and re.fullmatch(rf"{re.escape(name)}/#\d+{re.escape(DELETED)}", link):
            yield "unnamed file"
        if fd.is_path and _leads_to(pid, name, Path(f"/proc/{pid}/fd/{number}")):
            yield "path as given"
        if self._from_events and self._cases[pid] == "files" and name == link.removesuffix("after") + "before":
            yield "renamed"
        if fd.protocol == "udp" and fd.remote == (_nowhere(fd), 0) and self._cases[pid] == "udp_unconnected":
            yield "last peer"
        if fd.protocol == "tcp" and not fd.local and re.fullmatch(r"127\.0\.0\.1:[1-9]\d*", name):
            yield "bound only"
        if fd.type == "unix" and fd.path and not name:
            yield "peer without name"


def _controllers(pairs: list[str]) -> list[str]:
    """Of the controllers that events tell; version 1 calls io blkio."""
    pairs = [pair.replace("blkio=", "io=", 1) if pair.startswith("blkio=") else pair for pair in pairs]
    return sorted(pair for pair in pairs if pair.partition("=")[0] in truth.CONTROLLERS)


def _nowhere(fd: truth.Descriptor) -> str:
    return "0.0.0.0" if fd.type == "ipv4" else "::"


def _leads_to(pid: int, name: str, place: Path) -> bool:
    """Whether a name means, for this process, what is at the place."""
    try:
        name = name.replace("/proc/self/", f"/proc/{pid}/")
        there, here = os.stat(f"/proc/{pid}/root{name}"), place.stat()  # noqa: PTH116 - its links are the process's
    except (OSError, ValueError):
        return False
    return (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)


def _name(mine: dict[str, Any], fd: truth.Descriptor) -> str:
    """The name that a descriptor should have. How a Unix socket is numbered only the kernel knows, and which end of a
    connection is the client's only who saw it: that much of ours is taken for granted."""
    if not fd.link.startswith("socket:"):
        # A file that is gone still has its name. An event does not name what has no name; /proc has words for it.
        named = fd.link.removeprefix("/memfd:").removesuffix(DELETED)
        named = f"/proc/{fd.pid}" if fd.type == "pidfd" else named
        return named if fd.is_path or fd.type == "memfd" or mine["name"] else ""
    if fd.local and fd.remote and fd.remote[1]:
        ends = [_end(fd.local), _end(fd.remote)]
        return "->".join(ends[::-1] if mine["role"] == "server" else ends)
    if fd.local and fd.local[1] and fd.protocol != "raw":
        return _end(fd.local)
    if fd.type == "unix":
        pair = re.match(r"[0-9a-f]+->[0-9a-f]+ ?", mine["name"])
        return (pair[0] if pair else "") + fd.path
    return ""


def _end(end: tuple[str, int]) -> str:
    return f"{end[0]}:{end[1]}"


def _lsof_name(fd: truth.Descriptor, name: str) -> str:
    """The name that `lsof` should give; its own where it shows what is compared in no other way."""
    if fd.is_path or fd.type == "memfd":
        return fd.link if fd.link.startswith("/") else fd.link.partition(":")[0]
    if fd.type == "pipe":
        return "pipe"
    if fd.protocol in ("tcp", "udp") and fd.local:
        ends = [fd.local, *([fd.remote] if fd.remote and fd.remote[1] else [])]
        return "->".join(_lsof_end(end) for end in ends)
    if fd.type == "pidfd":
        return f"[pidfd:{fd.pid}]" if name.startswith("[") else name
    return name


def _lsof_end(end: tuple[str, int]) -> str:
    host, port = end
    if host in ("0.0.0.0", "::"):
        return f"*:{port}"
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
