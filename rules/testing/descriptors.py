"""Descriptors of a test: `on: /etc/shadow`, `on: 10.0.0.2:40000->203.0.113.7:443`, and the addresses in them."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Any

from tiercel.rules.document import Element, Scalar
from tiercel.rules.testing.form import Form

UNIX, IPV4, IPV6 = 1, 2, 10
LOCAL = {IPV4: "10.0.0.5", IPV6: "2001:db8::5"}
OWN = ("127.0.0.1", "::1", *LOCAL.values())
"""Addresses of the host that tests happen on."""
PROTOCOLS = {"tcp": 2, "udp": 3, "icmp": 4, "raw": 5}
KINDS = {
    **{"pipe": 7, "eventfd": 9, "signalfd": 11, "epoll": 12, "inotify": 13, "timerfd": 14, "netlink": 15},
    **{"bpf": 17, "userfaultfd": 18, "io_uring": 19, "pidfd": 21},
}
SERVERS = {IPV4: 5, IPV6: 6}
SOCKETS = {UNIX: 8, IPV4: 3, IPV6: 4}
FILE, DIRECTORY, MEMFD = 1, 2, 20
NAMED = {"unix": SOCKETS[UNIX], "memfd": MEMFD}

End = tuple[int, str, int]
"""Family, address or path, port."""


@dataclass(frozen=True, slots=True)
class Descriptor:
    """What a descriptor is before the test uses it, as a host tells it."""

    kind: int
    name: str | None = None
    protocol: int = 0
    ends: tuple[Any, ...] | None = None
    address: tuple[Any, ...] | None = None

    def params(self, number: int, flags: int) -> list[Any]:
        ino = 5_000_000 + number
        return [number, self.kind, self.name, flags, 0x801, ino, self.protocol, self.ends, self.address]


def end(form: Form, text: str, at: Element) -> End:
    """`203.0.113.7:443`, `[2001:db8::1]:443`, or the path of a Unix socket."""
    text = text.strip()
    if text.startswith(("/", "@", "unix:")):
        return UNIX, text.removeprefix("unix:"), 0
    found = re.fullmatch(r"(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+)|([0-9a-fA-F:.]*:[0-9a-fA-F:.]*)):(\d{1,5})", text)
    if not found:
        raise form.error(f"{text!r} is no address such as 203.0.113.7:443, [2001:db8::1]:443 or /run/socket", at)
    host, port = found[1] or found[2] or found[3], int(found[4])
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        raise form.error(f"{host!r} is no IP address", at) from None
    if port > 65535:
        raise form.error(f"there is no port {port}", at)
    return IPV4 if address.version == 4 else IPV6, str(address), port


def default_source(destination: End) -> End:
    """Where a connection to this end comes from if nobody says so."""
    family, host, _ = destination
    if family == UNIX:
        return UNIX, "", 0
    if ipaddress.ip_address(host).is_loopback:
        return family, host, 40000
    return family, LOCAL[family], 40000


def pair(form: Form, source: End, destination: End, at: Element) -> tuple[Any, ...]:
    """A connection as events carry it."""
    if source[0] != destination[0]:
        raise form.error("both ends of a connection are of one family", at)
    if destination[0] == UNIX:
        return UNIX, 0xFFFF_8880_0000_1000, 0xFFFF_8880_0000_2000, destination[1] or source[1]
    return source[0], source[1], source[2], destination[1], destination[2]


def ends(form: Form, text: str, at: Element) -> tuple[End, End]:
    """`source->destination`."""
    source, _, destination = text.partition("->")
    last = end(form, destination, at)
    return end(form, source, at) if source.strip() else default_source(last), last


def socket(family: int, protocol: str) -> Descriptor:
    """A socket that is neither bound nor connected."""
    return Descriptor(SOCKETS[family], protocol=0 if family == UNIX else PROTOCOLS[protocol])


def address(of: End) -> tuple[Any, ...]:
    return (UNIX, of[1]) if of[0] == UNIX else of


def read(form: Form, element: Element, proto: str = "tcp") -> Descriptor:
    """A descriptor as written after `on:`; a mapping can say more than the text."""
    if not isinstance(element, Scalar):
        node = form.mapping(element, "a descriptor", ("name", "proto"))
        if "name" not in node.items:
            raise form.error("a descriptor has a name: a path, a connection, or what it is", element)
        proto = protocol(form, node.items["proto"]) if "proto" in node.items else proto
        element = node.items["name"]
    text = form.text(element, "a descriptor")
    word, _, rest = text.partition(" ")
    if word in PROTOCOLS and rest:
        proto, text = word, rest
    if "->" in text and not text.startswith("/"):
        source, destination = ends(form, text, element)
        if destination[0] == UNIX:
            return Descriptor(SOCKETS[UNIX], name=destination[1])
        return Descriptor(SOCKETS[destination[0]], None, PROTOCOLS[proto], pair(form, source, destination, element))
    if re.search(r"^[^/].*:\d+$", text):
        where = end(form, text, element)
        return Descriptor(SERVERS[where[0]], None, PROTOCOLS[proto], None, address(where))
    return _named(form, text, element)


def _named(form: Form, text: str, at: Element) -> Descriptor:
    """A descriptor that has a name, or none."""
    kind, _, name = text.partition(":")
    if kind in NAMED and name:
        return Descriptor(NAMED[kind], name=name)
    if text.startswith("/"):
        return Descriptor(DIRECTORY if text.endswith("/") else FILE, name=text.rstrip("/") or "/")
    if text in KINDS:
        return Descriptor(KINDS[text], name="")
    raise form.error(
        f"{text!r} is no descriptor: write a path (with a slash at its end: a directory), source->destination, "
        f"address:port, unix:PATH, memfd:NAME, a number, or one of {', '.join(KINDS)}",
        at,
    )


def protocol(form: Form, element: Element) -> str:
    name = form.text(element, "proto")
    if name not in PROTOCOLS:
        raise form.unknown("protocol", name, PROTOCOLS, element)
    return name
