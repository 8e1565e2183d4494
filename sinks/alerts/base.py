"""What a sink of alerts is, an alert as it takes it, and how it says that it did not take one."""

import time
import uuid
from collections.abc import Mapping
from functools import cached_property
from typing import Literal, Protocol

from tiercel.rules.items import PRIORITIES
from tiercel.schemas import alerts, avro

Form = Literal["text", "json"]


class DeliveryError(Exception):
    """Why an alert was not taken. `reason` is a short word to count by, `after` seconds until the next try."""

    def __init__(self, reason: str, detail: str = "", *, after: float | None = None) -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason, self.after = reason, after


class AwayError(DeliveryError):
    """The sink cannot be reached: nothing is wrong with this alert, which waits as long as that takes."""


class FailedError(DeliveryError):
    """The sink was reached and did not take this alert, but may the next time: it is tried so and so often."""


class RefusedError(DeliveryError):
    """The sink will never take this alert."""


class ClosedError(DeliveryError):
    """Whoever listened has gone for good, and it is no fault."""


class Alert:
    """One alert, rendered at most once for all sinks. `size` is what it is reckoned to take in a queue."""

    def __init__(self, row: alerts.Row, size: int) -> None:
        self.row, self.size = row, size
        word = row["priority"]
        # A word that is none of Falco's must not be lost by a filter.
        self.severity = PRIORITIES.index(word) if word in PRIORITIES else 0

    @classmethod
    def of(cls, message: bytes, writers: Mapping[int, str] | None = None) -> "Alert":
        """From a message of the topic of alerts; SchemaError."""
        # As objects, and rendered twice.
        return cls(alerts.row(avro.decode("alert", message, writers)), 4 * len(message) + 2000)

    @property
    def id(self) -> str:
        """The same alert again has the same."""
        return str(self.row["id"])

    @cached_property
    def text(self) -> str:
        """Falco's line, without its end."""
        return alerts.line(self.row)

    @cached_property
    def json(self) -> str:
        """Falco's JSON on one line, without its end."""
        return alerts.json_line(self.row)

    def line(self, form: Form) -> bytes:
        """Either, with its end."""
        return f"{self.json if form == 'json' else self.text}\n".encode()


def notice(sink: str, lost: Mapping[str, int], host: tuple[str, str]) -> Alert:
    """An alert of our own, in the place of those that this sink did not get: how many for which reason."""
    total = sum(lost.values())
    told = " ".join(f"{reason.replace(' ', '_')}={count}" for reason, count in sorted(lost.items()))
    row = {
        "id": uuid.uuid4().hex,
        "time": time.time_ns(),
        "rule": "Tiercel internal: alerts lost",
        "priority": "Warning",
        "source": "internal",
        "hostname": host[1],
        "host": host[0],
        "event": "",
        "message": f"Tiercel internal: alerts lost. {total} before this place did not reach this sink "
        f"(sink={sink} lost={total} {told})",
        "tags": [],
        "output_fields": {"sink": sink, "lost": total, **{f"lost.{k}": v for k, v in lost.items()}},
    }
    return Alert(row, 4000)


class Sink(Protocol):
    """Takes alerts one after the other. All but the constructor and `check` is called by one thread."""

    name: str

    def send(self, alert: Alert) -> None:
        """Deliver it; a DeliveryError if that did not work. Ends within a bounded time wherever it can."""
        ...

    def reopen(self) -> None:
        """Open anew what may have been moved away."""
        ...

    def check(self) -> str:
        """Say in a few words that it can be reached, for `tiercel doctor`; DeliveryError. Sends no alert."""
        ...

    def close(self) -> None: ...
