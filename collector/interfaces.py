"""Addresses of the host's interfaces, asked of the kernel through rtnetlink; part of the snapshot."""

import socket
import struct
from collections.abc import Iterator

from tiercel._engine import Batch

_RTM_NEWADDR, _RTM_GETADDR, _NLMSG_DONE, _NLMSG_ERROR = 20, 22, 3, 2
_REQUEST_DUMP = 0x301
_IFA_ADDRESS, _IFA_LOCAL, _IFA_BROADCAST = 1, 2, 4


def append(batch: Batch, now: int) -> None:
    """One interface_snapshot for each address."""
    for name, address, netmask, broadcast in addresses():
        batch.append("interface_snapshot", time=now, tid=-1, params=[name, address, netmask, broadcast])


def addresses() -> list[tuple[str, bytes, bytes, bytes]]:
    """(name, address, netmask, broadcast), packed in network order; none where the kernel does not answer."""
    try:
        names = dict(socket.if_nameindex())
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as netlink:
            netlink.settimeout(2)
            netlink.bind((0, 0))
            netlink.send(struct.pack("=IHHIIB3xI", 24, _RTM_GETADDR, _REQUEST_DUMP, 1, 0, 0, 0))
            return [found for message in _messages(netlink) if (found := _address(message, names)) is not None]
    except OSError:
        return []


def _messages(netlink: socket.socket) -> Iterator[bytes]:
    while True:
        data = netlink.recv(65536)
        while len(data) >= 16:
            length, kind = struct.unpack_from("=IH", data)
            if kind in {_NLMSG_DONE, _NLMSG_ERROR} or length < 16:
                return
            if kind == _RTM_NEWADDR:
                yield data[16:length]
            data = data[(length + 3) & ~3 :]


def _address(message: bytes, names: dict[int, str]) -> tuple[str, bytes, bytes, bytes] | None:
    family, prefix, _flags, _scope, index = struct.unpack_from("=BBBBI", message)
    attributes: dict[int, bytes] = {}
    at = 8
    while at + 4 <= len(message):
        length, kind = struct.unpack_from("=HH", message, at)
        if length < 4:
            break
        attributes[kind] = message[at + 4 : at + length]
        at += (length + 3) & ~3
    size = 4 if family == socket.AF_INET else 16
    address = attributes.get(_IFA_LOCAL, attributes.get(_IFA_ADDRESS, b""))
    if len(address) != size or index not in names:
        return None
    bits = 8 * size
    netmask = ((1 << bits) - (1 << (bits - prefix))).to_bytes(size, "big")
    return names[index], address, netmask, attributes.get(_IFA_BROADCAST, b"")
