"""Readers: what the stages' plain counters come to as metrics. One for each object that is watched."""

from collections.abc import Callable, Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from tiercel import latency
from tiercel.operations.exposition import Histogram, Reader, Sample

if TYPE_CHECKING:
    from tiercel.collector.collector import Collector
    from tiercel.collector.live import LiveSource
    from tiercel.joints.kafka import KafkaConsumer, KafkaProducer
    from tiercel.processors.running import Running
    from tiercel.processors.worker import Worker
    from tiercel.sinks.alerts.lane import Lane
    from tiercel.sinks.base import Sink


# Counters of a worker that recovers, and their metrics.
_RECOVERY = {
    "missing": "tiercel_worker_missing_events_total",
    "repeats": "tiercel_worker_repeated_batches_total",
    "twins": "tiercel_worker_twins_total",
    "lost_states": "tiercel_worker_lost_states_total",
}


def collector(stage: "Collector") -> Reader:
    """Of a collector."""

    def read() -> Iterator[Sample]:
        totals = stage.totals()
        yield "tiercel_collector_produced_events_total", (), totals.produced
        yield "tiercel_collector_delivered_events_total", (), totals.delivered
        yield "tiercel_collector_batches_total", (), totals.batches
        for key, count in totals.lost.items():
            yield "tiercel_collector_lost_events_total", key, count
        for key, count in totals.shed.items():
            yield "tiercel_collector_shed_payloads_total", key, count

    return read


def kernel(source: "LiveSource") -> Reader:
    """Of the rings, and of processes that nobody had announced."""

    def read() -> Iterator[Sample]:
        for outcome, count in sorted(source.healer.counts.items()):
            yield "tiercel_collector_unannounced_processes_total", (outcome,), count
        yield "tiercel_collector_reader_answers", (), int(getattr(source.healer.describer, "answers", True))
        try:
            yield "tiercel_collector_ring_fill_bytes", (), sum(source.fill())
        except RuntimeError:  # they are being drained in this moment
            return

    return read


class Spool(Protocol):
    """The part of the collector's spool that is read here."""

    @property
    def disk_bytes(self) -> int: ...

    @property
    def records(self) -> int: ...

    @property
    def write_errors(self) -> int: ...

    def oldest_age(self) -> float: ...


def spool(disk: Spool, limit_bytes: int) -> Reader:
    """Of what waits on a collector's disk, which may have so many bytes."""

    def read() -> Iterator[Sample]:
        yield "tiercel_collector_spool_bytes", (), disk.disk_bytes
        yield "tiercel_collector_spool_limit_bytes", (), limit_bytes
        yield "tiercel_collector_spool_batches", (), disk.records
        yield "tiercel_collector_spool_oldest_seconds", (), disk.oldest_age()
        yield "tiercel_collector_spool_write_errors_total", (), disk.write_errors

    return read


def producer(joint: "KafkaProducer") -> Reader:
    """Of a collector's way to Kafka."""

    def read() -> Iterator[Sample]:
        yield "tiercel_collector_sent_messages_total", (), joint.sent
        yield "tiercel_collector_refused_messages_total", (), joint.failed
        yield "tiercel_collector_queue_messages", (), joint.waiting()

    return read


def worker(stage: "Worker") -> Reader:
    """Of a worker and the states that it holds."""

    def read() -> Iterator[Sample]:
        counters, sizes = stage.counters, stage.sizes()
        yield "tiercel_worker_batches_total", (), counters.batches
        yield "tiercel_worker_events_total", (), counters.events
        yield "tiercel_worker_alerts_total", (), counters.alerts
        yield "tiercel_worker_quarantined_messages_total", (), counters.quarantined
        yield "tiercel_worker_evicted_entries_total", (), counters.evicted
        yield "tiercel_worker_forgotten_hosts_total", (), counters.forgotten_hosts
        for name, metric in _RECOVERY.items():
            if hasattr(counters, name):
                yield metric, (), getattr(counters, name)
        for rule, count in list(counters.rules.items()):
            yield "tiercel_worker_rule_alerts_total", (rule,), count
        for name in ("hosts", "threads", "fds", "users", "containers"):
            yield f"tiercel_worker_{name}", (), sizes.get(name, 0)
        yield "tiercel_worker_throttle_windows", (), sizes.get("throttled", 0)
        yield "tiercel_worker_state_bytes", (), sizes.get("bytes", 0)
        took = counters.latency
        yield "tiercel_worker_latency_seconds", (), Histogram(latency.BUCKETS, list(took.counts), took.seconds)

    return read


def running(app: "Running") -> Reader:
    """Of a worker in a group: its partitions, and the rules that it wants."""

    def read() -> Iterator[Sample]:
        yield "tiercel_worker_partitions", (), len(app.assigned or ())
        yield "tiercel_worker_under_way_messages", (), app.under_way()
        for partition, lag in app.lags().items():
            yield "tiercel_worker_lag_messages", (str(partition),), lag
        if (age := app.snapshot_age()) is not None:
            yield "tiercel_worker_snapshot_age_seconds", (), age
        version, count = app.rules()
        yield "tiercel_worker_rules", (), count
        yield "tiercel_worker_rules_info", (version,), 1
        if app.worker is not None:
            yield from worker(app.worker)()

    return read


def sink(stage: "Sink") -> Reader:
    """Of a sink."""

    def read() -> Iterator[Sample]:
        stored = stage.stored
        yield "tiercel_sink_stored_batches_total", (), stored.batches
        yield "tiercel_sink_stored_events_total", (), stored.events
        yield "tiercel_sink_stored_alerts_total", (), stored.alerts
        yield "tiercel_sink_repeats_total", (), stored.repeats
        yield "tiercel_sink_unreadable_messages_total", (), stored.unreadable
        if (counters := getattr(stage, "counters", None)) is not None:
            yield from _inserts(counters)

    return read


def _inserts(counters: Any) -> Iterator[Sample]:
    """Of a sink whose store is somewhere else: what it took to store."""
    yield "tiercel_sink_inserts_total", (), counters.inserts
    yield "tiercel_sink_insert_seconds_total", (), counters.insert_seconds
    yield "tiercel_sink_insert_bytes_total", (), counters.insert_bytes
    for reason, count in list(counters.retries.items()):
        yield "tiercel_sink_retries_total", (reason,), count
    yield "tiercel_sink_refused_events_total", (), counters.refused_events
    yield "tiercel_sink_paused", (), counters.paused
    yield "tiercel_sink_waiting_messages", (), counters.waiting_messages
    yield "tiercel_sink_waiting_bytes", (), counters.waiting_bytes
    yield "tiercel_sink_oldest_waiting_seconds", (), counters.oldest_seconds()
    ends = import_module("tiercel.sinks.counters").LATENCY_BUCKETS
    yield "tiercel_sink_latency_seconds", (), Histogram(ends, list(counters.latency), counters.latency_seconds)


def consumer(joint: "KafkaConsumer") -> Reader:
    """Of a sink's place in its group."""

    def read() -> Iterator[Sample]:
        yield "tiercel_sink_partitions", (), joint.partitions
        for (topic, partition), lag in joint.lags.items():
            yield "tiercel_sink_lag_messages", (topic, str(partition)), lag

    return read


def lane(way: "Lane", lag: Callable[[], int] | None = None) -> Reader:
    """Of the way to a sink of alerts."""

    def read() -> Iterator[Sample]:
        name, tally = way.name, way.tally
        yield "tiercel_forward_offered_alerts_total", (name,), tally.offered
        yield "tiercel_forward_delivered_alerts_total", (name,), tally.delivered
        for reason, count in list(tally.dropped.items()):
            yield "tiercel_forward_dropped_alerts_total", (name, reason), count
        for reason, count in list(tally.refused.items()):
            yield "tiercel_forward_refused_alerts_total", (name, reason), count
        yield "tiercel_forward_retries_total", (name,), tally.retries
        yield "tiercel_forward_waiting_alerts", (name,), way.waiting()
        if lag is not None:
            yield "tiercel_forward_lag_messages", (name,), lag()

    return read
