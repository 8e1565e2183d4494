"""Puts messages that no store will take on tiercel.quarantine: a line with the reason, then the message as it came."""

import threading

from tiercel.joints.base import Message, Producer
from tiercel.schemas import topics
from tiercel.sinks.refusals import AwayError, Refusal

_TIMEOUT_S = 10.0


class Quarantine:
    """See `ClickHouseSink.quarantine`."""

    def __init__(self, producer: Producer) -> None:
        self._producer = producer

    def keep(self, message: Message, reason: str) -> None:
        """Return when the message is safe; AwayError if it is not after ten seconds."""
        answer: list[str | None] = []
        told = threading.Event()

        def done(error: str | None) -> None:
            answer.append(error)
            told.set()

        value = " ".join(reason.split()).encode() + b"\n" + message.value
        taken = self._producer.send(
            topics.QUARANTINE, message.key, value, message.partition, timeout=_TIMEOUT_S, done=done
        )
        self._producer.flush(_TIMEOUT_S)
        if not taken or not told.is_set() or answer[0] is not None:
            text = f"{topics.QUARANTINE} does not take a message: {answer[0] if answer else 'no answer'}"
            raise AwayError(Refusal("away", "quarantine", text, "is Kafka well?"))

    def close(self) -> None:
        self._producer.close()
