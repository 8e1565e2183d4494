"""An alert as people and programs read it: Falco's line, or Falco's JSON with our id, host and event.

Rows come from the topic (`row`) or from history, which gives them in this shape.
"""

import json
import math
import re
from datetime import UTC, datetime
from typing import Any

Row = dict[str, Any]

# What could end a line early, hide what stands in it or drive a terminal; and halves of characters, which no UTF-8 has.
_UNSEEN = re.compile("[\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
_HALVES = re.compile("[\ud800-\udfff]")


def clock(ns: int) -> str:
    """Local HH:MM:SS.nnnnnnnnn, as Falco prints it."""
    return f"{datetime.fromtimestamp(ns // 1_000_000_000):%H:%M:%S}.{ns % 1_000_000_000:09d}"


def utc(ns: int) -> str:
    """UTC YYYY-MM-DDTHH:MM:SS.nnnnnnnnnZ."""
    return f"{datetime.fromtimestamp(ns // 1_000_000_000, tz=UTC):%Y-%m-%dT%H:%M:%S}.{ns % 1_000_000_000:09d}Z"


def row(record: Row) -> Row:
    """An alert of the topic, as Avro has it, in the shape of History.alerts."""
    return {
        **record,
        "host": record["host_id"],
        "event": f"{record['host_id']}/{record['boot_id']}/{record['seq']}",
        "output_fields": {item["name"]: item["value"] for item in record["output_fields"]},
    }


def text(alert: Row) -> str:
    """Time, priority, message: as the event has it, so possibly several lines.

    Where an alert also counts others, and is no summary that says so itself, how many.
    """
    also = f" ({alert['suppressed']} suppressed)" if alert.get("suppressed") and not alert["summary"] else ""
    return f"{clock(alert['time'])}: {alert['priority']} {alert['message']}{also}"


def line(alert: Row) -> str:
    """The same on one line whatever stands in it: escaped as a string of JSON, as Falco does."""
    return _dump(text(alert))[1:-1]


def fields(alert: Row) -> Row:
    """Falco's keys, and id, host, event, rules_version; of alerts that count others, suppressed and summary."""
    at = int(alert["time"])
    counts = {"suppressed": alert["suppressed"], "summary": alert["summary"]} if alert.get("suppressed") else {}
    return {
        "event": alert["event"],
        "host": alert["host"],
        "hostname": alert["hostname"],
        "id": alert["id"],
        "output": text(alert),
        "output_fields": {"evt.time": at, **{name: _finite(value) for name, value in alert["output_fields"].items()}},
        "priority": alert["priority"],
        "rule": alert["rule"],
        "rules_version": alert.get("rules_version", ""),
        "source": alert["source"],
        "tags": sorted(alert["tags"]),
        "time": utc(at),
        **counts,
    }


def json_line(alert: Row) -> str:
    """`fields` as one line of JSON that any UTF-8 channel carries."""
    return _dump(fields(alert))


def _finite(value: object) -> object:
    """JSON has no number for what is none."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _dump(value: object) -> str:
    dumped = json.dumps(value, ensure_ascii=False)
    # These stand only in strings, where an escape means the same.
    return _HALVES.sub("\ufffd", _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", dumped))
