"""The worker's messages on their way, for the app's loop. librdkafka sends them: it costs less than Faust's own
producer does, and neither repeats one nor changes their order when the broker stumbles.
"""

import asyncio

from tiercel.errors import KafkaError
from tiercel.joints.kafka import KafkaProducer

_PAUSE_S = 0.005


class Outbox:
    """Belongs to one loop."""

    def __init__(self, producer: KafkaProducer) -> None:
        self._producer = producer
        self._under_way = 0
        self._turning: asyncio.Task[None] | None = None

    async def send(self, topic: str, key: bytes, value: bytes | None, partition: int) -> "asyncio.Future[None]":
        """Take a message, once there is room; what is returned is done when the message is safe, and has a KafkaError
        if it never will be."""
        safe: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def done(error: str | None) -> None:
            self._under_way -= 1
            if safe.done():
                return
            if error is None:
                safe.set_result(None)
            else:
                safe.set_exception(KafkaError(f"a message to {topic} was refused: {error}"))

        # It may be done before this returns.
        self._under_way += 1
        while not self._producer.send(topic, key, value, partition, done=done):
            await asyncio.sleep(_PAUSE_S)
        if self._turning is None or self._turning.done():
            self._turning = asyncio.create_task(self._turn())
        return safe

    async def _turn(self) -> None:
        while self._under_way:
            self._producer.poll()
            await asyncio.sleep(_PAUSE_S)
