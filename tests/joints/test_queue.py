"""The in-process joint: order, bounds, and who may lose what."""

import threading
import time

from tiercel.joints.queue import Queue, drained


def test_messages_come_in_order_with_offsets_from_the_first() -> None:
    queue = Queue(first_offset=7)
    consumer = queue.consumer(["raw"])
    producer = queue.producer()
    safe: list[str | None] = []
    for value in (b"a", b"b"):
        assert producer.send("raw", b"host", value, done=safe.append)
    producer.send("other", b"host", b"nobody reads this")
    queue.close()
    assert [(m.offset, m.value) for m in consumer] == [(7, b"a"), (8, b"b")]
    assert safe == [None, None]


def test_a_full_queue_refuses_at_once_and_takes_again_when_read() -> None:
    queue = Queue(max_messages=2)
    consumer = queue.consumer(["raw"])
    producer = queue.producer()
    assert [producer.send("raw", b"", b"x") for _ in range(3)] == [True, True, False]
    assert len(consumer.read(1)) == 1
    assert producer.send("raw", b"", b"x")
    assert consumer.waiting() == 2


def test_bytes_are_bounded_but_one_large_message_passes() -> None:
    queue = Queue(max_bytes=10)
    consumer = queue.consumer(["raw"])
    producer = queue.producer()
    assert producer.send("raw", b"", b"x" * 50)
    assert not producer.send("raw", b"", b"x")
    assert consumer.read()[0].value == b"x" * 50
    assert producer.send("raw", b"", b"x")


def test_a_sender_that_waits_goes_on_when_there_is_room() -> None:
    queue = Queue(max_messages=1)
    consumer = queue.consumer(["raw"])
    producer = queue.producer()
    producer.send("raw", b"", b"1")
    threading.Timer(0.1, consumer.read, [1]).start()
    begun = time.monotonic()
    assert producer.send("raw", b"", b"2", timeout=5)
    assert 0.05 < time.monotonic() - begun < 4


def test_a_lossy_reader_never_holds_up_the_sender() -> None:
    queue = Queue(max_messages=2)
    watcher = queue.consumer(["alerts"], lossy=True)
    producer = queue.producer()
    assert all(producer.send("alerts", b"", b"%d" % n) for n in range(5))
    assert [m.value for m in watcher.read()] == [b"3", b"4"]
    assert watcher.dropped == 3
    assert drained([watcher], 0)
