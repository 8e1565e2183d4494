"""`throttle` of a rule: how it is written, what is wrong with it, and that what passes and what is counted add up."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.rules.test_load import errors, loaded, rule
from tiercel._engine import Host, RuleSet
from tiercel.local import bundled_capture
from tiercel.recording import Capture
from tiercel.rules.throttle import Throttle, of_settings
from tiercel.schemas import avro

SECOND = 1_000_000_000
OPENS = "evt.type in (open, openat)"
HEADER: dict[str, Any] = {
    "host_id": "h", "host": "h", "boot_id": "b", "run": 1, "first_seq": 1, "produced": 0, "delivered": 0, "lost": [],
}  # fmt: skip


def throttled(text: str) -> str:
    return rule(OPENS, more=f"  throttle: {text}\n")


def test_a_throttle_is_read() -> None:
    found = loaded(throttled("{per: [proc.name, 'proc.aname[2]', tolower(fd.name)], burst: 5, every: 5m}"))
    assert found.problems == []
    expected = Throttle(("proc.name", "proc.aname[2]", "tolower(fd.name)"), 5, 300 * SECOND)
    assert found.rules[0].throttle == expected
    assert expected.written() == {"per": list(expected.per), "burst": 5, "every": "5m"}
    plan = json.loads(found.plan(throttled=True))
    assert plan["rules"][0]["throttle"] == {"per": list(expected.per), "burst": 5, "every": 300 * SECOND}
    RuleSet(json.dumps(plan))
    assert "throttle" not in json.loads(found.plan())["rules"][0]


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("5", 13, "'throttle' has the keys per, burst and every"),
        ("{every: 1s}", 13, "needs a 'burst' of 0"),
        ("{burst: x, every: 1s}", 21, "'burst' must be a number"),
        ("{burst: 1000001, every: 1s}", 21, "to 1000000"),
        ("{burst: 1}", 13, "has no 'every'"),
        ("{burst: 1, every: 60}", 31, "'every' is '60'; write a time of 100ms to 1d"),
        ("{burst: 1, every: 99ms}", 31, "100ms to 1d"),
        ("{burst: 1, every: 2d}", 31, "100ms to 1d"),
        ("{burst: 1, every: 1s, per: proc.name}", 40, "'per' must be a list"),
        ("{burst: 1, every: 1s, per: [proc.nmae]}", 41, "proc.nmae"),
        ("{burst: 1, every: 1s, per: [fd.ip]}", 41, "fd.ip"),
        ("{burst: 1, every: 1s, per: ['proc.name %fd.name']}", 41, "is no field"),
        ("{burst: 1, every: 1s, burst: 2}", 35, "stands here twice"),
        ("{burst: 1, evry: 1s}", 24, "'throttle' has no key 'evry'; did you mean every?"),
    ],
)
def test_a_wrong_throttle_is_told_where_it_is(text: str, column: int, message: str) -> None:
    (error,) = errors(throttled(text))
    assert error.startswith(f"1.yaml:7:{column}: ")
    assert message in error


def test_an_override_replaces_and_never_appends() -> None:
    first = throttled("{burst: 5, every: 5m}")
    change = "- rule: r\n  throttle: {burst: 1, every: 1s}\n  override: {throttle: replace}\n"
    assert loaded(first, change).rules[0].throttle == Throttle((), 1, SECOND)
    assert "cannot be overridden by append" in errors(first, change.replace("replace", "append"))[0]


def test_a_default_is_for_rules_that_say_nothing() -> None:
    text = "".join(
        rule(OPENS, more=more).replace("rule: r", f"rule: r{at}")
        for at, more in enumerate(("", "  throttle: {burst: 0}\n", "  throttle: {burst: 7, every: 1s}\n"))
    )
    found = loaded(text)
    plan = json.loads(found.plan(throttled=True, default=of_settings(3, 60)))
    assert [row.get("throttle", {}).get("burst") for row in plan["rules"]] == [3, None, 7]
    assert of_settings(0, 60) is None
    versions = {found.plan(throttled=yes, default=of_settings(3, 60)).count("sha256") for yes in (True, False)}
    assert versions == {3}
    assert json.loads(found.plan())["version"] != plan["version"]


def alerts(path: Path, text: str, *, yes: bool) -> list[dict[str, Any]]:
    rules, host = RuleSet(loaded(text).plan(throttled=yes)), Host()
    bodies = [body for batch in Capture(path) for body in host.replay(batch, rules, header=HEADER)]
    return [avro.decode("alert", avro.frame("alert", body)) for body in [*bodies, *host.finish()]]


@pytest.mark.parametrize("every", ["100ms", "1s", "1d"])
@pytest.mark.parametrize("per", ["[]", "[proc.name]", "[proc.name, fd.name]"])
def test_what_passes_and_what_is_counted_are_the_matches_of_each_key(per: str, every: str) -> None:
    """The recording's alerts by key, without a throttle and with one."""
    fields = [name for name in per.strip("[]").split(", ") if name]
    text = throttled(f"{{per: {per}, burst: 2, every: {every}}}").replace(
        "output: o %proc.name", "output: o %proc.name %fd.name"
    )
    plain, found = (alerts(bundled_capture(), text, yes=yes) for yes in (False, True))

    def key(alert: dict[str, Any]) -> tuple[str, ...]:
        told = {item["name"]: item["value"] for item in alert["output_fields"]}
        return tuple(str(told[name]) for name in fields)

    matches, told = Counter(map(key, plain)), Counter[tuple[str, ...]]()
    for alert in found:
        told[key(alert)] += alert["suppressed"] + (not alert["summary"])
    assert told == matches
    assert not any(alert["suppressed"] or alert["summary"] for alert in plain)
    assert {alert["id"] for alert in found if not alert["summary"]} <= {alert["id"] for alert in plain}
    assert len({alert["id"] for alert in found}) == len(found) < len(plain)
    for alert in (alert for alert in found if alert["summary"]):
        assert alert["message"].startswith(f"{alert['suppressed']} more alerts of this rule suppressed in ")
        assert alert["seq"] in {other["seq"] for other in plain}
