"""Numbers: what comes twice, what is missing, what cannot be; none of it mutes a host or makes it grow."""

from typing import Any

import pytest

from tiercel._engine import Batch, encode_raw
from tiercel.processors.sequence import END, MAX_HOLES, Run, UnexplainedError
from tiercel.processors.worker import Output, Worker
from tiercel.schemas import avro, topics

HEADER: dict[str, Any] = {"host_id": "web1", "host": "web1", "boot_id": "b", "run": 100, "produced": 0, "lost": []}
TIME = 1_700_000_000_000_000_000


def message(first: int, count: int = 10, *, delivered: int | None = None, time: int = TIME, **more: Any) -> bytes:
    batch = Batch()
    for number in range(count):
        batch.append("getcwd", time=time + number, tid=7, params=[0, "/"])
    run = more.get("run", HEADER["run"])
    header = HEADER | {"first_seq": first, "delivered": first + count - run if delivered is None else delivered} | more
    return avro.frame("raw_batch", encode_raw(batch, 0, len(batch), header))


class Bench:
    """A worker whose messages are numbered by themselves."""

    def __init__(self) -> None:
        self.worker, self.offset = Worker(None), -1

    def __call__(self, value: bytes, key: bytes = b"web1") -> dict[str, Any] | None:
        """The enriched batch, None if it went to quarantine: each message becomes one or the other."""
        self.offset += 1
        (output,) = self.worker.handle(0, self.offset, key, value)
        assert output.topic in (topics.EVENTS, topics.QUARANTINE)
        return avro.decode("event_batch", output.value) if output.topic == topics.EVENTS else None

    def lost(self, value: bytes) -> list[tuple[str, str, int]]:
        batch = self(value)
        assert batch is not None
        return [(loss["stage"], loss["reason"], loss["count"]) for loss in batch["lost"]]


def test_what_comes_twice_becomes_a_batch_without_events() -> None:
    take = Bench()
    take(message(100))
    take(message(110, lost=[("ring", "full", 3)]))
    for value in (message(110, lost=[("ring", "full", 3)]), message(100)):
        again = take(value)
        assert again is not None
        assert (again["events"], again["lost"]) == ([], [])
        assert again["offset"] == take.offset
    assert len((take(message(120)) or {})["events"]) == 10
    assert take.worker.counters.repeats == 2


def test_an_empty_batch_that_comes_twice_tells_its_losses_once() -> None:
    take = Bench()
    take(message(100))
    one, two = (message(110, 0, lost=[("ring", "full", n)], produced=10 + n) for n in (1, 2))
    assert [take.lost(value) for value in (one, two, one, two)] == [
        [("ring", "full", 1)],
        [("ring", "full", 2)],
        [],
        [],
    ]
    assert take.lost(message(110)) == []
    assert take.worker.counters.repeats == 2


def test_a_gap_is_told_to_the_ledger_with_the_kernels_events() -> None:
    take = Bench()
    take(message(100))
    # Ten numbers, of which seven were the kernel's.
    assert take.lost(message(120, delivered=27)) == [("broker", "missing", 7)]
    assert take.lost(message(130, delivered=37)) == []
    assert (take.worker.counters.gaps, take.worker.counters.missing) == (1, 7)


@pytest.mark.parametrize("reason", ["corrupt", "expired", "missing"])
def test_a_gap_that_a_spool_tells_is_not_told_again(reason: str) -> None:
    take = Bench()
    take(message(100))
    told = [("spool", reason, 20)]
    assert take.lost(message(130, 0, delivered=30, lost=told, produced=30)) == told
    assert take.lost(message(130, delivered=40)) == []
    # Ten more went on the way to the worker, of which the spool knows nothing.
    assert take.lost(message(170, 0, delivered=70, lost=told)) == [*told, ("broker", "missing", 10)]
    # The end of a run that was killed: what it had produced last had no numbers.
    end = [("spool", reason, 10), ("collector", "killed", 50)]
    assert take.lost(message(180, 0, delivered=80, produced=130, lost=end)) == end
    assert take.worker.counters.quarantined == 0


def test_what_a_spool_did_not_take_explains_no_gap() -> None:
    take = Bench()
    take(message(100))
    full = [("spool", "full", 20)]
    assert take.lost(message(120, 0, delivered=20, lost=full)) == [*full, ("broker", "missing", 10)]


def test_the_beginning_of_a_run_may_be_missing_too() -> None:
    assert Bench().lost(message(105, delivered=15)) == [("broker", "missing", 5)]
    take = Bench()
    take.worker.begin(0, middle=True)
    assert take.lost(message(105)) == [], "who begins in the middle cannot know"


def test_what_went_to_quarantine_is_counted_as_soon_as_that_can_be_known() -> None:
    take = Bench()
    take(message(100))
    assert take(message(110)[:-3]) is None
    assert take.lost(message(120, delivered=27)) == [("worker", "quarantine", 7)]
    # One that was none of the host's: nothing is missing, and nothing is counted.
    assert take(b"rubbish") is None
    assert take.lost(message(130, delivered=37)) == []
    assert take.lost(message(150, delivered=57)) == [("broker", "missing", 10)]


@pytest.mark.parametrize(
    ("first", "delivered"),
    [(1 << 60, 20), (1 << 60, 1 << 61), (END - 10, 0), (120, 19), (120, 31), (105, 15), (99, 10), (0, 0)],
)
def test_a_number_that_the_totals_do_not_explain_mutes_nobody(first: int, delivered: int) -> None:
    take = Bench()
    take(message(100))
    assert take(message(first, delivered=delivered)) is None
    assert take.lost(message(110)) == []


def test_a_jump_that_is_forged_well_does_not_mute_either() -> None:
    take = Bench()
    take(message(100))
    assert take.lost(message(1 << 50, delivered=(1 << 50) - 90)) == [("broker", "missing", (1 << 50) - 110)]
    for first in range(110, 1000, 10):
        assert len((take(message(first)) or {"events": []})["events"]) == 10
    assert take.worker.counters.late == 89
    known = take.worker._partitions[0].get(b"web1")
    assert known is not None
    assert len(known.lives[0][0].holes) == 1


def test_holes_do_not_grow() -> None:
    run = Run("b", 0, 0)
    for number in range(1000):
        run.take(number * 10 + 5, 1, 0)
    assert len(run.holes) == MAX_HOLES
    with pytest.raises(UnexplainedError):
        run.place(run.next - 2, 10)
    assert Run.of_row(run.row()) == run


def test_a_reboot_or_a_new_run_begins_anew_and_takes_the_state_over() -> None:
    take = Bench()
    take(message(100))
    assert take.lost(message(500, run=500)) == []
    assert take.lost(message(7, run=7, boot_id="c")) == []
    assert take.lost(message(19, run=7, boot_id="c", delivered=22)) == [("broker", "missing", 2)]
    known = take.worker._partitions[0].get(b"web1")
    assert known is not None
    assert [host is not None for _, host in known.lives] == [False, False, True]
    assert take.worker.counters.twins == 0
    # What an older run sends twice is known as such.
    assert (take(message(100)) or {})["events"] == []
    assert take.worker.counters.twins == 0


def test_two_hosts_with_one_id_are_told_once_followed_apart_and_stay_few(caplog: pytest.LogCaptureFixture) -> None:
    take = Bench()
    for turn in range(50):
        for run, boot in ((100, "b"), (5000, "c")):
            assert take.lost(message(run + turn * 10, run=run, boot_id=boot)) == []
    known = take.worker._partitions[0].get(b"web1")
    assert known is not None
    assert (len(known.lives), take.worker.counters.twins) == (2, 1)
    assert sum("two collectors send with one host id" in record.getMessage() for record in caplog.records) == 1
    for run in range(10_000, 90_000, 1000):
        take(message(run, run=run, boot_id="d"))
    assert len(known.lives) == 4


def test_hosts_of_one_name_are_two_and_a_host_may_move_to_another_partition() -> None:
    worker = Worker(None)
    for number, host in enumerate(("web1", "web2")):
        worker.handle(0, number, host.encode(), message(100, host_id=host, host="same"))
    assert worker.hosts() == 2
    (output,) = worker.handle(1, 0, b"web1", message(110))
    batch = avro.decode("event_batch", output.value)
    assert len(batch["events"]) == 10
    assert [(loss["reason"], loss["count"]) for loss in batch["lost"]] == [("missing", 10)]


def test_a_clock_may_say_what_it_likes() -> None:
    take = Bench()
    first = 100
    for time in (TIME, TIME + 10**17, 0, TIME - 10**17, (1 << 63) - 10_000, TIME):
        batch = take(message(first, time=time))
        assert batch is not None
        assert len(batch["events"]) == 10
        first += 10


def restored(worker: Worker, host_id: bytes = b"web1") -> Worker:
    snapshot = worker.snapshot(0, host_id, 0)
    assert snapshot is not None
    again = worker.aside()
    again.begin(0)
    again.restore(type(snapshot).unpack(snapshot.pack()))
    return again


def test_a_restored_worker_goes_on_as_the_one_before_and_skips_what_that_did() -> None:
    messages = [message(100), message(110)[:-1], message(120), message(120), message(140, delivered=50)]
    messages += [message(5000, run=5000), message(150), message(5010, run=5000)]

    def rest(worker: Worker, since: int) -> list[list[Output]]:
        return [worker.handle(0, offset, b"web1", messages[offset]) for offset in range(since, len(messages))]

    expected = rest(Worker(None), 0)
    for cut in range(1, len(messages)):
        worker = Worker(None)
        for offset in range(cut):
            worker.handle(0, offset, b"web1", messages[offset])
        again = restored(worker)
        assert [again.handle(0, offset, b"web1", messages[offset]) for offset in range(cut)] == [[]] * cut
        assert rest(again, cut) == expected[cut:], cut
