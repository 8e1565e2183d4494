"""A source with the containers of its events: what their runtimes tell comes as events among the others."""

import json
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Collection
from functools import partial

from tiercel._engine import Batch, ContainerIds
from tiercel.collector.containers import sockets
from tiercel.collector.containers.inquiry import Inquiry
from tiercel.collector.containers.runtime import Container, Runtime
from tiercel.collector.sources import Loss, Source
from tiercel.config import Collector as Settings

log = logging.getLogger(__name__)

# Most bytes of what one event tells; what is long and least asked for goes first.
_MOST_BYTES = 64 * 1024
_LONG = ("cni_json", "port_mappings", "pod_sandbox_labels", "labels", "Mounts")
# Most containers that wait to be told, most bytes of these, and most that one read tells.
_MOST_LEARNT, _MOST_WAITING, _AT_ONCE = 8192, 32 << 20, 100


def with_containers(source: Source, settings: Settings) -> Source:
    """The source, with its containers where they are wanted."""
    if not settings.containers:
        return source
    find = partial(sockets.found, settings.container_sockets)
    return ContainerSource(source, find, pending=settings.max_pending_containers)


class ContainerSource:
    """Another source's events, and `container` events of what the runtimes tell of their containers.

    `find` gives the runtimes whose names are not among the known ones; a thread calls it every `look` seconds.
    """

    def __init__(
        self,
        source: Source,
        find: Callable[[Collection[str]], list[Runtime]],
        *,
        pending: int = 4096,
        look: float = 10.0,
    ) -> None:
        self._source, self._find, self._pending, self._every = source, find, pending, look
        self._ids = ContainerIds()
        self._learnt: deque[tuple[str, bytes]] = deque()
        self._room, self._lock = _MOST_WAITING, threading.Lock()
        self.dropped = 0
        self._inquiries: list[Inquiry] = []
        self._names: set[str] = set()
        self._find_runtimes()
        self._ended = threading.Event()
        self._lookout = threading.Thread(target=self._look_out, name="container runtimes", daemon=True)
        self._lookout.start()

    def read(self, batch: Batch, limit: int) -> int:
        told = self._tell(batch, min(limit, _AT_ONCE))
        before = len(batch)
        count = self._source.read(batch, limit - told) if told < limit else 0
        self._look(batch, before)
        return told + count

    def snapshot(self, batch: Batch) -> None:
        before = len(batch)
        self._source.snapshot(batch)
        self._look(batch, before)

    def retell(self) -> None:
        self._ids = ContainerIds()
        for inquiry in self._inquiries:
            inquiry.tell_again()
        self._source.retell()

    def produced(self) -> int:
        return self._source.produced()

    def losses(self) -> list[Loss]:
        return self._source.losses()

    def shed(self) -> list[Loss]:
        return self._source.shed()

    def wait(self, timeout: float) -> None:
        self._source.wait(timeout)

    def finished(self) -> bool:
        return self._source.finished()

    def stop(self) -> None:
        self._source.stop()

    def close(self) -> None:
        self._ended.set()
        self._lookout.join(5.0)
        for inquiry in self._inquiries:
            inquiry.close()
        self._source.close()
        counted = self.counters()
        if any(counted.values()):
            log.warning("containers were not told for want of room or answers %s", counted)

    def counters(self) -> dict[str, int]:
        """Containers never asked for or told because there were too many, and requests that failed."""
        inquiries = self._inquiries
        return {
            "dropped": self.dropped + sum(inquiry.dropped for inquiry in inquiries),
            "failures": sum(inquiry.failures for inquiry in inquiries),
        }

    def _look_out(self) -> None:
        while not self._ended.wait(self._every):
            try:
                self._find_runtimes()
            except Exception:  # whatever stands in the way now may not the next time
                log.exception("container runtimes could not be looked for")

    def _find_runtimes(self) -> None:
        """One that is found tells of all its containers at once."""
        for runtime in self._find(self._names):
            self._names.add(runtime.name)
            self._inquiries.append(Inquiry(runtime, self._learn, self._forget, pending=self._pending))

    def _look(self, batch: Batch, start: int) -> None:
        for short, full, engine in self._ids.look(batch, start):
            # Names of lxc and nspawn may be any bytes; JSON is text.
            name = full.decode(errors="replace")
            if engine is not None:
                known = {"id": short.decode(errors="replace"), "full_id": name, "type": engine, "name": name}
                self._learn(known)
                continue
            for inquiry in self._inquiries:
                inquiry.ask(name)

    def _learn(self, container: Container) -> None:
        self._say("container", container)

    def _forget(self, full_id: str) -> None:
        self._say("container_removed", {"id": full_id[:12], "full_id": full_id})

    def _say(self, name: str, container: Container) -> None:
        # In the thread that asked: a reader only takes bytes.
        told = encoded(container)
        with self._lock:
            if len(self._learnt) >= _MOST_LEARNT or self._room < len(told):
                self.dropped += 1
            else:
                self._room -= len(told)
                self._learnt.append((name, told))

    def _tell(self, batch: Batch, limit: int) -> int:
        """What is learnt counts for all that still waits in the batch, too; what is forgotten, from here on."""
        early, told = Batch(), 0
        while told < limit and self._learnt:
            name, container = self._learnt.popleft()
            with self._lock:
                self._room += len(container)
            to = early if name == "container" else batch
            to.append("asyncevent", time=time.time_ns(), tid=-1, params=[0, name, container])
            told += 1
        if len(early):
            batch.put_first(early)
        return told


def encoded(container: Container) -> bytes:
    """The JSON of an event about a container, within the limit."""
    data = _json(container)
    for key in _LONG:
        excess = len(data) - _MOST_BYTES
        if excess <= 0:
            break
        value = container.get(key)
        # Of labels the longest go, those that make a pod last.
        left = {key: _shorter(value, excess)} if isinstance(value, dict) else {}
        data = _json(container := {name: known for name, known in container.items() if name != key} | left)
    return data + b"\0"


def _json(container: Container) -> bytes:
    return json.dumps({"container": container}).encode()


def _shorter(labels: dict[str, str], excess: int) -> dict[str, str]:
    sizes = {key: len(json.dumps({key: value})) for key, value in labels.items()}
    for key in sorted(labels, key=lambda key: (key.startswith("io.kubernetes."), -sizes[key])):
        if excess <= 0:
            break
        excess -= sizes[key]
        labels = {name: value for name, value in labels.items() if name != key}
    return labels
