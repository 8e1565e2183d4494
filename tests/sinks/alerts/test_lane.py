"""The lane to one sink: order, bounds, tries again, and a count of everything."""

import logging
import threading
import time
from collections.abc import Callable

import pytest

from tiercel.sinks.alerts.base import (
    Alert,
    AwayError,
    ClosedError,
    DeliveryError,
    FailedError,
    RefusedError,
)
from tiercel.sinks.alerts.fan import Fan
from tiercel.sinks.alerts.lane import Lane
from tiercel.testing import builders
from tiercel.testing.services import eventually

HOST = "host-9", "the host"


def alert(name: str, **fields: object) -> Alert:
    return Alert.of(builders.alert(name, **fields))


class Scripted:
    """Keeps what it takes; before each try `act` may raise or wait."""

    name = "scripted"

    def __init__(self, act: Callable[[Alert], None] = lambda _: None) -> None:
        self.act = act
        self.taken: list[Alert] = []
        self.reopened = self.closed = 0

    def send(self, alert: Alert) -> None:
        self.act(alert)
        self.taken.append(alert)

    def reopen(self) -> None:
        self.reopened += 1

    def check(self) -> str:
        return "fine"

    def close(self) -> None:
        self.closed += 1

    @property
    def ids(self) -> list[str]:
        return [alert.id for alert in self.taken if alert.row["source"] != "internal"]

    @property
    def notices(self) -> list[dict[str, object]]:
        return [alert.row["output_fields"] for alert in self.taken if alert.row["source"] == "internal"]


def lane(sink: Scripted, **limits: object) -> Lane:
    return Lane(sink, backoff=(0.01, 0.02), host=HOST, **limits)  # type: ignore[arg-type]


def closed(one: Lane, seconds: float = 5.0) -> None:
    one.close(time.monotonic() + seconds)
    tally = one.tally
    assert tally.offered == tally.delivered + tally.dropped.total() + tally.refused.total()


def raising(*errors: DeliveryError | None) -> Callable[[Alert], None]:
    """Raise these one after the other, then nothing."""
    left = list(errors)

    def act(_: Alert) -> None:
        error = left.pop(0) if left else None
        if error is not None:
            raise error

    return act


def test_what_is_offered_is_delivered_in_order_and_settled_in_order() -> None:
    sink, settled = Scripted(), []
    one = lane(sink)
    for number in range(100):
        assert one.offer(alert(f"{number}"), lambda number=number: settled.append(number))
    closed(one)
    assert sink.ids == [f"{number}" for number in range(100)]
    assert settled == list(range(100))
    assert (one.tally.delivered, sink.closed) == (100, 1)


def test_a_full_queue_drops_the_new_alert_at_once_and_the_sink_is_told_in_its_place(
    caplog: pytest.LogCaptureFixture,
) -> None:
    go = threading.Event()
    sink = Scripted(lambda _: go.wait(10) and None)
    one = lane(sink, max_alerts=3)
    assert one.offer(alert("in hand"))
    assert eventually(lambda: one.room() == 3)
    begun = time.monotonic()
    with caplog.at_level(logging.WARNING):
        assert [one.offer(alert(f"{number}")) for number in range(8)] == [True] * 3 + [False] * 5
    assert time.monotonic() - begun < 3
    go.set()
    assert eventually(lambda: one.room() == 3)
    assert one.offer(alert("after"))
    closed(one)
    assert sink.ids == ["in hand", "0", "1", "2", "after"]
    assert sink.notices == [{"sink": "scripted", "lost": 5, "lost.full": 5}]
    notice = sink.taken[-2]
    assert (notice.row["hostname"], notice.row["host"], notice.row["priority"]) == ("the host", "host-9", "Warning")
    assert one.tally.dropped == {"full": 5}
    assert one.tally.notices == 1
    # The first at once, the others within a minute, or at the end.
    lost = [record.getMessage() for record in caplog.records if "alerts lost" in record.getMessage()]
    assert lost == ["alerts lost sink=scripted lost=1 (full 1)", "alerts lost sink=scripted lost=4 (full 4)"]


def test_bytes_are_bounded_but_one_large_alert_passes() -> None:
    go = threading.Event()
    sink = Scripted(lambda _: go.wait(10) and None)
    one = lane(sink, max_bytes=10_000)
    one.offer(alert("in hand"))
    assert eventually(lambda: one.room() > 0 and not one._queue)
    assert one.offer(alert("large", message="x" * 100_000))
    assert one.room() == 0
    assert not one.offer(alert("small"))
    go.set()
    closed(one)
    assert sink.ids == ["in hand", "large"]


def test_a_sink_that_is_away_is_waited_for_as_long_as_it_takes() -> None:
    sink = Scripted(raising(*[AwayError("not reachable")] * 30))
    one = lane(sink, attempts=2)
    for number in range(3):
        one.offer(alert(f"{number}"))
    assert eventually(lambda: len(sink.ids) == 3)
    closed(one)
    assert (one.tally.retries, one.tally.dropped.total()) == (30, 0)


def test_an_alert_that_fails_is_tried_so_often_and_then_dropped_and_told() -> None:
    def act(told: Alert) -> None:
        if told.id == "poison":
            raise FailedError("status 500", "no")

    sink = Scripted(act)
    one = lane(sink, attempts=3)
    for name in ("a", "poison", "b"):
        one.offer(alert(name))
    assert eventually(lambda: "b" in sink.ids)
    closed(one)
    assert sink.ids == ["a", "b"]
    assert one.tally.dropped == {"status 500": 1}
    assert one.tally.retries == 2
    assert sink.notices == [{"sink": "scripted", "lost": 1, "lost.status 500": 1}]


def test_what_is_refused_is_not_tried_again() -> None:
    sink = Scripted(raising(RefusedError("status 400")))
    one = lane(sink)
    one.offer(alert("a"))
    one.offer(alert("b"))
    closed(one)
    assert (sink.ids, one.tally.refused, one.tally.retries) == (["b"], {"status 400": 1}, 0)


def test_a_fault_of_ours_counts_as_a_failure_and_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    sink = Scripted(raising(ZeroDivisionError("oh"), None))  # type: ignore[arg-type]
    one = lane(sink)
    one.offer(alert("a"))
    closed(one)
    assert sink.ids == ["a"]
    assert "ZeroDivisionError" in caplog.text


def test_a_server_may_say_how_long_to_wait() -> None:
    sink = Scripted(raising(AwayError("status 429", after=0.3)))
    one = lane(sink)
    begun = time.monotonic()
    one.offer(alert("a"))
    assert eventually(lambda: sink.ids)
    assert 0.3 <= time.monotonic() - begun < 2
    closed(one)


def test_who_has_gone_for_good_takes_nothing_and_nothing_is_settled() -> None:
    sink, settled = Scripted(raising(None, ClosedError("closed"))), []
    one = lane(sink)
    for name in ("a", "b", "c"):
        one.offer(alert(name), lambda name=name: settled.append(name))
    assert one.gone.wait(5)
    assert not one.offer(alert("d"), lambda: settled.append("d"))
    one.pass_by(lambda: settled.append("e"))
    closed(one)
    assert (sink.ids, settled, one.tally.dropped) == (["a"], ["a"], {"closed": 3})


def test_less_urgent_alerts_are_passed_by_and_settled_in_their_turn() -> None:
    sink, settled = Scripted(), []
    one = lane(sink, severity=3)
    for priority in ("Error", "Warning", "Critical", "no such"):
        one.offer(alert(priority, priority=priority), lambda priority=priority: settled.append(priority))
    closed(one)
    assert sink.ids == ["Error", "Critical", "no such"]
    assert settled == ["Error", "Warning", "Critical", "no such"]
    assert one.tally.offered == 3


def test_a_sink_that_hangs_ends_in_time_and_what_is_left_is_counted_once() -> None:
    go = threading.Event()
    sink = Scripted(lambda _: go.wait(30) and None)
    one = lane(sink)
    for number in range(5):
        one.offer(alert(f"{number}"))
    begun = time.monotonic()
    closed(one, 0.3)
    assert time.monotonic() - begun < 3
    assert one.tally.dropped == {"stopped": 5}
    go.set()
    time.sleep(0.1)
    assert (one.tally.delivered, one.tally.dropped) == (0, {"stopped": 5})
    assert not one.offer(alert("late"))


def test_an_end_brings_the_next_try_forward() -> None:
    sink = Scripted(raising(AwayError("not reachable", after=60)))
    one = lane(sink)
    one.offer(alert("a"))
    assert eventually(lambda: one.tally.retries == 1)
    closed(one)
    assert sink.ids == ["a"]


def test_a_wish_to_reopen_reaches_an_idle_sink_and_one_that_waits() -> None:
    sink = Scripted(raising(AwayError("not written", after=60)))
    one = lane(sink)
    one.reopen()
    assert eventually(lambda: sink.reopened == 1)
    one.offer(alert("a"))
    assert eventually(lambda: one.tally.retries == 1)
    one.reopen()
    assert eventually(lambda: sink.ids == ["a"])
    assert sink.reopened == 2
    closed(one)


def test_a_sink_that_hangs_delays_no_other() -> None:
    go = threading.Event()
    hung, others = Scripted(lambda _: go.wait(30) and None), [Scripted() for _ in range(3)]
    fan = Fan([lane(hung, max_alerts=10), *(lane(sink) for sink in others)])
    begun = time.monotonic()
    for number in range(1000):
        fan.offer(alert(f"{number}"))
    assert eventually(lambda: all(len(sink.ids) == 1000 for sink in others), 5)
    assert time.monotonic() - begun < 5
    fan.close(time.monotonic() + 0.2)
    dropped = fan.lanes[0].tally.dropped
    assert dropped.total() == 1000
    assert dropped["stopped"] in (10, 11)  # one of them in hand
    assert fan.report()[0].startswith("alerts to scripted: 0 delivered, 1,000 dropped (full 9")
    assert fan.report()[1] == "alerts to scripted: 1,000 delivered"
    go.set()


def test_a_server_that_wishes_for_no_pause_gets_one() -> None:
    tries: list[float] = []

    def away(_: Alert) -> None:
        tries.append(time.monotonic())
        raise AwayError("status 503", after=0.0)

    lane = Lane(Scripted(away), backoff=(0.1, 0.1), host=HOST)
    lane.offer(alert("one"))
    time.sleep(0.6)
    lane.close(time.monotonic() + 0.2)
    assert 2 <= len(tries) <= 14


def test_a_notice_that_is_lost_itself_is_told_with_the_next() -> None:
    away = threading.Event()

    def failing(_: Alert) -> None:
        if not away.is_set():
            raise FailedError("status 500")

    sink = Scripted(failing)
    lane = Lane(sink, attempts=2, backoff=(0.001, 0.001), host=HOST)
    for number in range(5):
        lane.offer(alert(str(number)))
    eventually(lambda: lane.tally.dropped["status 500"] == 5)
    away.set()
    lane.offer(alert("last"))
    eventually(lambda: sink.ids == ["last"])
    lane.close(time.monotonic() + 1)
    assert [told["lost"] for told in sink.notices] == [5]
