"""The books of a fleet's hosts, by what their batches say: what balances, what is in flight, what is missing."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tiercel.hunt import render
from tiercel.hunt.query import History
from tiercel.joints.base import Message
from tiercel.schemas import topics
from tiercel.sinks.clickhouse import ClickHouseSink
from tiercel.store import connect
from tiercel.testing import builders
from tiercel.testing.chdb_http import ChdbServer

Row = dict[str, Any]
SECOND = 1_000_000_000
RUN = 1000


class Fleet:
    """Hosts that send batches, stored as the sink stores them. Times are seconds before now."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self.client = connect(dsn)
        self.now = time.time_ns()
        self.offset = 0
        self.sink = ClickHouseSink(self.client, "test")
        self.sink.assign({0})

    def send(self, host: str, events: int, produced: int, delivered: int, *, ago: float = 1, **fields: Any) -> None:
        run = fields.pop("run", RUN)
        body = builders.enriched(
            0, self.offset, events, host=host, run=run, produced=produced, delivered=delivered,
            first_seq=run + fields.pop("number", delivered - events), time=self.now - int(ago * SECOND), **fields,
        )  # fmt: skip
        self.sink.write([Message(topics.EVENTS, 0, self.offset, host.encode(), body)])
        self.offset += 1

    def ledger(self, ago: float | None = None, host: str = "") -> list[Row]:
        since = 0 if ago is None else self.now - int(ago * SECOND)
        return list(History(self.client).ledger(since=since, host=host))

    def books(self, host: str, ago: float | None = None) -> Row:
        (row,) = self.ledger(ago, host)
        assert row["produced"] + row["carried"] == sum(
            row[name] for name in ("stored", "shed", "lost", "in_flight", "missing")
        )
        return row


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChdbServer]:
    pytest.importorskip("chdb")
    with ChdbServer(tmp_path_factory.mktemp("store")) as server:
        yield server


@pytest.fixture
def fleet(server: ChdbServer) -> Iterator[Fleet]:
    fleet = Fleet(server.dsn)
    yield fleet
    for table in ("ledger", "events", "processes", "positions"):
        fleet.client.command(f"TRUNCATE TABLE {table}")


def told(row: Row, *names: str) -> list[Any]:
    return [row[name] for name in names]


def test_shed_by_a_budget_and_lost_are_told_apart_and_balance(fleet: Fleet) -> None:
    shed, lost = ("ring", "budget_read_write", 40), ("ring", "ring_full_open", 7)
    fleet.send("h", 3, 50, 3, lost=[shed, lost], shed=[{"stage": "ring", "reason": "budget_payload", "count": 2}])
    row = fleet.books("h")
    assert told(row, "produced", "stored", "shed", "lost", "missing", "complete") == [50, 3, 40, 7, 0, 6.0]
    assert row["losses"] == [
        {"stage": "ring", "reason": "budget_read_write", "count": 40},
        {"stage": "ring", "reason": "ring_full_open", "count": 7},
    ]
    assert row["payloads"] == [{"stage": "ring", "reason": "budget_payload", "count": 2}]
    text = render.ledger_text(row)
    assert "produced 50 = stored 3 + shed 40 + lost 7  balanced, 6 % complete" in text
    assert "\n    shed 40: ring/budget_read_write\n    lost 7: ring/ring_full_open\n    without payload 2: " in text


def test_what_the_host_still_held_is_in_flight_and_nothing_else_is(fleet: Fleet) -> None:
    fleet.send("h", 3, 10, 3, lost=[("ring", "ring_full_other", 1)])
    assert told(fleet.books("h"), "balance", "in_flight", "missing") == [6, 6, 0]
    fleet.send("h", 5, 20, 15, number=10)  # seven numbers that nobody told of
    row = fleet.books("h")
    assert told(row, "balance", "in_flight", "missing") == [11, 4, 7]
    assert "7 MISSING" in render.ledger_text(row)
    fleet.send("h", 0, 20, 19, lost=[("broker", "missing", 11)])
    assert told(fleet.books("h"), "balance", "missing") == [0, 0]


def test_events_taken_before_a_spool_gave_them_up_are_not_in_flight(fleet: Fleet) -> None:
    fleet.send("h", 3, 100, 3)
    fleet.send("h", 2, 100, 60, lost=[("spool", "expired", 55)])
    assert told(fleet.books("h"), "stored", "lost", "in_flight", "missing") == [5, 55, 40, 0]


@pytest.mark.parametrize("silent", [True, False])
def test_who_is_silent_for_long_or_begins_anew_has_nothing_in_flight(fleet: Fleet, silent: bool) -> None:
    fleet.send("h", 3, 10, 3, ago=3600)  # its clock is wrong
    assert fleet.books("h")["in_flight"] == 7
    if silent:
        fleet.client.command(
            "ALTER TABLE ledger UPDATE stored = now() - INTERVAL 11 MINUTE WHERE 1 SETTINGS mutations_sync = 2"
        )
        fleet.send("other", 3, 3, 3)
    else:
        fleet.send("h", 3, 3, 3, run=RUN + 500)
    row = next(row for row in fleet.ledger() if row["host"] == "h" and row["run"] == RUN)
    assert told(row, "in_flight", "missing") == [0, 7]


def test_the_run_before_may_be_told_of_after_the_next_has_begun_to_wait(fleet: Fleet) -> None:
    """A killed collector's events come from the spool, in order, and then what it had not written."""
    fleet.send("h", 3, 10, 3)
    fleet.send("h", 0, 10, 10, number=3, lost=[("collector", "killed", 7)])
    fleet.send("h", 3, 5, 3, run=RUN + 500)
    first, second = fleet.ledger()
    assert told(first, "in_flight", "missing") == [0, 0]
    assert told(second, "in_flight", "missing") == [2, 0]


def test_two_that_send_in_turn_are_both_alive(fleet: Fleet) -> None:
    for produced in (3, 6):
        fleet.send("h", 3, produced + 1, produced)
        fleet.send("h", 3, produced + 2, produced, run=RUN + 500)
    assert [told(row, "in_flight", "missing") for row in fleet.ledger()] == [[1, 0], [2, 0]]


def test_a_span_begins_with_what_was_in_flight(fleet: Fleet) -> None:
    fleet.send("h", 3, 10, 3, ago=100, lost=[("ring", "ring_full_other", 1)])
    fleet.send("h", 9, 15, 12, ago=50)
    fleet.send("h", 3, 18, 15, ago=5, lost=[("ring", "budget_open", 2)])
    row = fleet.books("h", 60)
    assert told(row, "produced", "carried", "stored", "shed", "lost", "in_flight") == [8, 6, 12, 2, 0, 0]
    row = fleet.books("h", 20)
    assert told(row, "produced", "carried", "stored", "shed", "lost", "in_flight") == [3, 2, 3, 2, 0, 0]
    assert fleet.ledger(2) == []
    whole = fleet.books("h")
    assert told(whole, "produced", "carried", "stored", "missing") == [18, 0, 15, 0]


def test_a_run_whose_beginning_has_expired_balances_from_there(fleet: Fleet) -> None:
    fleet.send("h", 3, 10, 3, ago=100)
    fleet.send("h", 9, 15, 12, ago=50)
    fleet.send("h", 4, 19, 16, ago=5, lost=[("ring", "ring_full_open", 2)])
    fleet.send("h", 1, 19, 17, ago=4)
    fleet.client.command("DELETE FROM ledger WHERE raw_offset = 0")
    row = fleet.books("h")
    assert told(row, "stored", "lost", "missing") == [5, 2, 0]


def test_a_hunt_tells_hosts_span_and_the_worst(fleet: Fleet) -> None:
    fleet.send("whole", 4, 4, 4, ago=120)
    fleet.send("half", 3, 9, 3, lost=[("ring", "budget_read_write", 3)])
    books = History(fleet.client).completeness(since=0)
    text = render.completeness_text(books)
    assert text.startswith("searched 7 events of 2 hosts since 20")
    assert "; 70 % complete, 3 lost: 3 ring/budget_read_write; 3 in flight; worst: half 50 %" in text
    only = History(fleet.client).completeness(since=0, host="whole")
    assert "complete: nothing was lost" in render.completeness_text(only)
    late = History(fleet.client).completeness(since=fleet.now - 60 * SECOND)
    assert told(late, "stored", "hosts", "begin") == [3, 1, fleet.now - SECOND + 2000]
    nobody = History(fleet.client).completeness(since=fleet.now + 60 * SECOND)
    assert render.completeness_text(nobody) == "searched 0 events of 0 hosts; complete: nothing was lost"


def tiercel(*arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    own = {"XDG_CONFIG_HOME": str(home), "TIERCEL_API_SOCKET": str(home / "api.sock"), "PATH": os.environ["PATH"]}
    command = [sys.executable, "-m", "tiercel", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=own)


def audit(fleet: Fleet, home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return tiercel("audit", "--dsn", fleet.dsn, *arguments, home=home)


def test_the_audit_says_by_its_exit_status_whether_the_books_balance(fleet: Fleet, tmp_path: Path) -> None:
    fleet.send("h", 3, 10, 3, lost=[("ring", "budget_open", 2)])
    fleet.send("old", 4, 4, 4, ago=7200)
    done = audit(fleet, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "produced 10 = stored 3 + shed 2 + lost 0 + in flight 5  balanced" in done.stdout
    assert done.stderr == "2 runs, 0 unbalanced; 77.778 % complete: stored 7, shed 2, in flight 5\n"
    lately = audit(fleet, tmp_path, "--since", "1h", "--json")
    assert [json.loads(line)["host"] for line in lately.stdout.splitlines()] == ["h"]
    fleet.send("h", 3, 3, 3, run=RUN + 500)  # begun anew: the five never came
    done = audit(fleet, tmp_path, "--host", "h")
    assert done.returncode == 1
    assert "5 MISSING" in done.stdout
    assert "2 runs, 1 unbalanced" in done.stderr
    assert audit(fleet, tmp_path, "--host", "old").returncode == 0
    assert audit(fleet, tmp_path, "--since", "soon").returncode == 2


def test_a_hunt_says_how_complete_the_history_is(fleet: Fleet, tmp_path: Path) -> None:
    fleet.send("h", 3, 10, 3, lost=[("ring", "budget_open", 2)])
    done = tiercel("hunt", "evt.type = close", "--dsn", fleet.dsn, "--json", home=tmp_path)
    assert len(done.stdout.splitlines()) == 3
    assert "id" in json.loads(done.stdout.splitlines()[0])
    assert "; 60 % complete, 2 lost: 2 ring/budget_open; 5 in flight" in done.stderr
