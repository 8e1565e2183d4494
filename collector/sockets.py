"""Sockets of a network namespace by inode, from /proc/PID/net; called by the snapshot of descriptors."""

import os
import struct
from dataclasses import dataclass
from functools import cached_property
from ipaddress import ip_address
from pathlib import Path

_INET, _INET6, _UNIX = 2, 10, 1
# Numbers of the fd_snapshot event: kinds of descriptors, and protocols.
_IPV4, _IPV6, _IPV4_SERVER, _IPV6_SERVER, _UNIX_KIND, _UNSUPPORTED, _NETLINK = 3, 4, 5, 6, 8, 10, 15
_LISTEN, _RAW = 0x0A, 5
_PROTOCOLS = (("tcp", 2), ("tcp6", 2), ("udp", 3), ("udp6", 3), ("icmp", 4), ("icmp6", 4), ("raw", 5), ("raw6", 5))


@dataclass(frozen=True)
class Socket:
    """What the kernel tells of one socket; `pair` and `address` as `Batch.append` takes them."""

    kind: int
    l4: int = 0
    pair: tuple[object, ...] | None = None
    address: tuple[int, str, int] | None = None
    path: bytes = b""


# What the kernel calls the protocol of a socket, and how that is told of one that has no address yet.
_BY_NAME = {
    **{"TCP": Socket(_IPV4, 2), "UDP": Socket(_IPV4, 3), "PING": Socket(_IPV4, 4), "RAW": Socket(_IPV4, 5)},
    **{"TCPv6": Socket(_IPV6, 2), "UDPv6": Socket(_IPV6, 3), "PINGv6": Socket(_IPV6, 4), "RAWv6": Socket(_IPV6, 5)},
    **{"UNIX": Socket(_UNIX_KIND), "UNIX-STREAM": Socket(_UNIX_KIND), "NETLINK": Socket(_NETLINK)},
}


def of_no_table(link: Path) -> Socket:
    """A socket that is in no table, as it is neither bound nor connected, or of a family that has none."""
    try:
        name = os.getxattr(link, "system.sockprotoname").rstrip(b"\0").decode(errors="replace")
    except OSError:
        name = ""
    return _BY_NAME.get(name, Socket(_UNSUPPORTED))


class Table:
    """The sockets of one namespace, read when first asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, inode: int) -> Socket | None:
        return self._sockets.get(inode)

    @cached_property
    def _sockets(self) -> dict[int, Socket]:
        found: dict[int, Socket] = {}
        for name, l4 in _PROTOCOLS:
            for words in self._rows(name):
                found[int(words[9])] = _internet(words, l4)
        for words in self._rows("unix"):
            # The kernel shows an abstract name with @; events have it without.
            path = os.fsencode(words[7]).removeprefix(b"@") if len(words) > 7 else b""
            found[int(words[6])] = Socket(_UNIX_KIND, pair=(_UNIX, int(words[0].rstrip(":"), 16), 0, path), path=path)
        for words in self._rows("netlink"):
            found[int(words[9])] = Socket(_NETLINK)
        return found

    def _rows(self, name: str) -> list[list[str]]:
        try:
            text = (self._folder / name).read_text(errors="surrogateescape")
        except OSError:
            return []
        return [line.split(maxsplit=7) if name == "unix" else line.split() for line in text.splitlines()[1:]]


def _internet(words: list[str], l4: int) -> Socket:
    local, local_port = _endpoint(words[1])
    remote, remote_port = _endpoint(words[2])
    six = ":" in local
    family = _INET6 if six else _INET
    if l4 == _RAW and not remote_port:
        return Socket(_IPV6 if six else _IPV4, l4)  # in place of a port stands the number of its protocol
    if (int(words[3], 16) == _LISTEN and l4 == 2) or not remote_port:
        return Socket(_IPV6_SERVER if six else _IPV4_SERVER, l4, address=(family, local, local_port))
    return Socket(_IPV6 if six else _IPV4, l4, pair=(family, local, local_port, remote, remote_port))


def _endpoint(text: str) -> tuple[str, int]:
    """`0100007F:1F90`: the address is told in 32-bit words of this machine."""
    address, _, port = text.partition(":")
    words = [int(address[at : at + 8], 16) for at in range(0, len(address), 8)]
    return str(ip_address(struct.pack(f"={len(words)}I", *words))), int(port, 16)
