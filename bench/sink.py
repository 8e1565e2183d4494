"""What a sink of ClickHouse costs, and how large its inserts are, at a low rate and at the highest.

The store is ClickHouse's engine behind its HTTP interface, in a process of its own; CPU seconds are the sink's alone. The
input is a recording, enriched before, with new raw positions each time round.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import recording

from tiercel import store
from tiercel.joints.base import Message
from tiercel.processors.worker import Worker
from tiercel.schemas import avro, topics
from tiercel.sinks import allocator
from tiercel.sinks.clickhouse import ClickHouseSink
from tiercel.sinks.drive import drive
from tiercel.sinks.gather import Gatherer
from tiercel.testing.chdb_http import ChdbServer

_SECONDS = 20.0


class Paced:
    """A consumer of messages, so many a second (0: as fast as they are taken), for some time."""

    def __init__(self, messages: Iterator[Message], rate: float, total: int) -> None:
        self._messages, self._rate, self._left = messages, rate, total
        self._began, self.given = time.monotonic(), 0

    def read(self, limit: int = 500, timeout: float = 1.0) -> list[Message]:
        due = int((time.monotonic() - self._began) * self._rate) - self.given if self._rate else limit
        count = max(0, min(due, limit, self._left))
        if not count:
            time.sleep(min(timeout, 0.01))
        self.given += count
        self._left -= count
        return [next(self._messages) for _ in range(count)]

    def over(self) -> bool:
        return self._left == 0

    def pause(self, wanted: bool) -> None:
        """Reads nothing while it is paused, as nobody asks."""

    def commit(self, messages: list[Message]) -> None:
        """Nobody asks."""

    def close(self) -> None:
        """Nothing is open."""


def enriched(capture: Path, events: int) -> list[Message]:
    """Batches of a recording, amplified, enriched without rules."""
    found: list[Message] = []
    worker, number, offset = Worker(None), 1, 0
    batches = recording.read(recording.plain(capture))
    for part in recording.amplified(batches, events):
        for body in recording.raw(part, number):
            for output in worker.handle(0, offset, b"bench", avro.frame("raw_batch", body)):
                found.append(Message(output.topic, 0, offset, output.key, output.value))
            offset += 1
        number += sum(map(len, part))
    return [message for message in found if message.topic == topics.EVENTS]


def run(capture: Path, events: int) -> dict[str, object]:
    """Both measurements."""
    allocator.keep_freed_memory()
    messages = enriched(capture, events)
    report: dict[str, object] = {}
    for name, rate, total in (("low", 10.0, int(10 * _SECONDS)), ("high", 0.0, len(messages))):
        with TemporaryDirectory(prefix="tiercel-bench-") as folder, ChdbServer(Path(folder)) as server:
            client = store.connect(server.dsn)
            sink = ClickHouseSink(client, name)
            sink.assign({0})
            consumer = Paced(iter(messages), rate, min(total, len(messages)))
            gatherer = Gatherer(counters=sink.counters)
            began, used = time.monotonic(), time.process_time()
            drive(sink, consumer, consumer.over, gatherer=gatherer)
            seconds, used = time.monotonic() - began, time.process_time() - used
            made = client.query("SELECT sum(value) FROM system.events WHERE event = 'InsertQuery'").result_rows[0][0]
            rows = client.query("SELECT count() FROM events").result_rows[0][0]
            report |= {
                f"{name}: rows": rows,
                f"{name}: rows/s": round(rows / seconds),
                f"{name}: rows an insert of events": round(rows / max(1, sink.counters.inserts_of["events"])),
                f"{name}: inserts a minute of events": round(sink.counters.inserts_of["events"] / seconds * 60),
                f"{name}: inserts a minute of all tables": round(sink.counters.inserts / seconds * 60),
                f"{name}: CPU s per million rows": round(used / rows * 1e6, 2),
                f"{name}: inserts the store counted": int(made),
            }
            sink.close()
    return report


def main() -> None:
    """Run it."""
    options = recording.arguments(__doc__).parse_args()
    report = run(options.capture, options.events)
    recording.show({"recording": options.capture.name, "cores": os.cpu_count(), **report}, as_json=options.json)


if __name__ == "__main__":
    main()
