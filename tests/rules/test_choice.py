"""What settings make of rules: selection by name, tag and priority, and what alerts carry besides."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tiercel import _engine, config
from tiercel.errors import ConfigError
from tiercel.rules import sets
from tiercel.rules.load import Loaded, Loader

RULES = """
- rule: Read a file
  desc: d
  condition: evt.type = openat
  output: read %fd.name
  priority: WARNING
  tags: [file, mitre]
- rule: Write a file
  desc: d
  condition: evt.type = openat
  output: write %container.id
  priority: NOTICE
  tags: [file]
  enabled: false
- rule: Odd [net] name?
  desc: d
  condition: evt.type = openat
  output: net
  priority: DEBUG
  tags: [network]
"""


def loaded() -> Loaded:
    loader = Loader()
    loader.read_text("rules.yaml", RULES)
    return loader.finish().check()


def settings(**values: object) -> config.Worker:
    return config.Worker(**values)  # type: ignore[arg-type]


def enabled(**values: object) -> list[str]:
    return [rule.name.split()[0] for rule in sets.chosen(loaded(), settings(**values)).rules if rule.enabled]


@pytest.mark.parametrize(
    ("select", "names"),
    [
        ([], ["Read", "Odd"]),
        ([{"disable": {"rule": "*"}}], []),
        ([{"disable": {"rule": "*"}}, {"enable": {"tag": "file"}}], ["Read", "Write"]),
        ([{"enable": {"tag": "file"}}, {"disable": {"rule": "*"}}], []),
        ([{"enable": {"rule": "Write a file"}}], ["Read", "Write", "Odd"]),
        ([{"disable": {"rule": "* a *"}}], ["Odd"]),
        ([{"disable": {"rule": "read*"}}], ["Read", "Odd"]),
        ([{"disable": {"rule": "Odd [net] name?"}}], ["Read"]),
        ([{"disable": {"rule": "Odd [n]*"}}], ["Read", "Odd"]),
        ([{"disable": {"rule": "Odd*nam?"}}], ["Read", "Odd"]),
        ([{"disable": {"rule": "*file", "tag": "mitre"}}], ["Odd"]),
        ("- disable: {tag: network}", ["Read"]),
    ],
)
def test_rules_are_switched_in_order(select: object, names: list[str]) -> None:
    assert enabled(select=select) == names


@pytest.mark.parametrize(
    ("priority", "names"),
    [("debug", ["Read", "Odd"]), ("NOTICE", ["Read"]), ("Warning", ["Read"]), ("error", []), ("info", ["Read"])],
)
def test_less_urgent_rules_are_off_whatever_switched_them_on(priority: str, names: list[str]) -> None:
    assert enabled(priority=priority) == names
    more = enabled(priority=priority, select=[{"enable": {"rule": "*"}}])
    assert more == [*names[:1], *(["Write"] if priority not in ("Warning", "error") else []), *names[1:]]


def alerts(**values: object) -> dict[str, tuple[str, dict[str, Any]]]:
    """The texts and fields of the alerts by rule; the rules write bytes and open /etc/passwd on CPU 3."""
    worker = settings(matching="all", **values)
    found = _engine.RuleSet(sets.plan(loaded(), worker, throttled=True))
    told = found.try_event("openat", {"fd.name": "/etc/passwd", "evt.cpu": 3, "evt.buffer": "ab\ncd"})
    return {rule.split()[0]: (message, fields) for rule, message, fields in told}


def test_nothing_is_added_by_itself() -> None:
    assert alerts() == {"Read": ("read /etc/passwd", {"fd.name": "/etc/passwd"}), "Odd": ("net", {})}


def test_outputs_and_fields_are_added_where_they_match() -> None:
    found = alerts(
        append_output=[
            {"match": {"tags": ["file", "mitre"]}, "extra_output": "cpu=%evt.cpu"},
            {"match": {"rule": "Odd [net] name?"}, "extra_fields": ["evt.cpu", {"where": "on %evt.cpu of %fd.sip"}]},
            {"match": {"source": "k8s_audit"}, "extra_output": "never"},
            {"match": {"tags": ["file", "network"]}, "extra_output": "never"},
            {"extra_output": "all", "extra_fields": ["tolower(fd.name)", "fd.num"]},
        ]
    )
    every = {"tolower(fd.name)": "/etc/passwd", "fd.num": None}
    assert found == {
        "Read": ("read /etc/passwd cpu=3 all", {"fd.name": "/etc/passwd", "evt.cpu": 3} | every),
        "Odd": ("net all", {"evt.cpu": 3, "where": "on 3 of <NA>"} | every),
    }


def test_suggested_fields_are_added_once() -> None:
    names = ["container.id", "container.name", "container.image.repository", "container.image.tag", "k8s.pod.name",
             "k8s.ns.name"]  # fmt: skip
    select = [{"enable": {"rule": "*"}}]
    found = alerts(append_output={"suggested_output": True}, select=select)
    shown = " ".join(f"{name.replace('.', '_')}=<NA>" for name in names)
    assert found["Odd"] == (f"net {shown}", dict.fromkeys(names))
    assert found["Write"][0] == f"write <NA> {shown.partition(' ')[2]}"


def test_buffers_as_base64() -> None:
    extra = {"extra_output": "%evt.buffer", "extra_fields": ["evt.buffer", {"b": "<%evt.buffer>"}]}
    assert alerts(append_output=extra)["Odd"] == ("net ab.cd", {"evt.buffer": "ab.cd", "b": "<ab.cd>"})
    encoded = alerts(append_output=extra, buffer_format_base64=True)["Odd"]
    assert encoded == ("net YWIKY2Q=", {"evt.buffer": "YWIKY2Q=", "b": "<YWIKY2Q=>"})


def test_ids_of_alerts_follow_what_is_added_and_nothing_else() -> None:
    def hashes(**values: object) -> list[str]:
        worker = settings(**values)
        plan = sets.chosen(loaded(), worker).plan(base64=worker.buffer_format_base64)
        return [rule["sha256"] for rule in json.loads(plan)["rules"]]

    plain = hashes()
    assert hashes(priority="debug", append_output={"match": {"tags": ["nosuch"]}, "extra_output": "x"}) == plain
    read, odd = hashes(append_output={"match": {"tags": ["file"]}, "extra_fields": ["evt.cpu"]})
    assert (read != plain[0], odd) == (True, plain[1])
    assert not set(hashes(buffer_format_base64=True)) & set(plain)
    assert not set(hashes(append_output={"extra_fields": [{"evt.cpu": "%evt.cpu"}]})) & {read, *plain}


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"extra_output": "x %nosuch.field"}, r"worker.append_output: 'x %nosuch.field': unknown filter: nosuch.field"),
        ({"extra_fields": ["nosuch"]}, "worker.append_output: '%nosuch': unknown filter: nosuch"),
        ({"extra_fields": ["fd.name "]}, "worker.append_output: 'fd.name ' is no field; write KEY: FORMAT for a text"),
        ({"extra_fields": [{"k": "%"}]}, "worker.append_output: '%': the output ends with a '%'"),
    ],
)
def test_what_is_no_output_is_refused(entry: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        sets.chosen(loaded(), settings(append_output=entry))
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("select", "{enable: {}}", "worker.select[0].enable: needs `rule` or `tag`"),
        ("select", "{switch: {rule: x}}", "worker.select[0].switch: no such key"),
        ("select", "[x", "worker.select: not YAML: "),
        ("append_output", "{match: {tag: x}}", "worker.append_output[0].match.tag: no such key"),
        ("priority", "loud", "worker.priority: Input should be 'emergency', "),
    ],
)
def test_settings_that_make_no_sense(key: str, value: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"TIERCEL_WORKER_{key.upper()}", value)
    with pytest.raises(ConfigError) as caught:
        config.load()
    assert str(caught.value).startswith(f"environment TIERCEL_WORKER_{key.upper()}: {message}")


def test_the_engine_refuses_what_is_no_output() -> None:
    plan = json.loads(loaded().plan())
    for extra in ({"field": "nosuch"}, {"text": {"key": "k", "format": "%nosuch"}}, {"other": "x"}):
        plan["rules"][0]["extra"] = [extra]
        with pytest.raises(ValueError, match="unknown"):
            _engine.RuleSet(json.dumps(plan))
