"""Whatever breaks, and wherever: each event, each row of the books and each alert is there once in the end."""

import itertools
import threading
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tiercel.joints.base import Message
from tiercel.schemas import topics
from tiercel.sinks.clickhouse import ClickHouseSink
from tiercel.sinks.fence import Fence
from tiercel.sinks.refusals import AwayError
from tiercel.store import connect
from tiercel.testing import builders
from tiercel.testing.chdb_http import ChdbServer
from tiercel.testing.faults import Fault
from tiercel.testing.services import eventually

from .conftest import whole

pytestmark = pytest.mark.services

_origins = (f"origin-{n}" for n in itertools.count())
_DAY = 86_400_000_000_000


class KilledError(BaseException):
    """The process is gone: nothing of it runs any more."""


class Failing:
    """A client of which calls fail by their number: before they are done, after it, or the process dies there."""

    def __init__(self, client: Any, acts: dict[int, str]) -> None:
        self._client, self._acts = client, acts
        self.calls = 0

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._client, name)
        if name not in ("raw_insert", "insert", "command", "query"):
            return real

        def call(*args: Any, **kwargs: Any) -> Any:
            act = self._acts.get(self.calls, "")
            self.calls += 1
            if act.startswith("killed"):
                if act.endswith("after"):
                    real(*args, **kwargs)
                raise KilledError
            if act == "before":
                raise ConnectionResetError("before")
            answer = real(*args, **kwargs)
            if act == "after":
                raise ConnectionResetError("after")
            return answer

        return call


def events(offset: int, partition: int = 0) -> Message:
    # Three events of a batch on two days: its insert makes two parts.
    body = builders.enriched(partition, offset, time=builders.TIME + offset % 2 * _DAY, host=f"host-{partition}")
    return Message(topics.EVENTS, partition, offset, b"host", body)


def alert(key: str, partition: int = 0) -> Message:
    return Message(topics.ALERTS, partition, 0, b"host", builders.alert(key, partition=partition))


def opened(client: Any, origin: str) -> ClickHouseSink:
    sink = ClickHouseSink(client, origin)
    sink.assign({0, 1})
    return sink


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    acts=st.dictionaries(
        st.integers(0, 60), st.sampled_from(["before", "after", "killed before", "killed after"]), max_size=6
    ),
    cuts=st.lists(st.integers(1, 3), min_size=1, max_size=6),
    back=st.integers(0, 3),
)
def test_calls_that_fail(one_store: ChdbServer, acts: dict[int, str], cuts: list[int], back: int) -> None:
    # The client is made once, as a new one asks the server before it is used.
    client, origin = connect(one_store.dsn), next(_origins)
    stream = [message for n in range(6) for message in (events(n), events(n, 1), alert(f"{origin}-{n}", n % 2))]
    failing = Failing(client, {})
    sink = opened(failing, origin)
    failing._acts, failing.calls = acts, 0
    done = 0
    sizes = itertools.cycle(cuts)
    while done < len(stream):
        taken = stream[max(0, done - back) : done + next(sizes)]
        try:
            sink.write(taken)
        except AwayError:
            continue
        except KilledError:
            rest = {n - failing.calls: act for n, act in acts.items() if n >= failing.calls}
            failing = Failing(client, {})
            sink = opened(failing, origin)
            acts, failing.calls = rest, 0
            failing._acts = acts
            continue
        done = min(len(stream), done + max(1, len(taken) - min(back, done)))
    for partition in (0, 1):
        whole(client, origin, partition)
    counts = client.query(
        "SELECT count(), uniqExact(raw_partition, raw_offset, row) FROM events WHERE origin = %(o)s", {"o": origin}
    ).result_rows
    assert counts == [(36, 36)]
    books = client.query(
        "SELECT sumIf(count, kind = 'stored'), count() FROM ledger WHERE origin = %(o)s", {"o": origin}
    ).result_rows
    assert books == [(36, 36)]
    found = client.query("SELECT id, count() FROM alerts WHERE origin = %(o)s GROUP BY id", {"o": origin}).result_rows
    assert sorted(found) == [(f"{origin}-{n}", 1) for n in range(6)]
    last = client.query(
        "SELECT raw_partition, max(raw_offset) FROM positions WHERE origin = %(o)s GROUP BY 1 ORDER BY 1", {"o": origin}
    ).result_rows
    assert last == [(0, 5), (1, 5)]


def test_a_zombie_writes_nothing_that_another_has_written(one_store: ChdbServer) -> None:
    origin = next(_origins)
    client = connect(one_store.dsn)
    old, new = opened(connect(one_store.dsn), origin), opened(connect(one_store.dsn), origin)
    old.write([events(0)])
    # Stopped with its messages in hand; another takes over, and goes on.
    new.write([events(0), events(1), alert(f"{origin}-a")])
    with pytest.raises(AwayError, match="another sink has taken") as caught:
        old.write([events(1), events(2)])
    assert caught.value.refusal.kind == "fenced"
    with pytest.raises(AwayError, match="another sink has taken"):
        # What it takes now, it takes from the other.
        old.write([events(1)])
        new.write([events(2)])
    new.write([events(2), alert(f"{origin}-a")])
    whole(client, origin)
    assert client.query("SELECT count() FROM events WHERE origin = %(o)s", {"o": origin}).result_rows == [(9,)]
    assert client.query("SELECT count() FROM alerts WHERE origin = %(o)s", {"o": origin}).result_rows == [(1,)]


def test_a_batch_that_comes_late_by_partition_and_a_topic_made_anew(one_store: ChdbServer) -> None:
    client, origin = connect(one_store.dsn), next(_origins)
    sink = opened(client, origin)
    sink.write([events(1, 1), events(0, 0), events(0, 1)][::-1])
    sink.write([events(1, 0), events(2, 1), events(0, 0)])
    other = opened(client, origin + "-anew")
    assert other.write([events(0, 0)]).events == 3
    for partition in (0, 1):
        whole(client, origin, partition)


def test_it_waits_for_what_another_has_begun(store: ChdbServer) -> None:
    client = connect(store.dsn)
    old, new = opened(connect(store.dsn), "test"), opened(connect(store.dsn), "test")
    old.write([events(0)])
    # An insert that has passed its condition and is not done: three rows, 0.9 s each.
    client.command("CREATE MATERIALIZED VIEW slow ENGINE = Null AS SELECT sleepEachRow(0.9) FROM events")
    caught = list[AwayError]()

    def write() -> None:
        try:
            old.write([events(1)])
        except AwayError as error:
            caught.append(error)

    thread = threading.Thread(target=write)
    thread.start()
    query = "SELECT count() FROM system.processes WHERE query LIKE 'INSERT INTO events%'"
    assert eventually(lambda: client.query(query).result_rows[0][0])
    # Who has other partitions need not wait.
    other = Fence(connect(store.dsn), "test", timeout=60)
    other.take([5, 11])
    assert other.waited < 0.3
    assert client.query(query).result_rows[0][0] == 1
    new.write([events(1), events(2)])
    thread.join()
    assert new._places._fence is not None
    assert new._places._fence.waited > 0.3
    assert [error.refusal.kind for error in caught] == ["fenced"]
    whole(client, "test")
    assert client.query("SELECT count() FROM events").result_rows == [(9,)]


def test_an_insert_that_lay_in_the_network(store: ChdbServer) -> None:
    client = connect(store.dsn)
    old, new = opened(connect(store.dsn), "test"), opened(connect(store.dsn), "test")
    old.write([events(0)])
    store.fail(Fault(match="INSERT INTO events", delay=2.0, times=1))
    caught = list[AwayError]()

    def write() -> None:
        try:
            old.write([events(1), events(2)])
        except AwayError as error:
            caught.append(error)

    thread = threading.Thread(target=write)
    thread.start()
    time.sleep(0.7)
    new.write([events(1)])
    thread.join()
    assert [error.refusal.kind for error in caught] == ["fenced"]
    new.write([events(2)])
    whole(client, "test")
    assert client.query("SELECT count() FROM events").result_rows == [(9,)]
