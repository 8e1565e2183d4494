"""The spool over a producer that can be away: order, books, limits, and whatever lies in its folder."""

import os
import random
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tiercel.collector.spool import Spool
from tiercel.collector.spool.folder import DAMAGED
from tiercel.errors import KafkaError, SpoolError

from .kafka import Broker, Run, arrived, ledger, segments


def until(condition, timeout: float = 5.0) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def ended(spool: Spool, run: Run, broker: Broker) -> Broker:
    assert spool.flush(5) == 0
    spool.close()
    return broker


def test_what_was_put_while_kafka_was_away_comes_in_order_and_goes_from_disk(tmp_path: Path) -> None:
    broker, run = Broker(away=True, room=5), Run()
    spool = Spool(tmp_path / "spool", broker, run.identity)
    for index in range(50):
        assert run.put(spool, lost=index % 3)
    until(lambda: spool.memory_bytes == 0)
    assert spool.disk_bytes > 50 * 60
    assert spool.oldest_age() >= 0
    assert not broker.messages
    broker.away = False
    ended(spool, run, broker)
    assert arrived(broker.messages) == {1000: (100, Counter({("ring", "ring_full"): run.told}))}
    # The first one says that the run has begun.
    assert len(broker.messages) == 51
    assert (spool.sent, spool.records, spool.lost) == (51, 0, {})
    modes = [path.stat().st_mode & 0o777 for path in (tmp_path / "spool", *(tmp_path / "spool").iterdir())]
    assert modes == [0o700, *[0o600] * (len(modes) - 1)]


def test_the_next_run_sends_what_the_last_one_left_before_its_own(tmp_path: Path) -> None:
    first, broker = Run(1000), Broker(away=True)
    spool = Spool(tmp_path, broker, first.identity)
    for _ in range(20):
        first.put(spool, lost=1)
    spool.flush(0.1)
    spool.close()
    second, broker = Run(9000), Broker()
    spool = Spool(tmp_path, broker, second.identity, produced_before=lambda identity: 20 * 3 + 7)
    second.put(spool)
    ended(spool, second, broker)
    killed = Counter({("ring", "ring_full"): 20, ("collector", "killed"): 7})
    assert arrived(broker.messages) == {1000: (40, killed), 9000: (2, Counter())}
    # All of it is safe: a third run has nothing to say about them.
    third, broker = Run(20_000), Broker()
    spool = Spool(tmp_path, broker, third.identity, produced_before=lambda identity: 0)
    third.put(spool)
    ended(spool, third, broker)
    assert arrived(broker.messages) == {20_000: (2, Counter())}


def test_a_full_spool_takes_no_more_and_loses_nothing_that_it_took(tmp_path: Path) -> None:
    broker, run = Broker(away=True, room=3), Run()
    spool = Spool(tmp_path, broker, run.identity, max_bytes=1 << 20, memory_bytes=64 << 10)
    taken = 0
    begun = time.monotonic()
    while run.put(spool, size=1000, timeout=0.05):
        taken += 1
    assert time.monotonic() - begun < 10
    assert spool.disk_bytes <= 1 << 20
    assert spool.memory_bytes <= 64 << 10
    assert spool.refusal() == ("spool", "full")
    broker.away = False
    until(lambda: run.put(spool, lost=5))
    ended(spool, run, broker)
    assert arrived(broker.messages) == {1000: (2 * (taken + 1), Counter({("ring", "ring_full"): run.told}))}


def test_what_is_too_old_is_given_up_and_told_where_it_would_have_come(tmp_path: Path) -> None:
    broker, run = Broker(away=True, room=1), Run()
    spool = Spool(tmp_path, broker, run.identity, max_bytes=2 << 20, max_age=0.3, in_flight_bytes=100)
    for _ in range(200):
        run.put(spool, size=1000, lost=1)
    until(lambda: spool.memory_bytes == 0)
    assert len(segments(tmp_path)) > 2
    until(lambda: len(segments(tmp_path)) == 1)
    run.put(spool, lost=2)
    broker.away = False
    ended(spool, run, broker)
    kernel, told = arrived(broker.messages)[1000]
    assert told["spool", "expired"] > 0
    assert kernel < 402
    assert kernel + sum(told.values()) == run.numbered + run.told
    assert ledger(broker.messages) == {1000: run.numbered + run.told}


@pytest.mark.parametrize("reason", ["Broker: Message size too large", "Broker: Topic authorization failed"])
def test_what_kafka_refuses_is_told_if_it_will_never_be_taken_else_sent_again(tmp_path: Path, reason: str) -> None:
    broker, run = Broker(away=True), Run()
    broker.refuse = reason
    spool = Spool(tmp_path, broker, run.identity)
    run.put(spool)
    run.put(spool)
    until(lambda: spool.in_flight == 3)
    broker.away = False
    time.sleep(0.2)
    broker.refuse = None
    ended(spool, run, broker)
    kernel, told = arrived(broker.messages)[1000]
    assert kernel + told["broker", "refused"] == 4
    assert ledger(broker.messages) == {1000: 4}
    assert ("authorization" in reason) == (kernel == 4)


def test_what_arrives_in_another_thread_is_not_taken_for_refused(tmp_path: Path) -> None:
    """Where several spools share a producer, each one's poll may call what another waits for."""
    run, broker = Run(), Broker(away=True)
    spool = Spool(tmp_path, broker, run.identity)
    broker.poll = lambda: time.sleep(0.0001)
    stop = threading.Event()

    def deliver() -> None:
        while not stop.is_set():
            if broker.waiting:
                value, done = broker.waiting.pop(0)
                broker.messages.append(value)
                done(None)

    thread = threading.Thread(target=deliver)
    thread.start()
    try:
        for _ in range(3000):
            assert run.put(spool)
        ended(spool, run, broker)
    finally:
        stop.set()
        thread.join()
    assert arrived(broker.messages) == {1000: (6000, Counter())}


def test_what_the_client_does_not_take_waits_and_nothing_comes_before_it(tmp_path: Path) -> None:
    run, broker = Run(), Broker()
    take, calls = broker.send, [0]

    def send(*arguments, **more) -> bool:
        calls[0] += 1
        if calls[0] % 3 == 1:
            raise KafkaError("message to tiercel.raw refused: Local: Unknown topic")
        return take(*arguments, **more)

    broker.send = send
    spool = Spool(tmp_path, broker, run.identity)
    for _ in range(5):
        assert run.put(spool, lost=1)
    until(lambda: spool.is_idle, 20)
    ended(spool, run, broker)
    assert arrived(broker.messages) == {1000: (10, Counter({("ring", "ring_full"): 5}))}


def test_one_collector_at_a_time(tmp_path: Path) -> None:
    spool = Spool(tmp_path, Broker(), Run().identity)
    with pytest.raises(SpoolError, match="in use"):
        Spool(tmp_path, Broker(), Run().identity)
    spool.close()
    Spool(tmp_path, Broker(), Run().identity).close()


def test_what_else_lies_in_the_folder_is_left_alone(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"precious")
    path = tmp_path / "spool"
    path.mkdir()
    (path / "0000000000000001.segment").symlink_to(outside)
    os.mkfifo(path / "0000000000000002.segment")
    (path / "0000000000000003.segment").write_bytes(b"tiercel spool 9\n" + bytes(100))
    (path / "0000000000000004.segment").write_bytes(b"")
    (path / "0000000000000005.segment").mkdir()
    os.link(outside, path / "0000000000000006.segment")
    (path / "notes.txt").write_text("mine")
    run, broker = Run(), Broker()
    spool = Spool(path, broker, run.identity)
    run.put(spool)
    ended(spool, run, broker)
    assert arrived(broker.messages) == {1000: (2, Counter())}
    assert outside.read_bytes() == b"precious"
    assert (path / "notes.txt").exists()
    assert (path / "0000000000000001.segment").is_symlink()


def test_a_folder_that_cannot_be_one_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path)
    for path in (tmp_path / "file", tmp_path / "link", Path("/proc/spool")):
        with pytest.raises(SpoolError, match=str(path)):
            Spool(path, Broker(), Run().identity)


def left_behind(path: Path) -> Run:
    """Two segments or more of a run that was killed."""
    run = Run()
    spool = Spool(path, Broker(away=True, room=0), run.identity, max_bytes=1 << 20)
    for index in range(100):
        run.put(spool, size=900, lost=index % 2)
    until(lambda: spool.memory_bytes == 0)
    spool.close()
    return run


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_damage_costs_what_is_after_it_in_its_segment_and_all_is_told(data, tmp_path_factory) -> None:
    path = tmp_path_factory.mktemp("spool")
    first = left_behind(path)
    files = segments(path)
    assert len(files) >= 2
    which = data.draw(st.integers(0, len(files) - 1))
    content = bytearray(files[which].read_bytes())
    per_segment = 2 * (len(content) // 900) + 2 if len(files) == 2 else 2 * (64 << 10) // 900
    at = data.draw(st.integers(0, len(content) - 1))
    how = data.draw(st.sampled_from(["cut", "flip", "zero", "remove", "insert"]))
    if how == "cut":
        del content[at:]
    elif how == "flip":
        content[at] ^= 1 << data.draw(st.integers(0, 7))
    elif how == "zero":
        content[at : at + 4096] = bytes(len(content[at : at + 4096]))
    elif how == "insert":
        content[at:at] = b"TSR1" + bytes(8)
    files[which].write_bytes(content)
    if how == "remove":
        files[which].unlink()
    second, broker = Run(9000), Broker()
    spool = Spool(path, broker, second.identity, produced_before=lambda _: first.numbered + first.told)
    second.put(spool)
    ended(spool, second, broker)
    books = arrived(broker.messages)
    assert books[9000] == (2, Counter())
    kernel, told = books[1000]
    assert kernel + sum(told.values()) == first.numbered + first.told
    assert ledger(broker.messages) == {1000: first.numbered + first.told, 9000: 2}
    # Everything of the other segments, and what lies before the damage.
    assert kernel >= first.numbered * (len(files) - 1) // len(files) - per_segment


def test_a_full_disk_costs_nothing_while_kafka_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tiercel.collector.spool import segments as module

    broken = True
    real = module.write_all

    def write(fd: int, data: bytes, at: int) -> None:
        if broken and random.random() < 0.9:
            os.pwrite(fd, data[: len(data) // 2], at)
            raise OSError(28, "No space left on device")
        real(fd, data, at)

    monkeypatch.setattr(module, "write_all", write)
    broker, run = Broker(room=2), Run()
    spool = Spool(tmp_path, broker, run.identity)
    for _ in range(100):
        assert run.put(spool)
    until(lambda: spool.memory_bytes == 0)
    broken = False
    for _ in range(100):
        assert run.put(spool)
    ended(spool, run, broker)
    assert arrived(broker.messages) == {1000: (400, Counter())}
    assert spool.write_errors > 0


def test_what_kafka_has_already_leaves_its_place_to_what_it_has_not(tmp_path: Path) -> None:
    # Less than two segments: what is in the one that is being written has to go for what comes next.
    broker, run = Broker(), Run()
    spool = Spool(tmp_path, broker, run.identity, max_bytes=100 << 10, memory_bytes=16 << 10)
    for _ in range(28):
        assert run.put(spool, size=1000)
    until(lambda: spool.is_idle)
    assert spool.disk_bytes > 50_000
    broker.away = True
    for _ in range(28):
        assert run.put(spool, size=1000)
    until(lambda: spool.memory_bytes == 0)
    broker.away = False
    ended(spool, run, broker)
    assert arrived(broker.messages) == {1000: (112, Counter())}


def test_a_disk_that_is_full_of_what_kafka_has_takes_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tiercel.collector.spool import segments as module

    real = module.write_all

    def write(fd: int, data: bytes, at: int) -> None:
        if sum(path.stat().st_size for path in segments(tmp_path)) + len(data) > 80_000:
            os.pwrite(fd, data[: len(data) // 2], at)
            raise OSError(28, "No space left on device")
        real(fd, data, at)

    monkeypatch.setattr(module, "write_all", write)
    broker, run = Broker(), Run()
    spool = Spool(tmp_path, broker, run.identity, memory_bytes=16 << 10)
    for _ in range(28):
        assert run.put(spool, size=1000)
    until(lambda: spool.is_idle)
    broker.away = True
    for _ in range(28):
        assert run.put(spool, size=1000)
    until(lambda: spool.memory_bytes == 0)
    broker.away = False
    ended(spool, run, broker)
    assert arrived(broker.messages) == {1000: (112, Counter())}


@pytest.mark.parametrize("limit", ["spool_bytes", "disk"])
def test_a_run_that_begins_where_there_is_no_room_is_known_if_it_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    from tiercel.collector.spool import segments as module

    real = module.write_all

    def write(fd: int, data: bytes, at: int) -> None:
        # The reserve counts as what it is: room that is taken.
        taken = sum(path.stat().st_size for path in tmp_path.iterdir() if path.name != "journal")
        if limit == "disk" and taken + len(data) > 80_000:
            raise OSError(28, "No space left on device")
        real(fd, data, at)

    monkeypatch.setattr(module, "write_all", write)
    more = {"max_bytes": 64 << 10} if limit == "spool_bytes" else {}
    broker, first, second, third = Broker(away=True), Run(1000), Run(5000), Run(9000)
    for run in (first, second):
        spool = Spool(tmp_path, broker, run.identity, memory_bytes=4 << 10, **more)
        until(lambda run=run, spool=spool: not run.put(spool, size=1000, timeout=0.3), 30)
        spool.close()
    made = {first.identity: first.numbered, second.identity: 7}
    spool = Spool(tmp_path, broker := Broker(), third.identity, produced_before=lambda identity: made[identity])
    third.put(spool)
    ended(spool, third, broker)
    books = arrived(broker.messages)
    assert sum(books[1000][1].values()) + books[1000][0] == first.numbered
    kernel, told = books[5000]
    assert told == Counter({("collector", "killed"): 7 - kernel})


def test_damage_while_it_waits_is_told(tmp_path: Path) -> None:
    run, broker = Run(), Broker(away=True, room=1)
    spool = Spool(tmp_path, broker, run.identity, in_flight_bytes=100)
    for _ in range(50):
        run.put(spool)
    until(lambda: spool.memory_bytes == 0)
    file = segments(tmp_path)[0]
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 255
    with file.open("r+b") as out:
        out.write(content)
    broker.away = False
    until((tmp_path / DAMAGED).exists)
    run.put(spool)
    ended(spool, run, broker)
    kernel, told = arrived(broker.messages)[1000]
    assert told == Counter({("spool", "corrupt"): run.numbered - kernel})
    assert 0 < kernel < run.numbered


def test_a_run_of_which_nothing_is_left_is_told_whoever_took_it_away(tmp_path: Path) -> None:
    first = Run(1000)
    spool = Spool(tmp_path, Broker(room=0), first.identity)
    for _ in range(20):
        first.put(spool, lost=1)
    until(lambda: spool.memory_bytes == 0)
    spool.close()
    # The next one gives it up, and is gone before it could say so.
    second = Run(9000)
    spool = Spool(tmp_path, Broker(room=0), second.identity, max_age=0.0)
    until(lambda: len(segments(tmp_path)) == 0)
    spool.close()
    third, broker = Run(20_000), Broker()
    spool = Spool(tmp_path, broker, third.identity, produced_before=lambda run: 60 if run.run == 1000 else 5)
    third.put(spool)
    ended(spool, third, broker)
    books = {1000: (0, Counter({("spool", "expired"): 60})), 9000: (0, Counter({("spool", "expired"): 5}))}
    assert arrived(broker.messages) == books | {20_000: (2, Counter())}
    assert ledger(broker.messages) == {1000: 60, 9000: 5, 20_000: 2}


def test_a_run_that_began_on_a_full_spool_is_told_if_it_is_killed(tmp_path: Path) -> None:
    first = Run(1000)
    spool = Spool(tmp_path, Broker(room=0), first.identity, max_bytes=1 << 20, memory_bytes=64 << 10)
    while first.put(spool, size=1000, timeout=0.05):
        pass
    spool.close()
    size = sum(file.stat().st_size for file in segments(tmp_path))
    second = Run(9000)
    spool = Spool(tmp_path, Broker(room=0), second.identity, max_bytes=size)
    second.put(spool)
    spool.close()
    third, broker = Run(20_000), Broker()
    spool = Spool(tmp_path, broker, third.identity, produced_before=lambda run: 7 if run.run == 9000 else 0)
    third.put(spool)
    ended(spool, third, broker)
    books = arrived(broker.messages)
    assert list(books) == [1000, 9000, 20_000]
    assert books[9000] == (0, Counter({("collector", "killed"): 7}))
