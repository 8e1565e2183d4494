"""All metrics: name, kind, what it is, labels. Readers give these and no others; docs/metrics.md is rendered from here."""

from typing import Literal, NamedTuple


class Metric(NamedTuple):
    """A row. Counters begin anew with their process."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()


# fmt: off
_ROWS = (
    Metric("tiercel_process_info", "gauge", "1; which stage this process is, and its version.", ("stage", "version")),
    Metric("tiercel_process_ready", "gauge", "Whether /readyz says that it does its work: 1 or 0."),
    Metric("tiercel_process_loop_age_seconds", "gauge", "Seconds since its loop turned last; /healthz fails when it stands still."),
    Metric("tiercel_process_scrape_failures_total", "counter", "Readers of metrics that failed; the others' metrics are given."),

    Metric("tiercel_collector_produced_events_total", "counter", "Events that the kernel produced, lost ones included."),
    Metric("tiercel_collector_delivered_events_total", "counter", "Events of the kernel that were numbered and handed on in batches."),
    Metric("tiercel_collector_batches_total", "counter", "Batches that were handed on."),
    Metric("tiercel_collector_lost_events_total", "counter", "Events lost on this host, as the ledger has them; by a budget or a full ring: the reason names their class.", ("stage", "reason")),
    Metric("tiercel_collector_shed_payloads_total", "counter", "Reads and writes whose data was left out, by a budget or a full ring; the events themselves were delivered.", ("stage", "reason")),
    Metric("tiercel_collector_sent_messages_total", "counter", "Messages that the broker has."),
    Metric("tiercel_collector_refused_messages_total", "counter", "Messages that the broker refused for good."),
    Metric("tiercel_collector_queue_messages", "gauge", "Messages that wait for the broker in memory."),
    Metric("tiercel_collector_ring_fill_bytes", "gauge", "Bytes that wait in the kernel's rings, of all CPUs."),
    Metric("tiercel_collector_unannounced_processes_total", "counter", "Processes and threads that no event had announced: described from /proc, gone by then, late, or refused as there were too many.", ("outcome",)),
    Metric("tiercel_collector_reader_answers", "gauge", "Whether the process that reads /proc answers: 1 or 0."),
    Metric("tiercel_collector_spool_bytes", "gauge", "Bytes in the spool on disk."),
    Metric("tiercel_collector_spool_limit_bytes", "gauge", "Most bytes that the spool may have; what is more is lost, and counted."),
    Metric("tiercel_collector_spool_batches", "gauge", "Batches of this run that Kafka does not have yet."),
    Metric("tiercel_collector_spool_oldest_seconds", "gauge", "Age of the oldest part of the spool that Kafka lacks."),
    Metric("tiercel_collector_spool_write_errors_total", "counter", "Writes that the spool's disk did not take."),

    Metric("tiercel_worker_batches_total", "counter", "Batches that were enriched and matched."),
    Metric("tiercel_worker_events_total", "counter", "Events that were enriched and matched."),
    Metric("tiercel_worker_alerts_total", "counter", "Alerts, those that only tell counts of throttled rules included."),
    Metric("tiercel_worker_rule_alerts_total", "counter", "Alerts by rule; beyond 1000 names the rule is called `other`.", ("rule",)),
    Metric("tiercel_worker_quarantined_messages_total", "counter", "Messages that could not be used and went to tiercel.quarantine."),
    Metric("tiercel_worker_evicted_entries_total", "counter", "Threads, descriptors, users and containers that the limits of a host took."),
    Metric("tiercel_worker_forgotten_hosts_total", "counter", "Hosts whose state went because there were too many."),
    Metric("tiercel_worker_partitions", "gauge", "Partitions that this worker has."),
    Metric("tiercel_worker_lag_messages", "gauge", "Messages of tiercel.raw that wait in a partition of this worker.", ("partition",)),
    Metric("tiercel_worker_under_way_messages", "gauge", "Messages that were handled and whose outputs are not yet safe in Kafka."),
    Metric("tiercel_worker_hosts", "gauge", "Hosts whose state is held."),
    Metric("tiercel_worker_threads", "gauge", "Threads remembered, of all hosts."),
    Metric("tiercel_worker_fds", "gauge", "Descriptors remembered, of all hosts."),
    Metric("tiercel_worker_users", "gauge", "Users and groups remembered, of all hosts."),
    Metric("tiercel_worker_containers", "gauge", "Containers remembered, of all hosts."),
    Metric("tiercel_worker_throttle_windows", "gauge", "Windows of throttled rules that are open, of all hosts."),
    Metric("tiercel_worker_state_bytes", "gauge", "Bytes of memory that the states of all hosts take."),
    Metric("tiercel_worker_missing_events_total", "counter", "Events whose numbers never came, told to the ledger."),
    Metric("tiercel_worker_repeated_batches_total", "counter", "Batches that came twice; each counted once."),
    Metric("tiercel_worker_twins_total", "counter", "Hosts of whom two runs sent at the same time: their host id is not theirs alone."),
    Metric("tiercel_worker_lost_states_total", "counter", "Hosts that went on without what was known of them."),
    Metric("tiercel_worker_snapshot_age_seconds", "gauge", "How long the oldest message has waited for a snapshot that covers it."),
    Metric("tiercel_worker_rules", "gauge", "Rules that are on."),
    Metric("tiercel_worker_rules_info", "gauge", "1; the version of the rules that are wanted.", ("version",)),
    Metric("tiercel_worker_latency_seconds", "histogram", "From a batch's first event, by its host's clock, to this worker's hands on it, by the worker's: clocks may differ."),

    Metric("tiercel_sink_stored_batches_total", "counter", "Batches that were stored."),
    Metric("tiercel_sink_stored_events_total", "counter", "Events that were stored, each counted once."),
    Metric("tiercel_sink_stored_alerts_total", "counter", "Alerts that were stored, each counted once."),
    Metric("tiercel_sink_repeats_total", "counter", "Batches and alerts that were there already and were left out."),
    Metric("tiercel_sink_unreadable_messages_total", "counter", "Messages that could not be read."),
    Metric("tiercel_sink_partitions", "gauge", "Partitions of topics that this sink has."),
    Metric("tiercel_sink_lag_messages", "gauge", "Messages that wait in a partition of this sink.", ("topic", "partition")),
    Metric("tiercel_sink_inserts_total", "counter", "Inserts that the store took."),
    Metric("tiercel_sink_insert_seconds_total", "counter", "Seconds that they took."),
    Metric("tiercel_sink_insert_bytes_total", "counter", "Bytes that they had, as sent."),
    Metric("tiercel_sink_retries_total", "counter", "Writes that the store did not take and that were tried again.", ("reason",)),
    Metric("tiercel_sink_refused_events_total", "counter", "Events that the store never takes: in the quarantine, and lost in the ledger."),
    Metric("tiercel_sink_paused", "gauge", "Whether reading waits for a store that takes nothing: 1 or 0."),
    Metric("tiercel_sink_waiting_messages", "gauge", "Messages that were read and are not stored yet."),
    Metric("tiercel_sink_waiting_bytes", "gauge", "Their bytes."),
    Metric("tiercel_sink_oldest_waiting_seconds", "gauge", "For how long the oldest of them has waited."),
    Metric("tiercel_sink_latency_seconds", "histogram", "From a batch's last event, by its host's clock, until it was stored, by the sink's: clocks may differ."),

    Metric("tiercel_forward_offered_alerts_total", "counter", "Alerts that were meant for a sink of alerts.", ("sink",)),
    Metric("tiercel_forward_delivered_alerts_total", "counter", "Alerts that it has.", ("sink",)),
    Metric("tiercel_forward_dropped_alerts_total", "counter", "Alerts that were given up.", ("sink", "reason")),
    Metric("tiercel_forward_refused_alerts_total", "counter", "Alerts that it never takes.", ("sink", "reason")),
    Metric("tiercel_forward_retries_total", "counter", "Tries that failed and were made again.", ("sink",)),
    Metric("tiercel_forward_waiting_alerts", "gauge", "Alerts that wait for it in memory.", ("sink",)),
    Metric("tiercel_forward_lag_messages", "gauge", "Alerts that wait for it in Kafka.", ("sink",)),
)
# fmt: on

METRICS: dict[str, Metric] = {row.name: row for row in _ROWS}
"""By name."""
