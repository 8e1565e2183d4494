"""The slow oracle's sockets: their ends, their names and who is the client.

An address is told as (family, ip, port) or (1, path), a tuple as (family, source ip, port, destination ip, port) or
(1, source pointer, destination pointer, path).
"""

import struct
from ipaddress import IPv6Address, ip_address
from typing import Any

from tests.engine.oracle_fds import O_CLOEXEC, Descriptor, Descriptors, Params, Process, Thread

UNIX, IPV4, IPV6, NETLINK = 1, 2, 10, 16
STREAM, DGRAM, RAW = 1, 2, 3
SOCK_CLOEXEC = 0o2000000
EINPROGRESS = -115

End = tuple[str, int]

_TYPES = {UNIX: "unix", IPV4: "ipv4", IPV6: "ipv6", NETLINK: "netlink"}
_PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp", 255: "raw"}
_NOWHERE = {IPV4: "0.0.0.0", IPV6: "::"}


def _plain(ip: str) -> str:
    """An address of IPv4 that is written as one of IPv6 is one of IPv4."""
    address = ip_address(ip)
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)


def _text(end: End) -> str:
    return f"{end[0]}:{end[1]}"


def _is_ip(fd: Descriptor | None) -> bool:
    return fd is not None and fd.type in ("ipv4", "ipv6")


class Sockets(Descriptors):
    """The events that change sockets."""

    def _socket(self, thread: Thread, process: Process, p: Params) -> None:
        kind, l4proto = _TYPES.get(p["domain"], "<NA>"), None
        if p["domain"] in (IPV4, IPV6):
            by_type = {STREAM: "tcp", DGRAM: "udp"}.get(p["type"]) if p["proto"] == 0 else None
            l4proto = "raw" if p["type"] == RAW else by_type or _PROTOCOLS.get(p["proto"])
        self._new(process, p["fd"], kind, l4proto=l4proto, cloexec=p["flags"] & O_CLOEXEC)

    def _socketpair(self, thread: Thread, process: Process, p: Params) -> None:
        if p["res"] >= 0:
            for number in (p["fd1"], p["fd2"]):
                ends = {"source": p["source"], "destination": p["peer"]}
                self._new(process, number, "unix", cloexec=p["type"] & SOCK_CLOEXEC, **ends)

    def _bind(self, thread: Thread, process: Process, p: Params) -> None:
        fd, address = process.fds.get(p["fd"]), p["addr"]
        if p["res"] < 0 or fd is None:
            return
        if fd.type == "unix":
            fd.name = address[1]
        elif _is_ip(fd) and address[2] > 0:
            own = (_plain(address[1]), address[2])
            self._ends(fd, None, own)
            fd.role, fd.name = "server", _text(address[1:])

    def _connect(self, thread: Thread, process: Process, p: Params) -> None:
        fd, address, told = process.fds.get(p["fd"]), p["addr"], p["tuple"]
        if fd is None or (p["res"] < 0 and p["res"] != EINPROGRESS):
            return
        if fd.type == "unix":
            self._unix(fd, told)
        elif _is_ip(fd):
            source, destination = told[1:3] if told else (_NOWHERE[address[0]], 0), address[1:]
            source, destination = (_plain(source[0]), source[1]), (_plain(destination[0]), destination[1])
            if ":" not in destination[0] and source[0] == "::":
                source = (_NOWHERE[IPV4], source[1])
            if fd.role == "server" and fd.l4proto == "udp":
                source, destination = destination, source
            self._ends(fd, source, destination)
        fd.connected = True
        fd.role = fd.role or "client"

    def _accept(self, thread: Thread, process: Process, p: Params) -> None:
        if p["fd"] < 0:
            return
        fd = Descriptor("unix", role="server", connected=True)
        fd.cloexec = bool((p.get("flags") or 0) & SOCK_CLOEXEC)
        if p["tuple"][0] == UNIX:
            self._unix(fd, p["tuple"])
        else:
            fd.l4proto = "tcp"
            self._ends(fd, *self._told(p["tuple"]))
        process.fds[p["fd"]] = fd

    _accept4 = _accept

    def _sendto(self, thread: Thread, process: Process, p: Params) -> None:
        if p["res"] >= 0 and p["fd"] not in process.fds and p["tuple"] is not None:
            self._new(process, p["fd"], "ipv4", l4proto="udp", connected=True)
        self._transfer(process, p, sends=True)

    def _recvfrom(self, thread: Thread, process: Process, p: Params) -> None:
        self._transfer(process, p, sends=False)

    _sendmsg = _sendto

    def _recvmsg(self, thread: Thread, process: Process, p: Params) -> None:
        self._transfer(process, p, sends=False)
        if p["res"] >= 0 and p["msgcontrol"]:
            for number in struct.unpack("<QiiII", p["msgcontrol"])[3:]:
                process.fds.pop(number, None)

    def _transfer(self, process: Process, p: Params, *, sends: bool) -> None:
        fd, told = process.fds.get(p["fd"]), p["tuple"]
        if p["res"] < 0 or fd is None or not _is_ip(fd):
            return
        # A bound socket has no peer yet.
        fd.connected = fd.connected or fd.source is not None or fd.destination is None
        if told is None or (fd.name and fd.l4proto == "tcp"):
            return
        ends = self._told(told)
        if [list(end) for end in ends] in ([fd.source, fd.destination], [fd.destination, fd.source]):
            return
        # Who is heard first by a socket that never said a word is left open.
        fd.role = fd.role or "client"
        fd.l4proto = fd.l4proto or "udp"
        if sends == (fd.role == "server"):
            ends = ends[1], ends[0]
        self._ends(fd, *ends)

    @staticmethod
    def _told(told: Any) -> tuple[End, End]:
        return (_plain(told[1]), told[2]), (_plain(told[3]), told[4])

    @staticmethod
    def _ends(fd: Descriptor, source: End | None, destination: End) -> None:
        fd.type = "ipv6" if ":" in destination[0] else "ipv4"
        fd.source, fd.destination = source and list(source), list(destination)
        if source:
            fd.name = f"{_text(source)}->{_text(destination)}"

    @staticmethod
    def _unix(fd: Descriptor, told: Any) -> None:
        _, fd.source, fd.destination, path = told
        fd.name = f"{fd.source:x}->{fd.destination:x} {path}"
