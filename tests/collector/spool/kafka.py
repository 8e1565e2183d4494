"""What the tests of the spool use: a producer that can be away, batches of a run, and the books of what arrived."""

from collections import Counter
from itertools import pairwise
from pathlib import Path

from tiercel._engine import Batch, decode_raw, encode_raw
from tiercel.collector.identity import Identity
from tiercel.collector.spool import Spool
from tiercel.joints.base import Done
from tiercel.processors.worker import Worker
from tiercel.schemas import avro, topics


class Broker:
    """Takes `room` messages, and says that they are safe while it is not `away`; `refuse` says no with a reason."""

    def __init__(self, *, away: bool = False, room: int = 1000) -> None:
        self.away, self.room = away, room
        self.refuse: str | None = None
        self.waiting: list[tuple[bytes, Done]] = []
        self.messages: list[bytes] = []

    def send(self, topic, key, value, partition=None, *, timeout=0.0, done=None) -> bool:
        if len(self.waiting) >= self.room:
            return False
        self.waiting.append((value, done))
        return True

    def poll(self) -> None:
        while self.waiting and not self.away:
            value, done = self.waiting.pop(0)
            if self.refuse is None:
                self.messages.append(value)
            done(self.refuse)

    def flush(self, timeout: float = 10.0) -> int:
        self.poll()
        return len(self.waiting)

    def close(self) -> None:
        pass


class Run:
    """Makes the batches of a run, two events of the kernel in each and one of the host, and puts them."""

    def __init__(self, run: int = 1000, host: str = "host-1") -> None:
        self.identity = Identity(host, "one", "boot-1", run)
        self.seq, self.numbered, self.told, self.ring = run, 0, 0, 0

    def put(self, spool: Spool, *, lost: int = 0, size: int = 10, timeout: float = 5.0) -> bool:
        batch = Batch()
        batch.append("groupadded", time=1, tid=-1, params=[0, "root", ""])
        for _ in range(2):
            batch.append("chdir", time=7, tid=3, params=[0, "/" + "x" * size])
        self.ring += lost
        produced = self.numbered + 2 + self.told + lost
        header = {
            "host_id": self.identity.host_id, "host": "one", "boot_id": "boot-1", "run": self.identity.run,
            "first_seq": self.seq, "produced": produced, "delivered": self.numbered + 2,
            "lost": [("ring", "ring_full", lost)] if lost else [],
        }  # fmt: skip
        message = avro.frame("raw_batch", encode_raw(batch, 0, 3, header))
        taken = spool.put(
            message, first_seq=self.seq, events=3, kernel=2, produced=produced, numbered=self.numbered + 2, lost=lost,
            timeout=timeout,
        )  # fmt: skip
        if taken:
            self.seq, self.numbered, self.told = self.seq + 3, self.numbered + 2, self.told + lost
        return taken


def arrived(messages: list[bytes]) -> dict[int, tuple[int, Counter[tuple[str, str]]]]:
    """Run → (events of the kernel that came, losses told). Repeats are dropped; order and gaps are checked."""
    found: dict[int, list[tuple[int, int, int, dict]]] = {}
    for message in messages:
        header, batch = decode_raw(avro.body_of("raw_batch", message))
        rows = found.setdefault(header["run"], [])
        if rows and header["first_seq"] < rows[-1][0] + rows[-1][1]:
            assert header["first_seq"] in {row[0] for row in rows}, "a repeat is one of a whole batch"
            continue
        rows.append((header["first_seq"], len(batch), batch.kernel_events, header))
    books = {}
    for run, rows in found.items():
        for (seq, count, _, _), (following, _, _, header) in pairwise(rows):
            assert seq + count <= following
            assert seq + count == following or header["lost"], "a jump tells what was lost"
        told: Counter[tuple[str, str]] = Counter()
        for *_, header in rows:
            for stage, reason, count in header["lost"]:
                told[stage, reason] += count
        books[run] = (sum(kernel for _, _, kernel, _ in rows), told)
        assert rows[-1][3]["produced"] == books[run][0] + sum(told.values())
    return books


def ledger(messages: list[bytes]) -> dict[int, int]:
    """Run → events that a worker passes on, and losses that it or the spool tells: all together."""
    worker, books = Worker(None), Counter[int]()
    for offset, message in enumerate(messages):
        for output in worker.handle(0, offset, b"host-1", message):
            assert output.topic == topics.EVENTS, output.value[:200]
            batch = avro.decode("event_batch", output.value)
            books[batch["run"]] += len(batch["events"]) + sum(loss["count"] for loss in batch["lost"])
    return books


def segments(path: Path) -> list[Path]:
    return sorted(path.glob("*.segment"))
