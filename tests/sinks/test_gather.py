"""When an insert is due: at once when it is quiet, seldom and large when much comes, and within its bounds."""

import pytest

from tiercel.joints.base import Message
from tiercel.schemas import topics
from tiercel.sinks import gather
from tiercel.sinks.gather import Gatherer


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(gather, "time", clock)
    return clock


def batch(size: int = 1000, partition: int = 0) -> Message:
    return Message(topics.EVENTS, partition, 0, b"", b"x" * size)


ALERT = Message(topics.ALERTS, 0, 0, b"", b"x" * 300)


def played(clock: Clock, gatherer: Gatherer, every: float, seconds: float, message: Message) -> tuple[int, float]:
    """Inserts of a minute, and the longest wait of a message."""
    inserts, longest = 0, 0.0
    for _ in range(int(seconds / every)):
        clock.now += every
        gatherer.add([message])
        oldest = gatherer._since
        if gatherer.due():
            longest = max(longest, clock.now - oldest)
            inserts += 1
            gatherer.take()
            gatherer.done(1)
    return inserts, longest


def test_when_quiet_an_alert_is_there_at_once(clock: Clock) -> None:
    gatherer = Gatherer(linger=0.1)
    for _ in range(20):
        clock.now += 5.0
        gatherer.add([ALERT])
        assert not gatherer.due()
        clock.now += 0.11
        assert gatherer.due()
        gatherer.take()
        gatherer.done()


def test_many_small_messages_share_inserts(clock: Clock) -> None:
    gatherer = Gatherer(linger=0.1, inserts_per_minute=60)
    inserts, longest = played(clock, gatherer, 0.02, 300, batch())
    assert 290 <= inserts <= 320
    assert longest < 1.3


def test_turns_are_kept_for_alerts(clock: Clock) -> None:
    gatherer = Gatherer(linger=0.1, inserts_per_minute=60)
    played(clock, gatherer, 0.02, 60, batch())
    while not gatherer.due():
        clock.now += 0.05
    gatherer.take()
    gatherer.done(1)
    gatherer.add([batch()])
    clock.now += 0.2
    was_due = gatherer.due()
    gatherer.add([ALERT])
    assert not was_due
    assert gatherer.due()


def test_under_load_they_are_full(clock: Clock) -> None:
    gatherer = Gatherer(linger=0.1, max_bytes=1 << 20)
    # 10 MB a second.
    inserts, _ = played(clock, gatherer, 0.001, 20, batch(10_000))
    assert 180 <= inserts <= 200


def test_bytes_are_bounded_whatever_comes(clock: Clock) -> None:
    gatherer = Gatherer(linger=60, max_bytes=1 << 20)
    most = 0
    for _ in range(3):
        while not gatherer.full():
            gatherer.add([batch(100_000)] * gatherer.room())
        most = max(most, sum(len(message.value) for message in gatherer.messages))
        gatherer.take()
        gatherer.done()
    # The first time their size is not known yet.
    assert most <= (1 << 20) + 32 * 100_000
    while not gatherer.full():
        gatherer.add([batch(100_000)] * gatherer.room())
    assert sum(len(message.value) for message in gatherer.messages) <= (1 << 20) + 100_000


def test_rows_fill_an_insert(clock: Clock) -> None:
    gatherer = Gatherer(linger=60, max_rows=1000)
    gatherer.add([batch(1000)])
    gatherer.take()
    gatherer.done(500)
    gatherer.add([batch(1000)])
    assert not gatherer.due()
    gatherer.add([batch(1000)])
    assert gatherer.due()


def test_what_went_to_another_is_dropped(clock: Clock) -> None:
    gatherer = Gatherer(linger=0.0)
    gatherer.add([batch(partition=1), batch(partition=2)])
    gatherer.take()
    gatherer.add([batch(partition=1), ALERT])
    gatherer.drop({1, 0})
    assert [m.partition for m in gatherer.flight] == [2]
    assert gatherer.messages == []
    assert not gatherer.due()
