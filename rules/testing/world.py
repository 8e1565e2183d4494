"""What a test tells, as real events: first those by which a host tells its state, then what processes do."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field, replace
from typing import Any

from tiercel._engine import Batch
from tiercel.rules.document import Element, Mapping, Scalar
from tiercel.rules.testing import descriptors, events, processes
from tiercel.rules.testing.containers import Container
from tiercel.rules.testing.descriptors import Descriptor
from tiercel.rules.testing.form import NONE, Form, given, integer
from tiercel.rules.testing.people import People
from tiercel.rules.testing.processes import INIT, SHIM, Description, Process

TIME = 1_767_323_045_000_000_000
"""When tests happen: 2026-01-02 03:04:05 UTC."""
STEP = 1_000_000
FIRST_PID = 1001


@dataclass(slots=True)
class World:
    """The processes, descriptors, users and containers of a test, and its events so far."""

    form: Form
    defaults: Mapping | None = None
    people: People = field(default_factory=People)
    happened: list[events.Happened] = field(default_factory=list)
    time: int = TIME
    _processes: dict[int, Process] = field(default_factory=dict)
    _now: dict[tuple[Description, int], Process] = field(default_factory=dict)
    _called: dict[str, Process] = field(default_factory=dict)
    _descriptors: list[tuple[int, list[Any]]] = field(default_factory=list)
    own: dict[str, None] = field(default_factory=lambda: dict.fromkeys(descriptors.OWN))
    """Addresses of the host."""
    actor: Process | None = None
    """Whose event is being read."""
    _at: Element = field(default_factory=lambda: Mapping({}, {}, NONE))

    # Processes

    def by(self, item: Mapping) -> tuple[Description | None, str | None, Mapping | Scalar | None]:
        """The description of who does an event (None: the process of that name), and the name it is given."""
        own = given(item.items.get("by"))
        name = None
        if isinstance(own, Scalar) and own.text in self._called:
            return None, own.text, own
        if isinstance(own, Mapping) and "as" in own.items:
            name = self.form.text(own.items["as"], "as")
            if set(own.items) == {"as"} and name in self._called:
                return None, name, own
        below = self.defaults.items.get("by") if self.defaults else None
        whole = given(processes.laid_over(below, own))
        return processes.read(self.form, whole, self.people), name, own  # type: ignore[return-value]

    def doer(self, item: Mapping) -> Process:
        """The process that does an event."""
        description, name, own = self.by(item)
        if description is None:
            return self._called[str(name)]
        process = self.process(description)
        if name is not None and self._called.setdefault(name, process) is not process:
            raise self.form.error(f"the process {name!r} was described otherwise before", own or item)
        return process

    def process(self, description: Description) -> Process:
        """The process so described, which exists from the start if nobody made it before."""
        return self._made(description, self._parent(description))

    def executing(self, item: Mapping, before: Element | None) -> Process:
        """The process that becomes what `by` describes; before, it is what `before` says, else a copy of its parent."""
        description, name, own = self.by(item)
        if description is None:
            return self._called[str(name)]
        parent = self._parent(description)
        there = self._called.get(name) if name is not None else None
        if there is None and before is not None:
            old = processes.read(self.form, before, self.people, description.container)
            there = self.process(old if old.parents else replace(old, parents=description.parents))
        there = there or self._now.get(_key(description, parent))
        if there is None:
            of = replace(parent.now if parent else description, parents=())
            first = replace(
                of, container=description.container, cgroups=description.cgroups, numbers=description.numbers,
                login=description.login, tty=description.tty, cwd=description.cwd, root=description.root, age=STEP,
            )  # fmt: skip
            there = self._new(first, description, parent, own or item)
        self._now = {key: process for key, process in self._now.items() if process is not there}
        there.now = replace(description, parents=())
        self._now[_key(description, there.parent)] = there
        if name is not None:
            self._called[name] = there
        return there

    def _parent(self, description: Description) -> Process | None:
        chain = list(description.parents)
        last = chain[-1] if chain else description
        if last.number("pid") != 1:
            if chain and last.container is None and last.name in ("systemd", "init"):
                chain[-1] = replace(last, numbers=(("pid", 1),))
            else:
                chain += [SHIM, INIT] if last.container else [INIT]
        parent = None
        for above in reversed(chain):
            parent = self._made(above, parent)
        return parent

    def _made(self, description: Description, parent: Process | None) -> Process:
        key = _key(description, parent)
        if key not in self._now:
            of = replace(description, parents=())
            self._now[key] = self._new(of, of, parent, None)
        return self._now[key]

    def _new(self, first: Description, now: Description, parent: Process | None, at: Element | None) -> Process:
        wanted = first.number("pid")
        pid = wanted or FIRST_PID + len(self._processes)
        while wanted is None and pid in self._processes:
            pid += 1
        if pid in self._processes:
            raise self.form.error(f"two processes have the number {pid}", at or self._at)
        self._processes[pid] = Process(pid, parent, first, now)
        return self._processes[pid]

    def pid_of(self, element: Element) -> int:
        """The number of a process that a parameter names: `self`, `parent`, a name given by `as`, or a description."""
        assert self.actor
        if isinstance(element, Scalar):
            if element.text == "self":
                return self.actor.pid
            if element.text == "parent":
                return self.actor.parent.pid if self.actor.parent else 0
            if element.text in self._called:
                return self._called[element.text].pid
            if not element.text.startswith("/"):
                known = ["self", "parent", *self._called]
                raise self.form.unknown("process", element.text, known, element)
        return self.process(processes.read(self.form, element, self.people, self.actor.now.container)).pid

    # Descriptors

    def descriptor(self, element: Element, proto: str = "tcp") -> int:
        """The number of a descriptor of the actor; one that it has not made is there from the start."""
        assert self.actor
        number = integer(element.text) if isinstance(element, Scalar) else None
        if number is not None:
            return number
        descriptor = descriptors.read(self.form, element, proto)
        if descriptor.ends and descriptor.ends[3] not in self.own:
            self.own[descriptor.ends[1]] = None
        return self.has(descriptor)

    def has(self, descriptor: Descriptor) -> int:
        assert self.actor
        number = self.actor.fds.get(descriptor)
        if number is None:
            number = self.next_fd()
            self.actor.fds[descriptor] = number
            self._descriptors.append((self.actor.pid, descriptor.params(number, 3)))
        return number

    def fresh_socket(self, family: int, proto: str) -> int:
        """A socket of the actor that is not connected: the one it made last, or one that is there from the start."""
        assert self.actor
        if self.actor.new_socket is not None and self.actor.new_socket[1] == family:
            (number, _), self.actor.new_socket = self.actor.new_socket, None
            return number
        number = self.next_fd()
        self._descriptors.append((self.actor.pid, descriptors.socket(family, proto).params(number, 3)))
        return number

    def next_fd(self) -> int:
        assert self.actor
        self.actor.next_fd += 1
        return self.actor.next_fd - 1

    def tuple_of(self, number: int) -> tuple[Any, ...] | None:
        """The ends of a connected socket of the actor."""
        assert self.actor
        return next((known.ends for known, at in self.actor.fds.items() if at == number), None)

    # Events

    def event(self, item: Element) -> None:
        """Add one event of a test."""
        self._at = item
        self.happened.append(events.read(self, item))
        self.time += STEP

    def batch(self) -> Batch:
        """All of it, as a recording has it."""
        batch = Batch()
        containers = self._containers()
        for container in containers:
            if container.told:
                batch.append("container", time=0, tid=-1, params=[container.told])
        for address in self.own:
            packed = ipaddress.ip_address(address).packed
            mask = b"\xff" * 3 + b"\0" if len(packed) == 4 else b"\xff" * 8 + b"\0" * 8
            batch.append("interface_snapshot", time=0, tid=-1, params=["eth0", packed, mask, b""])
        self.people.user("root")
        self.people.group("root")
        for scope in ("", *(container.short_id for container in containers)):
            for user in self.people.users.values():
                gid = self.people.groups.get(user.name, user.uid)
                params = [user.uid, gid, user.name, user.home, user.shell, scope]
                batch.append("useradded", time=0, tid=-1, params=params)
            for name, gid in self.people.groups.items():
                batch.append("groupadded", time=0, tid=-1, params=[gid, name, scope])
        for process in self._processes.values():
            params = processes.snapshot(process, TIME)
            self._append(batch, events.Happened("thread_snapshot", 0, process.pid, params, self._at))
        for tid, params in self._descriptors:
            self._append(batch, events.Happened("fd_snapshot", 0, tid, params, self._at))
        for event in self.happened:
            self._append(batch, event)
        return batch

    def _append(self, batch: Batch, event: events.Happened) -> None:
        try:
            batch.append(event.name, time=event.time, tid=event.tid, params=event.params)
        except (ValueError, TypeError, OverflowError) as error:
            raise self.form.error(f"{event.name}: {error}", event.at) from None

    def _containers(self) -> list[Container]:
        found: dict[str, Container] = {}
        for process in self._processes.values():
            for of in (process.first, process.now):
                if of.container:
                    known = found.setdefault(of.container.short_id, of.container)
                    found[of.container.short_id] = known if known.told else of.container
        return list(found.values())


def _key(description: Description, parent: Process | None) -> tuple[Description, int]:
    return replace(description, parents=()), parent.pid if parent else 0
