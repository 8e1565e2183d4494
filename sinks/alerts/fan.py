"""One stream of alerts to many sinks, of which none waits for another: for alerts that come once, as in one process."""

import logging
from collections.abc import Callable, Sequence

from tiercel.errors import SchemaError
from tiercel.joints.base import Consumer
from tiercel.sinks.alerts.base import Alert
from tiercel.sinks.alerts.lane import Lane

log = logging.getLogger(__name__)


class Fan:
    """The lanes together; it owns them."""

    def __init__(self, lanes: Sequence[Lane]) -> None:
        self.lanes = list(lanes)
        self.unreadable = 0

    def offer(self, alert: Alert) -> None:
        """Give it to every lane, without waiting for any."""
        for lane in self.lanes:
            lane.offer(alert)

    def reopen(self) -> None:
        """After a rotation of log files."""
        for lane in self.lanes:
            lane.reopen()

    def finish(self, deadline: float) -> None:
        """Take no more, and deliver what waits until `deadline` (monotonic)."""
        for lane in self.lanes:
            lane.finish(deadline)

    def close(self, deadline: float) -> None:
        """`finish` and wait for it; what is left is counted as dropped."""
        self.finish(deadline)
        for lane in self.lanes:
            lane.close(deadline)

    def report(self) -> list[str]:
        """A line a sink: what became of the alerts."""
        lines = [f"alerts to {lane.name}: {lane.tally.text()}" for lane in self.lanes]
        return [*lines, f"alerts not readable: {self.unreadable:,}"] if self.unreadable else lines


def drive(fan: Fan, consumer: Consumer, stop: Callable[[], bool]) -> None:
    """Offer what comes out of a joint until `stop`, and what was there by then."""
    while True:
        ending = stop()
        messages = consumer.read(100, 0.0 if ending else 0.2)
        for message in messages:
            try:
                fan.offer(Alert.of(message.value))
            except SchemaError as error:
                fan.unreadable += 1
                log.warning("alert not readable reason=%s", error)
        if ending and not messages:
            return
