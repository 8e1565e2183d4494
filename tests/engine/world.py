"""A small host whose threads act, and the events that its kernel tells of them: for the model test.

Numbers come from few bytes, so that threads, descriptors and names meet often and examples shrink.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tests.engine.events import EVENTS
from tests.engine.oracle import IN_PIDNS, SECOND, Oracle
from tests.engine.oracle_fds import Process, Thread

START = 1_795_461_320_000_000_000
TIDS = (1, 100, 101, 102, 103, 200, 201, 300, 301)
# Thread, process, parent and the numbers in its namespace: the last is the first of one.
FIRST = (
    (1, 1, 0, (1, 1)),
    (100, 100, 1, (100, 100)),
    (101, 100, 1, (101, 100)),
    (200, 200, 100, (200, 200)),
    (300, 300, 200, (1, 1)),
)
STRANGERS = (900, 901)
FDS = range(7)
ERRORS = (-1, -9, -13, -22)


@dataclass
class Picks:
    """Choices made by bytes, zero after the last."""

    data: bytes

    def of(self, choices: Sequence[Any]) -> Any:
        """One of them."""
        byte, self.data = (self.data[0], self.data[1:]) if self.data else (0, b"")
        return choices[byte % len(choices)]

    def odd(self, one_in: int) -> bool:
        """Mostly not."""
        return bool(self.of((False,) * (one_in - 1) + (True,)))

    def new_fd(self) -> int:
        """A descriptor, or an error."""
        return -24 if self.odd(8) else int(self.of(FDS))

    def result(self, good: int = 0) -> int:
        """Mostly the good one."""
        return int(self.of(ERRORS)) if self.odd(6) else good


@dataclass
class Delayed:
    """An exit of a clone that is told only after some other acts."""

    after: int
    tid: int
    tell: Callable[[], None]


class World:
    """A host that acts, and the oracle that follows its events."""

    def __init__(self, crowd: int = 5) -> None:
        self.oracle = Oracle()
        self.events: list[tuple[str, int, int, dict[str, Any]]] = []
        self.time = START
        self.delayed: list[Delayed] = []
        self.gone: dict[int, int] = {}
        for tid, pid, ptid, virtual in FIRST[:crowd]:
            self._there(tid, pid, ptid, virtual)

    def _there(self, tid: int, pid: int, ptid: int, virtual: tuple[int, int]) -> None:
        vtid, vpid = virtual
        own = {"comm": f"c{tid}", "exe": "/bin/e", "exepath": "/bin/e", "args": ["-x"], "fdlimit": 1024, "tty": 0}
        own |= {"uid": 7, "gid": 8, "loginuid": 9, "clone_ts": START - 1000 * SECOND}
        own |= dict.fromkeys(("cap_inheritable", "cap_permitted", "cap_effective"), 0)
        shared = {"sid": pid, "pgid": pid, "vpgid": vpid, "cwd": "/w/", "root": "/"}
        leader = self.oracle.threads.get(pid)
        process = leader.process if leader and leader.process else Process(pid, **shared)
        virtual_ids = {"vtid": vtid, "vpid": vpid}
        inside = tid != vtid
        self.oracle.announce(process, tid=tid, ptid=ptid, facts=dict(own), in_pidns=inside, **virtual_ids)
        params = {"pid": pid, "ptid": ptid, "flags": IN_PIDNS if inside else 0} | virtual_ids | own | shared
        self.events.append(("thread_snapshot", 0, tid, params))

    def tell(self, name: str, tid: int, /, **params: Any) -> None:
        """An event, to the oracle too."""
        self.time += 1_000_000
        params = {param[0]: params.pop(param[0], None) for param in EVENTS[name][6]} | params
        self.oracle.apply(name, self.time, tid, params)
        self.events.append((name, self.time, tid, params))
        for gone in TIDS:
            if gone not in self.oracle.threads:
                self.gone.setdefault(gone, self.time)
            else:
                self.gone.pop(gone, None)

    def able(self) -> list[Thread]:
        """Threads that can act: they are known, run, and are in no clone."""
        waiting = {delayed.tid for delayed in self.delayed}
        threads = (thread for _, thread in sorted(self.oracle.threads.items()))
        return [t for t in threads if t.process and not t.dead and t.tid not in waiting]

    def heir_is_certain(self, thread: Thread) -> bool:
        """Which of several threads of a process takes over children of one that goes is left open."""
        mates = self.oracle.alive(thread.process) if thread.process else []
        above = self.oracle.reaper_above(thread)
        heirs = [mate for mate in mates if mate is not thread]
        return len(heirs or (self.oracle.alive(above.process) if above and above.process else [])) < 2

    def act(self, act: "Act", data: bytes) -> None:
        """One act of some thread, and what is told late before it."""
        for delayed in list(self.delayed):
            delayed.after -= 1
            if delayed.after < 0:
                self.delayed.remove(delayed)
                self.oracle.settle()
                delayed.tell()
        self.oracle.settle()
        picks = Picks(data)
        able = self.able()
        if able:
            thread = picks.of(able)
            assert thread.process is not None
            act(self, thread, thread.process, picks)


Act = Callable[[World, Thread, Process, Picks], None]
