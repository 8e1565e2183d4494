"""Alerts as text and JSON: Falco's, and always one line."""

import json

import pytest

from tiercel.schemas import alerts, avro
from tiercel.testing import builders

HOSTILE = [
    "two\nlines",
    "\r\n<13>forged",
    "bell\x07 escape\x1b[2J nul\x00 delete\x7f",
    "next\x85line \u2028 \u2029 right-to-left\u202e",
    'quote " backslash \\',
    "half \ud800 of a character",
]


def row(**fields: object) -> alerts.Row:
    return alerts.row(avro.decode("alert", builders.alert("id-1", **fields)))


def test_json_has_falcos_keys_and_ours() -> None:
    found = json.loads(alerts.json_line(row(tags=["b", "a"])))
    assert set(found) == {
        *("time", "rule", "priority", "source", "hostname", "output", "output_fields", "tags"),
        *("id", "host", "event", "rules_version"),
    }
    assert found["time"] == "2026-01-02T03:04:05.000000000Z"
    assert found["tags"] == ["a", "b"]
    assert found["output_fields"] == {"evt.time": builders.TIME, "proc.pid": 42, "proc.name": None}
    assert found["output"].endswith(":05.000000000: Warning something happened")
    assert found["event"] == "host-1/boot-1/1000"


def test_counts_of_throttled_alerts_are_told() -> None:
    """One that passed says so beside its message, a summary in it; what counts nothing has no such keys."""
    carrying, summary = row(suppressed=3), row(suppressed=4, summary=True, message="4 more alerts of this rule")
    assert alerts.text(carrying).endswith(" Warning something happened (3 suppressed)")
    assert alerts.text(summary).endswith(" Warning 4 more alerts of this rule")
    counts = [[told.get(key) for key in ("suppressed", "summary")] for told in map(alerts.fields, (carrying, summary))]
    assert counts == [[3, False], [4, True]]


def test_text_is_escaped_as_falco_does() -> None:
    assert alerts.line(row(message='a "b" \\ \n c')).endswith('Warning a \\"b\\" \\\\ \\n c')


@pytest.mark.parametrize("message", HOSTILE)
def test_whatever_stands_in_it_is_one_line_of_utf8(message: str) -> None:
    alert = row() | {"message": message, "tags": [message], "output_fields": {message: message}}
    for line in (alerts.line(alert), alerts.json_line(alert)):
        assert len(line.splitlines()) == 1
        assert line.isprintable()
        line.encode()
    told = json.loads(alerts.json_line(alert))["output_fields"]
    whole = message.replace("\ud800", "\ufffd")
    assert told == {"evt.time": builders.TIME, whole: whole}
