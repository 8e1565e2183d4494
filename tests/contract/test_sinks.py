"""What every sink promises: each event once, however often its batch comes."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tiercel.joints.base import Message
from tiercel.schemas import topics
from tiercel.sinks.base import Sink
from tiercel.sinks.clickhouse import ClickHouseSink
from tiercel.sinks.drive import drive
from tiercel.sinks.gather import Gatherer
from tiercel.sinks.memory import MemorySink
from tiercel.store import connect
from tiercel.testing import builders

Make = Callable[[], Sink]


@pytest.fixture(params=["memory", pytest.param("clickhouse", marks=pytest.mark.services)])
def make(request: pytest.FixtureRequest) -> Make:
    """Opens the same store again and again, as restarts do."""
    if request.param == "memory":
        sink = MemorySink()
        return lambda: sink
    dsn = request.getfixturevalue("clickhouse").dsn
    return lambda: ClickHouseSink(connect(dsn), "test")


def events(offset: int, value: bytes, partition: int = 0) -> Message:
    return Message(topics.EVENTS, partition, offset, b"host-1", value)


def test_batches_and_alerts_are_counted(make: Make) -> None:
    sink = make()
    sink.assign({0})
    stored = sink.write(
        [events(n, builders.enriched(0, n)) for n in range(4)]
        + [Message(topics.ALERTS, 0, n, b"", builders.alert(f"id-{n}")) for n in range(2)]
    )
    assert (stored.batches, stored.events, stored.alerts, stored.repeats) == (4, 12, 2, 0)


def test_repeats_are_left_out_in_one_go_later_and_after_a_restart(make: Make) -> None:
    one, two = builders.enriched(0, 0), builders.enriched(0, 1)
    alert = builders.alert("same")
    sink = make()
    sink.assign({0})
    first = sink.write([events(0, one), events(1, one), Message(topics.ALERTS, 0, 0, b"", alert)])
    assert (first.batches, first.events) == (1, 3)
    again = sink.write([events(2, one), Message(topics.ALERTS, 0, 1, b"", alert)])
    assert (again.batches, again.events, again.alerts, again.repeats) == (0, 0, 0, 2)
    sink.close()
    sink = make()
    sink.assign({0})
    after = sink.write([events(3, one), events(4, two), Message(topics.ALERTS, 0, 2, b"", alert)])
    assert (after.batches, after.events, after.alerts) == (1, 3, 0)


def test_partitions_count_by_themselves(make: Make) -> None:
    sink = make()
    sink.assign({0, 1})
    stored = sink.write([events(0, builders.enriched(0, 5)), events(0, builders.enriched(1, 0, host="other"), 1)])
    assert stored.batches == 2
    assert sink.write([events(1, builders.enriched(1, 1, host="other"), 1)]).batches == 1


def test_the_loop_writes_what_it_read_before_it_ends(make: Make) -> None:
    class Given:
        def __init__(self) -> None:
            self.left = [events(n, builders.enriched(0, n)) for n in range(3)]
            self.committed: list[Message] = []

        def read(self, limit: int = 500, timeout: float = 1.0) -> list[Message]:
            taken, self.left = self.left[:limit], self.left[limit:]
            return taken

        def __iter__(self):
            raise NotImplementedError

        def commit(self, messages) -> None:
            self.committed += messages

        def pause(self, wanted: bool) -> None: ...

        def close(self) -> None: ...

    sink, consumer = make(), Given()
    sink.assign({0})
    drive(sink, consumer, lambda: True, gatherer=Gatherer(linger=60))
    assert sink.stored.batches == 3
    assert [m.offset for m in consumer.committed] == [0, 1, 2]


def test_a_gatherer_waits_for_company_but_not_for_ever() -> None:
    gatherer = Gatherer(linger=0.05, max_messages=2)
    gatherer.add([events(0, b"x")])
    assert not gatherer.due()
    assert gatherer.room() == 1
    gatherer.add([events(1, b"x")])
    assert gatherer.due()
    assert len(gatherer.take()) == 2
    assert not gatherer.due()


def test_many_small_messages_make_no_insert_worth_its_while() -> None:
    gatherer = Gatherer(linger=60, max_bytes=100_000)
    gatherer.add([events(offset, b"x") for offset in range(5000)])
    assert not gatherer.due()
    gatherer.add([events(5000, b"x" * 100_000)])
    assert gatherer.due()


def test_a_directory_works_like_a_server(tmp_path: Path) -> None:
    # In a process of its own: one process opens one chDB directory in its life.
    code = (
        "from tiercel.store import connect; from tiercel.sinks.clickhouse import ClickHouseSink;"
        "from tiercel.testing import builders; from tiercel.joints.base import Message;"
        "from tiercel.schemas import topics;"
        f"s = ClickHouseSink(connect('chdb://{tmp_path}/store'), 'test'); s.assign({{0}});"
        "print(s.write([Message(topics.EVENTS, 0, 0, b'', builders.enriched(0, 0))]).events, s.next_offset())"
    )
    for answer in ("3 1", "0 1"):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == answer
