"""All stages of one host in one process: collector, worker and sink as threads, joined by queues, and the API.

`tiercel up` drives it. What flows are the same messages as over Kafka.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tiercel import store
from tiercel._engine import Redactor, RuleSet
from tiercel.collector import collector
from tiercel.collector.identity import Identity
from tiercel.collector.sources import Source
from tiercel.config import Settings
from tiercel.errors import ConfigError, TiercelError
from tiercel.joints.base import Message
from tiercel.joints.queue import Queue
from tiercel.processors import worker
from tiercel.rules.reload import Reloader
from tiercel.schemas import avro, topics
from tiercel.serve.server import serve
from tiercel.sinks import retention
from tiercel.sinks.alerts import fan
from tiercel.sinks.alerts.configured import lanes
from tiercel.sinks.clickhouse import ClickHouseSink
from tiercel.sinks.drive import Patience
from tiercel.sinks.drive import drive as drive_sink
from tiercel.sinks.gather import Gatherer

log = logging.getLogger(__name__)

# What is under way when it ends must fit into the two seconds in which Ctrl-C is answered.
_MESSAGES = 256


@dataclass(frozen=True)
class Numbers:
    """Where it stands: produced = stored + lost once it has ended; before that, the rest is on the way."""

    produced: int
    stored: int
    lost: dict[tuple[str, str], int]
    alerts: int

    @property
    def lost_total(self) -> int:
        """Lost events of all stages."""
        return sum(self.lost.values())


@dataclass
class _Stage:
    """A thread whose failure ends the whole."""

    name: str
    work: Callable[[], None]
    failed: threading.Event
    error: BaseException | None = None
    thread: threading.Thread = field(init=False)

    def __post_init__(self) -> None:
        self.thread = threading.Thread(target=self._run, name=self.name, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            self.work()
        except BaseException as error:
            self.error = error
            self.failed.set()

    def join(self, deadline: float) -> None:
        self.thread.join(max(0.0, deadline - time.monotonic()))


class Local:
    """Runs from construction on; `finish` stops the source and lets what is under way arrive."""

    def __init__(
        self,
        source: Source,
        identity: Identity,
        settings: Settings,
        rules: RuleSet | None,
        *,
        reloader: Reloader | None = None,
        tell: Callable[[str], None] = log.info,
    ) -> None:
        """`rules` are those to begin with; what `reloader` has ready is used from the next batch on, and told then."""
        self._source = source
        self._reloader, self._tell = reloader, tell
        self.ended = threading.Event()
        self.fan = fan.Fan(lanes(settings, without="stdout"))
        opened = store.connect(settings.store.dsn)
        self._sink = ClickHouseSink(opened, f"local:{identity.host_id}", insert_timeout=settings.sink.insert_timeout_s)
        retention.apply(opened, settings.store.retention)
        gatherer = Gatherer.configured(settings.sink, self._sink.counters)
        patience = Patience(longest=settings.sink.retry_max_s)
        first = self._sink.next_offset()
        self._raw = Queue(max_messages=_MESSAGES, first_offset=first)
        self._out = Queue(max_messages=_MESSAGES * 4, first_offset=first)
        self._worker = worker.Worker(rules, limits=settings.worker.limits())
        limits = settings.collector
        self._collector = collector.Collector(
            source,
            self._raw.producer(),
            identity,
            linger_ms=limits.linger_ms,
            batch_events=limits.batch_events,
            batch_bytes=limits.batch_bytes,
            redactor=_redactor(settings),
        )
        self._alerts = self._out.consumer([topics.ALERTS], lossy=True)
        raw = self._raw.consumer([topics.RAW])
        enriched = self._out.consumer([topics.EVENTS, topics.ALERTS])
        offered = self._out.consumer([topics.ALERTS])
        self._server = serve(settings)
        self._stop_collector, self._stop_sink, self._abort = threading.Event(), threading.Event(), threading.Event()
        self._stages = [
            _Stage(
                "sink",
                lambda: drive_sink(self._sink, enriched, self._stop_sink.is_set, gatherer=gatherer, patience=patience),
                self.ended,
            ),
            _Stage(
                "worker",
                lambda: worker.drive(self._worker, raw, self._out.producer(), self._abort.is_set, before=self._reload),
                self.ended,
            ),
            _Stage("collector", self._collect, self.ended),
            _Stage("alerts", lambda: fan.drive(self.fan, offered, self._stop_sink.is_set), self.ended),
        ]

    def _collect(self) -> None:
        self._collector.run(self._stop_collector)
        self.ended.set()

    def _reload(self, message: Message) -> None:
        new = self._reloader.take() if self._reloader is not None else None
        if new is not None:
            self._worker.use(new.rules)
            self._tell(f"rules reloaded: {new.count} rules, version {new.version[:12]}, from batch {message.offset} on")

    def alerts(self, wait: float) -> Iterator[dict[str, Any]]:
        """Alerts that have come, as Avro records; waits at most `wait` seconds for the first."""
        for message in self._alerts.read(100, wait):
            yield avro.decode("alert", message.value)

    def numbers(self) -> Numbers:
        """What was produced, stored and lost so far."""
        totals = self._collector.totals()
        return Numbers(totals.produced, self._sink.stored.events, dict(totals.lost), self._worker.counters.alerts)

    def finish(self, timeout: float = 1.8) -> Numbers:
        """End in the order of the flow; what does not reach the store in time is counted as lost there."""
        deadline = time.monotonic() + timeout
        sink, work, collect, alerting = self._stages
        self._stop_collector.set()
        collect.join(deadline)
        self._raw.close()
        work.join(deadline)
        self._abort.set()
        self._stop_sink.set()
        self._out.close()
        alerting.join(deadline)
        self.fan.finish(deadline)
        sink.join(deadline)
        self.fan.close(deadline)
        self._server.close()
        numbers = self.numbers()
        if not collect.thread.is_alive():
            self._source.close()  # else its rings are still being read; the process ends soon anyway
        missing = numbers.produced - numbers.stored - numbers.lost_total
        if missing:
            numbers.lost["sink", "stopped"] = missing
        return numbers

    def alert_report(self) -> list[str]:
        """Lines on what became of the alerts, for each sink, and of those that the terminal was too slow for."""
        missed = self._alerts.dropped
        return [*self.fan.report(), *([f"alerts not printed: {missed:,}"] if missed else [])]

    def raise_error(self) -> None:
        """Raise what ended a stage, if something did."""
        for stage in self._stages:
            if stage.error is not None:
                if isinstance(stage.error, TiercelError):
                    raise stage.error
                raise TiercelError(f"the {stage.name} failed: {stage.error!r}") from stage.error


def _redactor(settings: Settings) -> Redactor | None:
    """What events leave this host without; none where the store is a folder of it."""
    limits = settings.collector
    if settings.store.dsn.startswith("chdb:"):
        return None
    try:
        return Redactor(limits.env, limits.payloads, limits.redact)
    except ValueError as error:
        raise ConfigError(f"collector.env, collector.payloads or collector.redact: {error}") from None


class Rate:
    """Events per second over the last few readings."""

    def __init__(self, readings: int = 8) -> None:
        self._readings: deque[tuple[float, int]] = deque(maxlen=readings)

    def add(self, total: int) -> float:
        """Note a total; returns events per second."""
        now = time.monotonic()
        self._readings.append((now, total))
        since, first = self._readings[0]
        return (total - first) / (now - since) if now > since else 0.0


def bundled_capture() -> Path:
    """The recording that comes with tiercel, for machines without a usable kernel."""
    return Path(__file__).parent / "testing" / "demo.scap.gz"
