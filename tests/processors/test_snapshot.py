"""Snapshots as messages: what is damaged, foreign or from the future is one error, and never the end of another."""

from typing import Any

import pytest

from tiercel.processors.keeper import Kept, Written
from tiercel.processors.recover import Place, restore, shelve
from tiercel.processors.sequence import Run
from tiercel.processors.snapshot import CHUNK, Key, Snapshot, SnapshotError, chunks, joined
from tiercel.processors.worker import Worker
from tiercel.schemas import avro

from .test_sequence import message

RAW = "kafka:with/a/slash"
Topic = dict[bytes, bytes | None]


def snapshot(size: int = 3 * CHUNK, offset: int = 9) -> Snapshot:
    return Snapshot(0, b"web1", offset, 5, 1, [(Run("b", 1, 7, 3, [(1, 2)], [b"12345678"]), bytes(size))])


def test_what_was_cut_into_chunks_comes_back() -> None:
    made = chunks(snapshot(), 3)
    assert len(made) == 4
    assert max(map(len, made)) <= CHUNK + 64
    assert joined(0, b"web1", dict(enumerate(made))) == snapshot()
    left = {**dict(enumerate(chunks(snapshot(9 * CHUNK), 1))), **dict(enumerate(made))}
    assert joined(0, b"web1", left) == snapshot(), "chunks that a larger one has left do not matter"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda c: c.pop(2), "1 of its 4 chunks are missing"),
        (lambda c: c.update({1: c[1][:-1]}), "checksum"),
        (lambda c: c.update({1: c[1][:20]}), "cut short"),
        (lambda c: c.update({0: c[0][:-1] + b"x"}), "checksum"),
        (lambda c: c.update({0: c[0][:4] + b"\x09\x00" + c[0][6:]}), "its version is 9"),
        (lambda c: c.update({0: b"x" + c[0][1:]}), "something else"),
        (lambda c: c.update({0: c[1]}), "of several"),
        (lambda c: c.update(dict(enumerate(chunks(snapshot(4 * CHUNK), 3)[:1]))), "of several"),
        (lambda c: c.clear(), "no chunks"),
    ],
)
def test_damage_is_one_error(change: Any, reason: str) -> None:
    made = dict(enumerate(chunks(snapshot(), 3)))
    change(made)
    with pytest.raises(SnapshotError, match=reason):
        joined(0, b"web1", made)


def test_that_of_another_host_or_partition_is_none() -> None:
    made = dict(enumerate(chunks(snapshot(), 1)))
    for place in ((1, b"web1"), (0, b"web2")):
        with pytest.raises(SnapshotError):
            joined(*place, made)


@pytest.mark.parametrize("key", [b"", b"a/b/c", b"0" * 16 + b"/" + b"0" * 16 + b"/2/0/h", b"\xff" * 40])
def test_keys_are_hostile_too(key: bytes) -> None:
    with pytest.raises(SnapshotError):
        Key.unpack(key)
    assert shelve(iter([(0, key, b"x")]), RAW) == {}


class Life:
    """A worker that writes snapshots to a topic that is a dict."""

    def __init__(self, topic: Topic) -> None:
        self.worker, self.topic = Worker(None), topic
        self.worker.begin(0)
        self.kept = Kept(self.worker, 0, RAW, Written())

    def handle(self, offset: int) -> None:
        self.worker.handle(0, offset, b"web1", message(100 + offset * 10))
        self.kept.handled(offset, offset, 0.0).safe = True

    def write(self, part: int | None = None) -> None:
        draft = self.kept.draft(b"web1")
        self.topic.update(draft.rows[:part])
        if part is None:
            self.topic.update(dict.fromkeys(self.kept.written(draft)))

    def rows(self) -> Any:
        return [(0, key, value) for key, value in self.topic.items() if value is not None]


def recovered(life: Life, place: Place) -> tuple[Worker, dict[bytes, int], Kept]:
    worker = Worker(None)
    worker.begin(0)
    kept = Kept(worker, 0, RAW, Written())
    again = restore(worker, kept, shelve(iter(life.rows()), RAW).get(0, {}), place, 0.0)
    return worker, again, kept


def test_nothing_is_acknowledged_before_a_snapshot_covers_it_nor_out_of_order() -> None:
    life = Life({})
    for offset in range(3):
        life.handle(offset)
    life.worker.handle(0, 3, b"web2", message(100, host_id="web2"))
    life.kept.handled(3, 3, 0.0).safe = True
    assert life.kept.acknowledged() == []
    draft = life.kept.draft(b"web2")
    life.kept.written(draft)
    assert life.kept.acknowledged() == [], "those before it are not covered"
    late = life.kept.draft(b"web1")
    life.handle(4)
    life.kept.written(late)
    assert life.kept.acknowledged() == [0, 1, 2, 3]
    life.write()
    assert life.kept.acknowledged() == [4]
    assert life.kept.waiting() == 0


def test_the_newest_good_one_is_taken_and_what_lies_between_is_asked_for() -> None:
    life = Life({})
    for offset in range(6):
        life.handle(offset)
        if offset in (1, 3, 5):
            life.write()
    place = Place(0, 6, 6)
    worker, again, _ = recovered(life, place)
    assert again == {}
    assert worker.handle(0, 5, b"web1", message(150)) == []
    newest = max(life.topic, key=lambda key: (life.topic[key] or b"")[12:20])
    for damage in (b"", b"x" * 60, (life.topic[newest] or b"")[:-1], (life.topic[newest] or b"")[:50]):
        life.topic[newest] = damage
        worker, again, kept = recovered(life, place)
        assert again == {b"web1": 4}
        assert kept.waiting() == 1
        for offset in (4, 5):
            (output,) = worker.handle(0, offset, b"web1", message(100 + offset * 10))
            assert avro.decode("event_batch", output.value)["lost"] == []
    worker, again, _ = recovered(life, Place(5, 6, 6))
    assert (again, worker.counters.lost_states) == ({}, 1), "the messages are gone"
    (output,) = worker.handle(0, 6, b"web1", message(160))
    assert avro.decode("event_batch", output.value)["lost"] == [], "and what was stored is not counted as lost"


def test_one_from_beyond_the_end_of_the_topic_or_of_another_topic_is_none() -> None:
    life = Life({})
    for offset in range(4):
        life.handle(offset)
        if offset in (1, 3):
            life.write()
    worker, again, _ = recovered(life, Place(0, 3, 2))
    assert again == {}
    assert len(worker.handle(0, 2, b"web1", message(120))) == 1
    assert shelve(iter(life.rows()), "kafka:other") == {}


def test_one_that_is_half_written_costs_nothing() -> None:
    life = Life({})
    life.handle(0)
    life.write()
    life.handle(1)
    life.write(part=0)
    worker, again, _ = recovered(life, Place(0, 2, 1))
    assert again == {}
    assert len(worker.handle(0, 1, b"web1", message(110))) == 1


def test_writers_before_us_are_cleared_away_and_a_late_one_overwrites_nothing() -> None:
    topic: Topic = {}
    life = Life(topic)
    life.handle(0)
    life.write()
    worker, _, kept = recovered(life, Place(0, 2, 1))
    second = Life(topic)
    second.worker, second.kept = worker, kept
    second.handle(1)
    second.write()
    left = [key for key, value in topic.items() if value is not None]
    assert len(left) == 1
    life.handle(1)
    life.write()
    assert len(life.rows()) == 2
    worker, again, _ = recovered(life, Place(0, 2, 2))
    assert again == {}
    assert worker.handle(0, 1, b"web1", message(110)) == []
