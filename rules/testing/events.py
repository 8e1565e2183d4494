"""One event of a test: `openat: {name: /etc/shadow}` with `by:` and `on:`, and what follows where nothing is said."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from tiercel.rules.document import Element, Mapping, Scalar
from tiercel.rules.testing import descriptors, processes, values
from tiercel.rules.testing.descriptors import Descriptor
from tiercel.rules.testing.form import given, integer, merged
from tiercel.schemas import generated, tables

if TYPE_CHECKING:
    from tiercel.rules.testing.world import World

ABOUT = ("by", "on", "after", "before")
"""Keys of an event beside its name."""
RESULTS = ("errno", "fd", "pid", "int64")
TEXTS = ("charbuf", "fspath", "fsrelpath")
EXECS = ("execve", "execveat")
CLONES = ("clone", "clone3", "fork", "vfork")
DATAGRAMS = ("sendto", "sendmsg", "sendmmsg", "recvfrom", "recvmsg", "recvmmsg")
INCOMING = ("accept", "accept4", "recvfrom", "recvmsg", "recvmmsg")
AT_FDCWD, O_RDONLY, SIGTERM = -100, 1, 15
FIRST_CHILD = 500_000
"""Numbers of processes that a test only makes, and never describes."""


@dataclass(frozen=True, slots=True)
class Happened:
    """One event: its parameters as the engine takes them, and where it was written."""

    name: str
    time: int
    tid: int
    params: list[Any]
    at: Element


@cache
def known() -> dict[str, tables.Event]:
    """Events by name; system calls without one of their own stand for the general one."""
    seen = {event.code: event for event in tables.events() if event.source in ("syscall", "tracepoint")}
    out = {event.name: event for event in seen.values()}
    for row in generated.SYSCALLS:
        if row[1] not in out and row[3] in seen:
            out[row[1]] = seen[row[3]]
    return out


def read(world: World, item: Element) -> Happened:
    """The event that an item of `events:` tells."""
    form = world.form
    node = form.mapping(item, "an event")
    names = [name for name in node.items if name not in ABOUT]
    if len(names) != 1:
        what = "names no event" if not names else f"names {len(names)} events: {', '.join(names)}"
        raise form.error(f"an item of events {what}; it is NAME: {{…}} with {', '.join(ABOUT)} beside it", item)
    name = names[0]
    event = known().get(name)
    if event is None:
        raise form.unknown("event", name, (*known(), *ABOUT), node.keys[name])
    if "after" in node.items:
        world.time += form.duration(node.items["after"], "after")
    if "before" in node.items and event.name not in EXECS:
        raise form.error(
            "'before' says what a process was before it executed; it stands beside execve and execveat", node
        )
    given_params = _params(world, event, name, node)
    world.actor = None
    reader = _Reader(world, event, name, node, given_params)
    params = reader.all()
    assert world.actor
    return Happened(event.name, world.time, world.actor.pid, params, item)


def _params(world: World, event: tables.Event, name: str, node: Mapping) -> dict[str, Element]:
    """What is said of parameters, the defaults of this event below."""
    form = world.form
    short = _shortcuts(event)
    own = given(node.items[name])
    if isinstance(own, Scalar):
        main = _main(event)
        if main is None:
            raise form.error(f"{name} has no main parameter: write {name}: {{PARAMETER: …}}", own)
        own = Mapping({main: own}, {main: own}, own.place)
    below = world.defaults.items.get(name) if world.defaults else None
    whole = merged(given(below), own)
    if whole is None:
        return {}
    names = [*(param.name for param in event.params), *short]
    found = form.mapping(whole, name)
    for key, at in found.keys.items():
        if key not in names:
            raise form.unknown(f"parameter of {name}:", key, names, at)
    return found.items


def _shortcuts(event: tables.Event) -> list[str]:
    types = {param.type for param in event.params}
    out = ["res"] if event.params and event.params[0].type in RESULTS else []
    out += ["to"] if types & {"sockaddr", "socktuple"} else []
    return out + (["from", "proto"] if "socktuple" in types else ["proto"] if "sockaddr" in types else [])


def _main(event: tables.Event) -> str | None:
    """The parameter that a text alone stands for: where to, or the last path."""
    if event.name in EXECS:
        return "filename" if any(param.name == "filename" for param in event.params) else None
    if event.name in ("accept", "accept4"):
        return "from"
    if "to" in _shortcuts(event):
        return "to"
    paths = [param.name for param in event.params if param.type in TEXTS]
    return paths[-1] if len(paths) == 1 else None


class _Reader:
    """Fills the parameters of one event."""

    def __init__(self, world: World, event: tables.Event, name: str, node: Mapping, said: dict[str, Element]) -> None:
        self.world, self.event, self.name, self.node, self.said = world, event, name, node, said
        self.form, self.params = world.form, event.params
        self.out: dict[str, Any] = {}
        self.filled: dict[str, Any] = {}

    def all(self) -> list[Any]:
        world, event = self.world, self.event
        failed = self.result_said() is not None and int(self.result_said() or 0) < 0
        before = given(self.node.items.get("before"))
        if event.name in EXECS and not failed:
            world.actor = world.executing(self.node, before)
        else:
            world.actor = world.doer(self.node)
        if event.name in EXECS or event.name in CLONES:
            self.filled = processes.executed(world.actor, world.time)
        if event.name == "syscall":
            self.filled = dict(zip(("ID", "nativeID"), values.SYSCALLS.get(self.name, (0, 0)), strict=True))
        self.said_params()
        self.ends()
        self.on()
        params = [self.out[p.name] if p.name in self.out else self.default(i, p) for i, p in enumerate(self.params)]
        self.learn(params)
        return params

    # What is said

    def result_said(self) -> int | None:
        """The result, if the test says one and the event has one."""
        if not self.params or self.params[0].type not in RESULTS:
            return None
        element = given(self.said.get("res")) or given(self.said.get(self.params[0].name))
        if not isinstance(element, Scalar):
            return None
        number = integer(element.text)
        return number if number is not None else values.ERRORS.get(element.text.removeprefix("-"))

    def said_params(self) -> None:
        rows = {param.name: param for param in self.params}
        for key, element in self.said.items():
            if key in rows:
                self.out[key] = values.value(self.form, rows[key], element, self.world)
            elif key == "res":
                self.out[self.params[0].name] = values.value(self.form, self.params[0], element, self.world)

    def ends(self) -> None:
        """`to`, `from` and `proto` of events on sockets: the addresses, and the socket if there is none."""
        said = {key: self.said[key] for key in ("to", "from", "proto") if given(self.said.get(key)) is not None}
        default = "udp" if self.event.name in DATAGRAMS else "tcp"
        self.proto = descriptors.protocol(self.form, said["proto"]) if "proto" in said else default
        ends = {key: descriptors.end(self.form, self.form.text(said[key], key), said[key])
                for key in ("to", "from") if key in said}  # fmt: skip
        if not ends:
            return
        at = next(said[key] for key in ("to", "from") if key in said)
        there = ends.get("to") or self.local(ends["from"])
        here = ends.get("from") or descriptors.default_source(there)
        if there[0] != descriptors.UNIX:
            self.world.own[(there if self.event.name in INCOMING or self.event.name == "bind" else here)[1]] = None
        rows = {param.type: param.name for param in self.params}
        if "socktuple" in rows:
            self.out.setdefault(rows["socktuple"], descriptors.pair(self.form, here, there, at))
        if "sockaddr" in rows:
            self.out.setdefault(rows["sockaddr"], descriptors.address(there))
        if "on" not in self.node.items and self.event.fd is not None:
            name = self.params[self.event.fd].name
            if name not in self.out:
                self.out[name] = self.world.fresh_socket(there[0], self.proto)

    @staticmethod
    def local(of: descriptors.End) -> descriptors.End:
        """This host's end of a connection from elsewhere."""
        return (of[0], "/run/socket", 0) if of[0] == descriptors.UNIX else (of[0], descriptors.LOCAL[of[0]], 80)

    def on(self) -> None:
        """The descriptor that the event works on."""
        element = given(self.node.items.get("on"))
        if element is None and self.world.defaults and self.event.fd is not None:
            element = given(self.world.defaults.items.get("on"))
        if element is None:
            return
        if self.event.fd is None:
            raise self.form.error(f"{self.name} works on no descriptor", element)
        name = self.params[self.event.fd].name
        if name in self.said:
            raise self.form.error(f"'on' and '{name}' say the same", element)
        self.out[name] = self.world.descriptor(element, self.proto)

    # What is left out

    def default(self, index: int, param: tables.Param) -> Any:
        if index == 0 and param.type in RESULTS:
            return self.result()
        if param.name in self.filled:
            return self.filled[param.name]
        if param.type in ("fd", "fd32"):
            return self.descriptor(index)
        if param.type == "socktuple" and self.event.fd is not None:
            return self.world.tuple_of(self.out.get(self.params[self.event.fd].name, -1))
        return None if param.type in values.READERS else self.number(param)

    def number(self, param: tables.Param) -> int:
        if param.name in ("size", "len", "length"):
            return len(self.out.get("data") or b"")
        opens = param.flags == "file_flags" and self.event.name.startswith("open")
        signals = param.type == "sigtype" and self.event.name != "procexit"
        domain = descriptors.IPV4 if param.name == "domain" else 0
        return O_RDONLY if opens else SIGTERM if signals else domain

    def result(self) -> int:
        names = {param.name for param in self.params}
        if "creates_fd" in self.event.flags and not names & {"fd1", "fd2"}:
            return int(self.out["newfd"]) if "newfd" in self.out else self.world.next_fd()
        if self.event.name in CLONES:
            return FIRST_CHILD + len(self.world.happened)
        assert self.world.actor
        if self.event.name == "setsid":
            return self.world.actor.pid
        if not names & {"data", "size", "len"} or not self.event.category.startswith(("io_", "ipc")):
            return 0
        return len(self.out.get("data") or b"") or int(self.out.get("size") or self.out.get("len") or 0)

    def descriptor(self, index: int) -> int:
        """A directory that paths start from is the current one; any other descriptor is one that nobody knows."""
        if any(param.dirfd == index for param in self.params):
            return AT_FDCWD
        if self.event.name in ("mmap", "mmap2"):
            return -1
        return self.world.next_fd()

    # What later events of the test may rely on

    def learn(self, params: list[Any]) -> None:
        actor = self.world.actor
        assert actor
        by_name = {param.name: value for param, value in zip(self.params, params, strict=True)}
        result = params[0] if self.params and self.params[0].type in RESULTS else 0
        if not isinstance(result, int) or (result < 0 and result != values.ERRORS["EINPROGRESS"]):
            return
        tuple_name = next((param.name for param in self.params if param.type == "socktuple"), "")
        ends = by_name.get(tuple_name)
        if self.event.name.startswith(("open", "creat")) and isinstance(by_name.get("name"), str):
            path = by_name["name"]
            folder = actor.now.cwd.rstrip("/")
            absolute = path if path.startswith("/") else f"{folder}/{path}"
            actor.fds[Descriptor(descriptors.FILE, name=absolute)] = result
        elif self.event.name == "memfd_create":
            actor.fds[Descriptor(descriptors.MEMFD, name=str(by_name["name"]))] = result
        elif self.event.name == "socket":
            actor.new_socket = (result, by_name["domain"])
        elif self.event.name in ("connect", "accept", "accept4") and ends and ends[0] != descriptors.UNIX:
            number = result if self.event.name != "connect" else by_name["fd"]
            actor.fds[Descriptor(descriptors.SOCKETS[ends[0]], None, descriptors.PROTOCOLS[self.proto], ends)] = number
        elif self.event.name == "close":
            actor.fds = {key: number for key, number in actor.fds.items() if number != by_name["fd"]}
