"""Renders deploy/grafana/dashboards/tiercel.json from the rows of panels below; --check fails if it is stale."""

import json
import sys
from pathlib import Path
from typing import Any

PATH = Path(__file__).parent.parent / "deploy" / "grafana" / "dashboards" / "tiercel.json"
_RATE = "[$__rate_interval]"


def rate(metric: str, by: str = "") -> str:
    """Per second, of all processes or by a label."""
    return f"sum by ({by}) (rate({metric}{_RATE}))" if by else f"sum(rate({metric}{_RATE}))"


def quantiles(metric: str) -> dict[str, str]:
    """Median and 99th percentile."""
    return {
        f"p{share}": f"histogram_quantile(0.{share}, sum by (le) (rate({metric}_bucket{_RATE})))" for share in (50, 99)
    }


Panel = tuple[str, str, dict[str, str]]

# Title, unit, legend -> expression. In a legend {{label}} is the label's value.
ROWS: dict[str, list[Panel]] = {
    "Overview": [
        (
            "Events a second",
            "short",
            {
                "produced": rate("tiercel_collector_produced_events_total"),
                "enriched": rate("tiercel_worker_events_total"),
                "stored": rate("tiercel_sink_stored_events_total"),
            },
        ),
        (
            "Lost events a second",
            "short",
            {"{{stage}}/{{reason}}": rate("tiercel_collector_lost_events_total", "stage, reason")},
        ),
        (
            "Complete, last hour",
            "percentunit",
            {
                "{{instance}}": "1 - sum by (instance) (increase(tiercel_collector_lost_events_total[1h]))"
                " / sum by (instance) (increase(tiercel_collector_produced_events_total[1h]))"
            },
        ),
        ("Ready", "short", {"{{instance}}": "tiercel_process_ready"}),
    ],
    "Collectors": [
        ("Messages that wait for Kafka", "short", {"{{instance}}": "tiercel_collector_queue_messages"}),
        (
            "Processes that nobody announced, a second",
            "short",
            {"{{outcome}}": rate("tiercel_collector_unannounced_processes_total", "outcome")},
        ),
        ("Bytes in the rings", "bytes", {"{{instance}}": "tiercel_collector_ring_fill_bytes"}),
        (
            "Spool, share of its limit",
            "percentunit",
            {"{{instance}}": "tiercel_collector_spool_bytes / tiercel_collector_spool_limit_bytes"},
        ),
        ("Batches a second", "short", {"{{instance}}": rate("tiercel_collector_batches_total", "instance")}),
    ],
    "Workers": [
        ("Lag by partition", "short", {"{{partition}}": "max by (partition) (tiercel_worker_lag_messages)"}),
        ("Delay from event to worker", "s", quantiles("tiercel_worker_latency_seconds")),
        (
            "Alerts a second by rule",
            "short",
            {"{{rule}}": f"topk(10, {rate('tiercel_worker_rule_alerts_total', 'rule')})"},
        ),
        ("Partitions", "short", {"{{instance}}": "tiercel_worker_partitions"}),
        ("Memory of states", "bytes", {"{{instance}}": "tiercel_worker_state_bytes"}),
        (
            "What is remembered",
            "short",
            {what: f"sum(tiercel_worker_{what})" for what in ("hosts", "threads", "fds", "users", "containers")},
        ),
        (
            "Not used, or forgotten, a second",
            "short",
            {
                "quarantined": rate("tiercel_worker_quarantined_messages_total"),
                "evicted": rate("tiercel_worker_evicted_entries_total"),
                "hosts forgotten": rate("tiercel_worker_forgotten_hosts_total"),
            },
        ),
        ("Age of the oldest snapshot that is due", "s", {"{{instance}}": "tiercel_worker_snapshot_age_seconds"}),
        ("Rules", "short", {"{{version}}": "max by (version) (tiercel_worker_rules_info)"}),
    ],
    "Sinks": [
        ("Lag", "short", {"{{topic}}": "sum by (topic) (tiercel_sink_lag_messages)"}),
        ("Delay from event to store", "s", quantiles("tiercel_sink_latency_seconds")),
        ("Inserts a second", "short", {"{{instance}}": rate("tiercel_sink_inserts_total", "instance")}),
        ("Tries that failed, a second", "short", {"{{reason}}": rate("tiercel_sink_retries_total", "reason")}),
        ("Waits for the store", "s", {"{{instance}}": "tiercel_sink_oldest_waiting_seconds"}),
        ("Repeats left out a second", "short", {"{{instance}}": rate("tiercel_sink_repeats_total", "instance")}),
        ("Alerts delivered a second", "short", {"{{sink}}": rate("tiercel_forward_delivered_alerts_total", "sink")}),
        (
            "Alerts that did not arrive, a second",
            "short",
            {
                "{{sink}} dropped: {{reason}}": rate("tiercel_forward_dropped_alerts_total", "sink, reason"),
                "{{sink}} refused: {{reason}}": rate("tiercel_forward_refused_alerts_total", "sink, reason"),
            },
        ),
    ],
    "Processes": [
        ("CPU", "short", {"{{instance}}": 'rate(process_cpu_seconds_total{job=~"tiercel.*"}' + _RATE + ")"}),
        ("Memory", "bytes", {"{{instance}}": 'process_resident_memory_bytes{job=~"tiercel.*"}'}),
        ("Seconds since the loop turned", "s", {"{{instance}}": "tiercel_process_loop_age_seconds"}),
    ],
}


def dashboard() -> dict[str, Any]:
    """What Grafana reads."""
    panels: list[dict[str, Any]] = []
    y = 0
    for row, wanted in ROWS.items():
        panels.append({"id": len(panels) + 1, "type": "row", "title": row, "collapsed": False, "panels": [],
                       "gridPos": {"h": 1, "w": 24, "x": 0, "y": y}})  # fmt: skip
        y += 1
        for index, (title, unit, expressions) in enumerate(wanted):
            panels.append(
                {
                    "id": len(panels) + 1,
                    "type": "timeseries",
                    "title": title,
                    "datasource": {"type": "prometheus", "uid": "prometheus"},
                    "gridPos": {"h": 8, "w": 8, "x": index % 3 * 8, "y": y + index // 3 * 8},
                    "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
                    "targets": [
                        {"refId": chr(65 + number), "expr": expression, "legendFormat": legend}
                        for number, (legend, expression) in enumerate(expressions.items())
                    ],
                }
            )
        y += -(-len(wanted) // 3) * 8
    return {
        "uid": "tiercel",
        "title": "Tiercel",
        "tags": ["tiercel"],
        "schemaVersion": 39,
        "time": {"from": "now-3h", "to": "now"},
        "refresh": "30s",
        "panels": panels,
    }


def main() -> int:
    """Write the file, or with --check say whether it is stale."""
    text = json.dumps(dashboard(), indent=1) + "\n"
    if PATH.exists() and PATH.read_text(encoding="utf-8") == text:
        return 0
    if "--check" in sys.argv[1:]:
        print(f"{PATH.name}: stale; run `make generate`")
        return 1
    PATH.write_text(text, encoding="utf-8")
    print(f"{PATH.name}: written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
