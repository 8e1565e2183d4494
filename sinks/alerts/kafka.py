"""Alerts as JSON to a topic of any Kafka, the key being the host's id: a host's alerts stay in order."""

import time
from typing import Any

from tiercel.errors import ConfigError, KafkaError
from tiercel.joints import kafka as joint
from tiercel.schemas import topics
from tiercel.sinks.alerts.base import Alert, AwayError, FailedError, RefusedError


class KafkaSink:
    """See `base.Sink`. `client` are settings of librdkafka. An alert is delivered when the broker says so."""

    name = "alertkafka"

    def __init__(self, client: dict[str, Any], topic: str, *, timeout: float = 10.0) -> None:
        if topic in {ours.name for ours in topics.TOPICS}:
            raise ConfigError(f"alertkafka.topic {topic}: is one of tiercel's own, where JSON would be in the way")
        self._client, self._topic, self._timeout = client, topic, timeout
        self._producer: joint.KafkaProducer | None = None
        self._sent: tuple[str, list[str | None]] | None = None

    def send(self, alert: Alert) -> None:
        producer = self._opened()
        # What the client holds since an earlier try is on its way: only its word is missing.
        if self._sent is None or self._sent[0] != alert.id:
            said: list[str | None] = []
            try:
                taken = producer.send(
                    self._topic,
                    alert.row["host"].encode(),
                    alert.json.encode(),
                    timeout=self._timeout,
                    done=said.append,
                )
            except joint.MissingTopicError as error:
                raise AwayError("not reachable", str(error)) from None
            except KafkaError as error:
                raise RefusedError("not taken", str(error)) from None
            if not taken:
                raise AwayError("not reachable", "the client's queue is full")
            self._sent = alert.id, said
        said = self._sent[1]
        deadline = time.monotonic() + self._timeout
        while not said and (left := deadline - time.monotonic()) > 0:
            producer.flush(min(left, 0.1))
        if not said:
            raise AwayError("no answer", f"{self._client.get('bootstrap.servers')} within {self._timeout:g} s")
        self._sent = None
        if said[0] is not None:
            # No fault of the alert where the topic is missing or the broker away.
            self.check()
            raise FailedError("not delivered", f"{self._topic}: {said[0]}")

    def _opened(self) -> joint.KafkaProducer:
        if self._producer is None:
            self._producer = joint.KafkaProducer(self._client, linger_ms=0)
        return self._producer

    def reopen(self) -> None:
        """A connection is no file."""

    def check(self) -> str:
        try:
            joint.check(self._client, [self._topic], timeout=5)
        except KafkaError as error:
            raise AwayError("not reachable", str(error)) from None
        return f"{self._client.get('bootstrap.servers')} has the topic {self._topic}"

    def close(self) -> None:
        if self._producer is not None:
            self._producer.close()
            self._producer = None
