"""What a worker knows of the hosts of one partition: their runs, their states, and how far their messages have come."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tiercel._engine import Host
from tiercel.processors.sequence import Run
from tiercel.processors.snapshot import MAX_RUNS

_REMEMBERED = 4
"""Hosts without a state whose numbers are remembered, for each host that may have one."""


@dataclass
class Known:
    """A host after its message at `offset`.

    `lives` are its runs, the current one last. One host has one state, which a new run takes over (the engine begins
    anew by itself); only where two runs were seen to send in turn each keeps its own.
    """

    lives: list[tuple[Run, Host | None]] = field(default_factory=list)
    # Messages that went to quarantine since the last good batch.
    pending: int = 0
    offset: int = -1
    # How often a run came back after another had begun.
    twins: int = 0

    @property
    def current(self) -> Run | None:
        return self.lives[-1][0] if self.lives else None

    def find(self, boot_id: str, run: int) -> Run | None:
        return next((life for life, _ in self.lives if (life.boot_id, life.run) == (boot_id, run)), None)

    def host_for(self, run: Run, *, new: bool, make: Callable[[], Host]) -> Host:
        """The state that a batch of this run changes; nothing is noted yet."""
        if new:
            last = self.lives[-1][1] if self.lives and not self.twins else None
            return last if last is not None else make()
        return next(host for life, host in self.lives if life is run) or make()

    def enter(self, run: Run, host: Host) -> Host | None:
        """Note that this run is the current one; the state that went for it, if one did."""
        if self.lives and self.lives[-1][0] is run and self.lives[-1][1] is host:
            return None
        # A state is that of one run alone.
        others = [(life, None if state is host else state) for life, state in self.lives if life is not run]
        gone = others[0][1] if len(others) >= MAX_RUNS else None
        self.lives = [*others[-MAX_RUNS + 1 :], (run, host)]
        return gone

    def states(self) -> list[Host]:
        return [host for _, host in self.lives if host is not None]


class Partition:
    """At most `max_hosts` hosts with a state and some more without; of each kind the one longest unheard goes first."""

    def __init__(self, max_hosts: int, *, middle: bool = False) -> None:
        self._middle = middle
        self._max_hosts = max_hosts
        self._live: OrderedDict[bytes, Known] = OrderedDict()
        self._others: OrderedDict[bytes, Known] = OrderedDict()
        self._gone: list[bytes] = []
        # Hosts of which something was known once, and what it was is lost.
        self._lost: set[bytes] = set()

    @property
    def live(self) -> int:
        return len(self._live)

    def get(self, host_id: bytes) -> Known | None:
        return self._live.get(host_id) or self._others.get(host_id)

    def known(self, host_id: bytes) -> Known:
        """What is known of a host, a new one's nothing, which is not kept."""
        return self.get(host_id) or Known()

    def is_past(self, host_id: bytes, offset: int) -> bool:
        known = self.get(host_id)
        return known is not None and offset <= known.offset

    def add(self, host_id: bytes, known: Known) -> None:
        """A host whose state is there."""
        self._others.pop(host_id, None)
        self._live[host_id] = known
        self._live.move_to_end(host_id)

    def touch(self, host_id: bytes) -> Known:
        """The host was heard last."""
        known = self._live.get(host_id)
        if known is not None:
            self._live.move_to_end(host_id)
            return known
        known = self._others.setdefault(host_id, Known())
        self._others.move_to_end(host_id)
        while len(self._others) > _REMEMBERED * self._max_hosts:
            self._gone.append(self._others.popitem(last=False)[0])
        return known

    def put(self, host_id: bytes, known: Known) -> None:
        """A host that was restored; the one heard last comes last."""
        (self._live if known.states() else self._others)[host_id] = known

    def in_order(self) -> None:
        """Put hosts that were restored into the order in which they were heard."""
        for hosts in (self._live, self._others):
            for host_id in sorted(hosts, key=lambda known: hosts[known].offset):
                hosts.move_to_end(host_id)

    def adopts(self, host_id: bytes) -> bool:
        """Whether the first batch of a host may have any number: those before it need not be missing."""
        return self._middle or host_id in self._lost

    def lose(self, host_id: bytes) -> None:
        self._lost.add(host_id)
        self._live.pop(host_id, None)
        self._others.pop(host_id, None)

    def too_many(self, offset: int) -> Iterator[tuple[bytes, list[Host]]]:
        """Take the states of those that are too many, whose numbers stay known."""
        while len(self._live) > self._max_hosts:
            host_id, known = self._live.popitem(last=False)
            states = known.states()
            known.lives, known.offset = [(run, None) for run, _ in known.lives], offset
            self._others[host_id] = known
            yield host_id, states

    def hosts(self) -> list[tuple[bytes, Known]]:
        return list(self._live.items())

    def take_gone(self) -> Iterator[bytes]:
        gone, self._gone = self._gone, []
        return iter(host_id for host_id in gone if self.get(host_id) is None)
