"""What threads do to sockets, for the model test; what the semantics leave open is not done, as comments say."""

from typing import Any

from tests.engine.oracle_fds import O_CLOEXEC, Descriptor, Process, Thread
from tests.engine.oracle_sockets import EINPROGRESS, IPV4, IPV6, NETLINK, SOCK_CLOEXEC, UNIX
from tests.engine.world import FDS, Act, Picks, World

IPS = {"ipv4": ("10.0.0.1", "10.0.0.2"), "ipv6": ("fd00::1", "fd00::2")}
PORTS = (53, 80, 5000)
POINTERS = (0xFFFF8800AB00, 0x10)


def _sockets(process: Process, *types: str) -> list[int]:
    return [number for number, fd in sorted(process.fds.items()) if fd.type in types]


def _ends(fd: Descriptor, picks: Picks, count: int) -> list[Any]:
    """Family, and addresses with ports of it; those of IPv4 also as IPv6 writes them."""
    written = "::ffff:" if fd.type == "ipv4" and picks.odd(4) else ""
    ends = [(written + picks.of(IPS[fd.type]), picks.of(PORTS)) for _ in range(count)]
    return [IPV6 if written or fd.type == "ipv6" else IPV4, *(part for end in ends for part in end)]


def socket(world: World, thread: Thread, process: Process, picks: Picks) -> None:
    domain, kind = picks.of((IPV4, IPV4, IPV4, IPV6, UNIX, NETLINK, 17)), picks.of((2, 1, 2, 1, 3))
    proto = picks.of((0, 0, {1: 6, 2: 17, 3: 255}[kind], {1: 132, 2: 1, 3: 1}[kind]))
    flags = picks.of((0, O_CLOEXEC))
    world.tell("socket", thread.tid, fd=picks.new_fd(), domain=domain, type=kind, proto=proto, flags=flags)


def pair(world: World, thread: Thread, process: Process, picks: Picks) -> None:
    params = {"fd1": picks.of(FDS), "fd2": picks.of(FDS), "source": POINTERS[0], "peer": POINTERS[1]}
    if params["fd1"] != params["fd2"]:
        kind = 1 | picks.of((0, SOCK_CLOEXEC))
        world.tell("socketpair", thread.tid, res=picks.result(), domain=UNIX, type=kind, proto=0, **params)


def bind(world: World, thread: Thread, process: Process, picks: Picks) -> None:
    """The kernel binds nothing that has a peer."""
    free = [number for number in _sockets(process, "ipv4", "ipv6", "unix") if process.fds[number].source is None]
    if not free:
        return
    number = picks.of(free)
    fd = process.fds[number]
    if fd.type == "unix":
        address: tuple[Any, ...] = (UNIX, picks.of(("/run/a", "/run/b")))
    else:
        family, ip, port = _ends(fd, picks, 1)
        address = (family, ip, 0 if picks.odd(5) else port)
    world.tell("bind", thread.tid, res=picks.result(), addr=address, fd=number)


def connect(world: World, thread: Thread, process: Process, picks: Picks) -> None:
    """What a unix socket is connected to without a tuple is left open."""
    numbers = _sockets(process, "ipv4", "ipv6", "unix")
    if not numbers:
        return
    number = picks.of(numbers)
    fd = process.fds[number]
    result = picks.of((0, 0, EINPROGRESS, -111))
    if fd.type == "unix":
        path = picks.of(("/run/a", "/run/b"))
        told: tuple[Any, ...] | None = (UNIX, *POINTERS, path)
        address: tuple[Any, ...] = (UNIX, path)
    else:
        told = tuple(_ends(fd, picks, 2))
        family, _, _, ip, port = told
        # Where the exit's address is another than the call's, the call's counts.
        address = (family, ip, picks.of(PORTS) if picks.odd(4) else port)
        told = None if picks.odd(4) else told
    world.tell("connect", thread.tid, res=result, tuple=told, fd=number, addr=address)


def accept(world: World, thread: Thread, process: Process, picks: Picks) -> None:
    name = picks.of(("accept", "accept4"))
    family = picks.of(("ipv4", "ipv6", "unix"))
    told = (UNIX, *POINTERS, "/run/a") if family == "unix" else tuple(_ends(Descriptor(family), picks, 2))
    params = {"flags": picks.of((0, SOCK_CLOEXEC))} if name == "accept4" else {}
    world.tell(name, thread.tid, fd=picks.new_fd(), tuple=told, **params)


def transfer(world: World, thread: Thread, process: Process, picks: Picks) -> None:
    """Messages over sockets of IP. Over others, and what a socket without a role hears first, is left open.

    So is who serves where a process talks to a port of its own, and what receives over something unknown.
    """
    sends = not picks.odd(2)
    numbers = _sockets(process, "ipv4", "ipv6")
    number = picks.of([*numbers, *numbers, *(n for n in FDS if n not in process.fds)] or [0])
    fd = process.fds.get(number, Descriptor(picks.of(("ipv4", "ipv6"))))
    if fd.type not in IPS or (number not in process.fds and not sends):
        return
    told = None if picks.odd(4) else tuple(_ends(fd, picks, 2))
    ports = [other.destination[1] for other in process.fds.values() if other.role == "server" and other.l4proto]
    if told is not None and fd.role is None and (not sends or told[4] in ports):
        return
    name = picks.of(("sendto", "sendmsg") if sends else ("recvfrom", "recvmsg"))
    world.tell(name, thread.tid, res=picks.result(3), fd=number, tuple=told)


ACTS: dict[str, Act] = {
    "accept": accept,
    "bind": bind,
    "connect": connect,
    "socket": socket,
    "socket again": socket,
    "socketpair": pair,
    "transfer": transfer,
    "transfer again": transfer,
}
