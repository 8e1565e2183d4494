"""The loop between Kafka and a store in trouble: it waits as a member of its group, loses nothing and says so once."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tiercel.joints.base import Message
from tiercel.schemas import topics
from tiercel.sinks.clickhouse import ClickHouseSink
from tiercel.sinks.drive import Patience, drive
from tiercel.sinks.gather import Gatherer
from tiercel.sinks.memory import MemorySink
from tiercel.store import connect
from tiercel.testing import builders
from tiercel.testing.chdb_http import ChdbServer
from tiercel.testing.faults import Fault
from tiercel.testing.services import eventually

from .conftest import whole

pytestmark = pytest.mark.services


class Given:
    """A consumer of messages that are there; counts how it is asked."""

    def __init__(self, messages: list[Message]) -> None:
        self.left, self.committed = messages, list[Message]()
        self.paused, self.pauses, self.polls_while_paused, self.read_while_paused = False, 0, 0, 0

    def read(self, limit: int = 500, timeout: float = 1.0) -> list[Message]:
        if self.paused:
            self.polls_while_paused += 1
            time.sleep(timeout)
            return []
        taken, self.left = self.left[:limit], self.left[limit:]
        if not taken:
            time.sleep(min(timeout, 0.02))
        return taken

    def __iter__(self) -> Iterator[Message]:
        raise NotImplementedError

    def pause(self, wanted: bool) -> None:
        self.pauses += wanted and not self.paused
        self.paused = wanted

    def commit(self, messages: list[Message]) -> None:
        self.committed += messages

    def close(self) -> None: ...


def batch(offset: int, **fields: object) -> Message:
    return Message(topics.EVENTS, 0, offset, b"host-1", builders.enriched(0, offset, **fields))


class Running:
    """A sink at work in a thread."""

    def __init__(self, sink: ClickHouseSink, messages: list[Message], **patience: float) -> None:
        self.sink, self.consumer, self.stop = sink, Given(messages), threading.Event()
        gatherer = Gatherer(linger=0.0, max_messages=4, inserts_per_minute=6000, counters=sink.counters)
        wait = Patience(**{"first": 0.05, "longest": 0.3, **patience})
        self.thread = threading.Thread(
            target=lambda: drive(sink, self.consumer, self.stop.is_set, gatherer=gatherer, patience=wait)
        )
        self.thread.start()

    def finish(self, timeout: float = 20.0) -> None:
        eventually(lambda: not self.consumer.left and not self.sink.counters.waiting_messages, timeout)
        self.stop.set()
        self.thread.join(timeout)
        assert not self.thread.is_alive()


def opened(store: ChdbServer, quarantine: Callable[[Message, str], None] | None = None) -> ClickHouseSink:
    sink = ClickHouseSink(connect(store.dsn), "test", quarantine=quarantine)
    sink.assign({0})
    return sink


@pytest.mark.parametrize(
    ("fault", "reason", "advice"),
    [
        (Fault(code=252), "too_many_parts", "inserts_per_minute"),
        (Fault(code=243), "disk", "store.retention"),
        (Fault(code=164), "readonly", "let it write"),
        (Fault(code=242, match="INTO positions"), "readonly", "let it write"),
        (Fault(code=516, match=""), "login", "store.dsn"),
        (Fault(code=16, match="INTO ledger"), "schema", "altered by hand"),
        (Fault(code=394, after=True), "slow", "killed the query"),
        (Fault(cut=True), "unreachable", "is it running"),
        (Fault(cut=True, after=True, match="INTO events"), "unreachable", "is it running"),
    ],
)
def test_a_store_in_trouble(
    store: ChdbServer, caplog: pytest.LogCaptureFixture, fault: Fault, reason: str, advice: str
) -> None:
    caplog.set_level(logging.INFO, logger="tiercel.sinks.drive")
    sink = opened(store)
    store.fail(fault)
    running = Running(sink, [batch(n) for n in range(10)])
    # Of rows that are there although nothing was heard of them, each is tried once.
    passes = fault.cut and fault.after
    assert eventually(lambda: sink.counters.retries[reason] >= (1 if passes else 3))
    assert passes or sink.counters.paused
    assert passes or not running.consumer.committed
    assert passes or sink.counters.oldest_seconds() > 0
    store.fail()
    running.finish()
    assert [m.offset for m in running.consumer.committed] == list(range(10))
    client = connect(store.dsn)
    whole(client, "test")
    assert client.query("SELECT count() FROM events").result_rows == [(30,)]
    assert not sink.counters.paused
    assert running.consumer.polls_while_paused > 0
    # Once when it began, once when it was over.
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 2 * running.consumer.pauses
    assert passes or running.consumer.pauses == 1
    assert advice in told[0]
    assert "nothing is lost" in told[0]
    assert "takes rows again" in told[1]


def test_a_store_that_goes_away_and_comes_back(store: ChdbServer, tmp_path: Path) -> None:
    sink = opened(store)
    running = Running(sink, [batch(n) for n in range(4)])
    assert eventually(lambda: sink.stored.batches == 4)
    assert store.process is not None
    store.process.kill()
    store.process.wait()
    running.consumer.left = [batch(n) for n in range(4, 8)]
    assert eventually(lambda: sink.counters.retries["unreachable"] >= 2)
    with store:
        running.finish()
        client = connect(store.dsn)
        whole(client, "test")
        assert client.query("SELECT count() FROM events").result_rows == [(24,)]


def test_tables_altered_by_hand_and_mended(store: ChdbServer) -> None:
    sink, client = opened(store), connect(store.dsn)
    sink.write([batch(0)])
    client.command("ALTER TABLE events DROP COLUMN fd_dev")
    running = Running(sink, [batch(n) for n in range(1, 4)])
    assert eventually(lambda: sum(sink.counters.retries.values()) >= 2)
    assert set(sink.counters.retries) == {"schema"}
    client.command("ALTER TABLE events ADD COLUMN fd_dev Nullable(UInt32)")
    running.finish()
    whole(client, "test")
    assert client.query("SELECT count() FROM events").result_rows == [(12,)]


def test_what_it_holds_of_partitions_that_went_is_forgotten(store: ChdbServer) -> None:
    sink = opened(store)
    store.fail(Fault(code=252))
    gatherer = Gatherer(linger=0.0)
    consumer, stop = Given([batch(0)]), threading.Event()
    thread = threading.Thread(
        target=lambda: drive(sink, consumer, stop.is_set, gatherer=gatherer, patience=Patience(0.05, 0.1))
    )
    thread.start()
    assert eventually(lambda: sink.counters.paused)
    gatherer.drop({0})
    assert eventually(lambda: not sink.counters.paused)
    stop.set()
    thread.join(10)
    assert not consumer.committed
    assert sink.counters.waiting_messages == 0


def test_it_ends_while_the_store_is_away(store: ChdbServer) -> None:
    sink = opened(store)
    store.fail(Fault(code=243))
    running = Running(sink, [batch(0)], longest=60)
    assert eventually(lambda: sink.counters.paused)
    running.stop.set()
    running.thread.join(5)
    assert not running.thread.is_alive()
    assert not running.consumer.committed


def test_a_batch_that_the_store_never_takes(store: ChdbServer) -> None:
    client = connect(store.dsn)
    kept = list[tuple[int, str]]()
    sink = opened(store, lambda message, reason: kept.append((message.offset, reason)))
    client.command("ALTER TABLE events ADD CONSTRAINT no_evil CHECK host != 'evil'")
    bad = builders.enriched(0, 5, lost=[("ring", "ring_full", 4)], produced=22, host="evil")
    messages = [batch(n) for n in range(12)]
    messages[5] = Message(topics.EVENTS, 0, 5, b"host-1", bad)
    running = Running(sink, messages)
    running.finish()
    assert [offset for offset, _ in kept] == [5]
    assert "no_evil" in kept[0][1]
    assert [m.offset for m in running.consumer.committed] == list(range(12))
    assert client.query("SELECT groupUniqArray(raw_offset) FROM events WHERE host = 'evil'").result_rows == [([],)]
    assert client.query("SELECT count(), uniqExact(raw_offset) FROM events").result_rows == [(33, 11)]
    books = client.query(
        "SELECT kind, stage, reason, count FROM ledger WHERE raw_offset = 5 AND kind IN ('stored', 'lost') ORDER BY ALL"
    ).result_rows
    assert books == [("lost", "ring", "ring_full", 4), ("lost", "sink", "refused", 3), ("stored", "sink", "", 0)]
    assert client.query("SELECT max(raw_offset) FROM positions").result_rows == [(11,)]
    assert (sink.counters.refused_batches, sink.counters.refused_events) == (1, 3)


def test_a_store_that_refuses_every_batch_is_taken_for_broken(store: ChdbServer) -> None:
    client = connect(store.dsn)
    kept = list[int]()
    sink = opened(store, lambda message, _: kept.append(message.offset))
    client.command("ALTER TABLE events ADD CONSTRAINT nothing CHECK host = ''")
    running = Running(sink, [batch(n) for n in range(14)])
    assert eventually(lambda: sink.counters.paused and len(kept) == 10)
    client.command("ALTER TABLE events DROP CONSTRAINT nothing")
    running.finish()
    assert kept == list(range(10))
    assert client.query("SELECT count(), min(raw_offset) FROM events").result_rows == [(12, 10)]
    assert client.query(
        "SELECT sumIf(count, kind = 'stored'), sumIf(count, kind = 'lost') FROM ledger"
    ).result_rows == [(12, 30)]


def test_the_memory_sink_is_driven_alike() -> None:
    sink, consumer = MemorySink(), Given([batch(n) for n in range(3)])
    drive(sink, consumer, lambda: not consumer.left)
    assert sink.stored.batches == 3
