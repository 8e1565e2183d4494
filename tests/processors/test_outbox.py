"""The worker's messages on their way: safe when the broker says so, or refused with the reason, in order."""

import asyncio
from typing import cast

import pytest

from tiercel.errors import KafkaError
from tiercel.joints.base import Done
from tiercel.joints.kafka import KafkaProducer
from tiercel.processors.outbox import Outbox


class Broker:
    """Has room for two messages, and answers when it is polled."""

    def __init__(self) -> None:
        self.waiting: list[tuple[bytes | None, Done]] = []
        self.arrived: list[bytes | None] = []

    def send(self, topic: str, key: bytes, value: bytes | None, partition: int, *, done: Done) -> bool:
        if len(self.waiting) == 2:
            return False
        self.waiting.append((value, done))
        return True

    def poll(self) -> None:
        for value, done in self.waiting[:1]:
            del self.waiting[0]
            self.arrived.append(value)
            done("too large" if value == b"large" else None)


def test_all_are_safe_in_order_though_there_is_room_for_few() -> None:
    broker = Broker()

    async def send() -> None:
        outbox = Outbox(cast("KafkaProducer", broker))
        sent = [await outbox.send("t", b"k", bytes([number]), 0) for number in range(10)]
        await asyncio.gather(*sent, await outbox.send("t", b"k", None, 0))

    asyncio.run(asyncio.wait_for(send(), 10))
    assert broker.arrived == [*(bytes([number]) for number in range(10)), None]


def test_what_is_refused_says_why_and_what_nobody_waits_for_harms_nothing() -> None:
    async def send() -> None:
        outbox = Outbox(cast("KafkaProducer", Broker()))
        forgotten = await outbox.send("t", b"k", b"1", 0)
        forgotten.cancel()
        with pytest.raises(KafkaError, match="a message to t was refused: too large"):
            await (await outbox.send("t", b"k", b"large", 0))
        await (await outbox.send("t", b"k", b"2", 0))

    asyncio.run(asyncio.wait_for(send(), 10))
