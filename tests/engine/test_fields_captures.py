"""Fields and alerts on recordings, against what the real programs said about the same recordings."""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tiercel._engine import Batch, CaptureReader, Host, RuleSet
from tiercel.rules.load import load
from tiercel.schemas import avro

SHARED = next((up / "shared" for up in Path(__file__).parents if (up / "shared/captures").is_dir()), None)
pytestmark = pytest.mark.skipif(SHARED is None, reason="the recordings (../shared/captures) are not here")
HOSTNAME = "vm"
# The file name that was overwritten in the recordings (captures/README.md), and what the programs had seen.
EDITED = ("/tmp/held", "/tmp/case")
NO_ID = 2**32 - 1
DESCRIPTOR = re.compile(r"\(<[^>]*>[^)]*\)")
# What docs/differences.md tells of, counted in the recordings.
MENDED: dict[str, dict[str, dict[str, int]]] = {
    "attack_b": {
        "unknown descriptors": {"evt.args": 106, "fd.type": 74, "fd.name": 72, "fd.num": 3},
        "kept ids": {"user.uid": 13},
    },
    "benign_b": {
        "unknown descriptors": {"evt.args": 270, "fd.type": 157, "fd.name": 157, "fd.num": 69},
        "kept ids": {},
    },
}
# Fields that are mended, and rules that match more for it: docs/differences.md has each.
MENDED_FIELDS = {
    "evt.deltatime",
    "proc.pidns_init_start_ts",
    "proc.exe_ino.ctime_duration_pidns_start",
    "proc.ppid.ts",
    "proc.ppid.duration",
    "fd.cproto",
    "fd.sproto",
    "fd.name_changed",
    "fs.path.name",
    "fs.path.source",
    "fs.path.target",
}
ONLY_OURS = {"fd types arg", "op intersects", "tr b64"}
# libsinsp has the user 4294967295 where an id was kept ("Kept ids").
OF_NO_USER = {"user.homedir", "user.shell"}
STANDARD = {f"proc.{stream}.{what}" for stream in ("stdin", "stdout", "stderr") for what in ("name", "type")}
CAPABILITIES = {"thread.cap_permitted", "thread.cap_effective"}
# Sockets of attack_b whose tuple libsinsp has wrong: UDP over IPv6, raw sockets, a connect that failed.
SOCKETS = {66914, 66920, 66925, 48992, 48993}
OLD = ["cat_write", "curl_google", "open-multiple-files", "run_as_user_0_container", "sample", "test_ipv6_client"]


def batches(path: Path) -> Iterator[Batch]:
    reader = CaptureReader()
    data = path.read_bytes()
    reader.feed(gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data)
    reader.finish()
    while (batch := reader.next(10_000)) is not None:
        yield batch


def captures() -> Path:
    assert SHARED is not None
    return SHARED / "captures"


def lines(name: str) -> list[Any]:
    with gzip.open(captures() / "expected" / name, "rt") as file:
        return [json.loads(line) for line in file]


def alerts(name: str, rules: RuleSet) -> list[dict[str, Any]]:
    """What rules say of a recording."""
    header = {"host_id": "h", "host": HOSTNAME, "boot_id": "b", "run": 0, "first_seq": 0, "produced": 0, "delivered": 0}
    host = Host()
    raw = [
        alert for batch in batches(captures() / f"{name}.scap.gz") for alert in host.replay(batch, rules, header=header)
    ]
    return [avro.decode("alert", avro.frame("alert", body)) for body in raw]


def explained(ours: Any, theirs: Any) -> bool:
    """Differences that the recordings' README tells of: edited names, and text that is not UTF-8."""
    if not isinstance(ours, str) or not isinstance(theirs, str):
        return False
    return ours.replace(*EDITED) == theirs.replace(*EDITED) or "\ufffd" in ours


def unknown(ours: Any, theirs: Any) -> bool:
    """docs/differences.md, "A copy of an unknown descriptor": ours names no file where theirs has an old one."""
    if isinstance(ours, int):
        return isinstance(theirs, int)  # fd.num: of the number that was copied, as there is no copy to speak of
    if not ours or not isinstance(theirs, str):
        return not ours
    named, known = set(DESCRIPTOR.findall(ours)), set(DESCRIPTOR.findall(theirs))
    return named < known and DESCRIPTOR.sub("", ours) == DESCRIPTOR.sub("", theirs)


def of_a_copy(name: str, ours: Any, theirs: Any) -> bool:
    """docs/differences.md, "A copy of an unknown descriptor": it is not counted and has no name."""
    if name in ("proc.fdopencount", "proc.fdusage"):
        return bool(ours < theirs)
    return name in STANDARD and ours is None


def another_user(name: str, ours: Any, theirs: Any) -> bool:
    """docs/differences.md, "Capabilities of another user": it has some of those that libsinsp leaves it."""
    return name in CAPABILITIES and set(str(ours).split()) < set(str(theirs).split())


def first_of_a_namespace(name: str, ours: Any) -> bool:
    """docs/differences.md, "Sessions of pid namespaces"."""
    return name in ("proc.sid", "proc.vpgid") and ours == 0


@pytest.mark.parametrize("name", ["attack_b", "benign_b"])
def test_fields_are_those_of_the_real_libraries(name: str) -> None:
    header, *expected = lines(f"{name}.fields.gz")
    host, fields = Host(), header["fields"]
    rows = (
        row
        for batch in batches(captures() / f"{name}.scap.gz")
        for row in host.field_rows(batch, fields, hostname=HOSTNAME)
    )
    first, last, ours = 0, 0, {}
    for row in rows:
        first, last = first or row[0], row[0]
        if row[0] % header["step"] == 0:
            ours[row[0]] = row
    assert first == 73
    assert last - first + 1 == header["events_in_capture"]
    mended: dict[str, Counter[str]] = {reason: Counter() for reason in MENDED[name]}
    unexplained: dict[str, tuple[int, Any, Any]] = {}
    for theirs in expected:
        for field, mine, real in zip(fields, ours[theirs[0]], theirs, strict=True):
            if mine == real or explained(mine, real):
                continue
            if real == NO_ID and field in ("user.uid", "group.gid"):
                mended["kept ids"][field] += 1
            elif field in ("fd.num", "fd.type", "fd.name", "evt.args") and unknown(mine, real):
                mended["unknown descriptors"][field] += 1
            else:
                unexplained[f"{field} #{theirs[0]}"] = (theirs[2], real, mine)
    print(f"{name}: {len(expected)} events compared, mended: {mended}, unexplained: {len(unexplained)}")
    assert unexplained == {}
    # As many as they are, and no more: a descriptor that gets lost is another thing.
    assert {reason: dict(count) for reason, count in mended.items()} == MENDED[name]


@pytest.mark.parametrize("name", ["attack_b", "benign_b", "workload"])
@pytest.mark.parametrize("matching", ["first", "all"])
@pytest.mark.parametrize("ruleset", ["stable", "all3"])
def test_alerts_are_those_of_falco(name: str, matching: str, ruleset: str) -> None:
    assert SHARED is not None
    files = {"stable": ["falco_rules"], "all3": ["falco_rules", "falco-incubating_rules", "falco-sandbox_rules"]}[
        ruleset
    ]
    loaded = load([SHARED / "falco-rules" / f"{file}.yaml" for file in files])
    assert loaded.errors == []
    compiled = RuleSet(loaded.plan(matching=matching))
    ours = alerts(name, compiled)
    theirs = lines(f"{name}.{ruleset}.{matching}.jsonl.gz")
    detected = Counter((a["rule"], a["output_fields"]["evt.time"]) for a in theirs)
    found = Counter((a["rule"], seen_at(a)) for a in ours)
    texts = [
        (mine["message"], real["output"].split(f"{real['priority']} ", 1)[1])
        for mine, real in zip(ours, theirs, strict=False)
    ]
    print(
        f"{name}, {ruleset}, {matching}: detections {part((detected & found).total(), detected.total())}, "
        f"ours alone {(found - detected).total()}, same text {part(sum(same(*pair) for pair in texts), len(theirs))}"
    )
    assert found == detected
    for mine, real in texts:
        assert mine == real or explained(mine, real)


def same(ours: str, theirs: str) -> bool:
    """But for the name that was overwritten in the recording."""
    return ours.replace(*EDITED) == theirs.replace(*EDITED)


def part(count: int, whole: int) -> str:
    return f"{count} of {whole} ({count / max(whole, 1):.2%})"


def seen_at(alert: dict[str, Any]) -> int:
    return next(field["value"] for field in alert["output_fields"] if field["name"] == "evt.time")


@pytest.mark.parametrize("name", OLD)
def test_exits_of_old_captures_are_those_of_sysdig(name: str) -> None:
    """Threads, names of processes and descriptors of every exit that sysdig printed, by time and thread."""
    host = Host()
    fields = [
        "evt.rawtime",
        "evt.cpu",
        "thread.tid",
        "evt.type",
        "proc.name",
        "proc.pid",
        "proc.ppid",
        "fd.num",
        "fd.type",
        "fd.name",
        "evt.res",
    ]
    rows = [row for batch in batches(captures() / f"{name}.scap") for row in host.field_rows(batch, fields)]
    ours = {(str(row[0]), str(row[2])): row for row in rows}
    with gzip.open(captures() / "expected" / f"{name}.sysdig.txt.gz", "rt") as file:
        theirs = [line.split(" ", 5) for line in file.read().splitlines()]
    exits = [
        event for event in theirs if event[4] == "<" and event[5].split(" ")[0] not in ("procinfo", "notification")
    ]
    missing = [event for event in exits if (event[1], event[3]) not in ours]
    assert missing == []
    verdicts: Counter[str] = Counter()
    for event in exits:
        mine = ours[event[1], event[3]]
        text = " ".join("<NA>" if value is None else str(value) for value in mine[3:])
        verdict = "equal" if text == event[5] else since_sysdig(mine[3:], event[5])
        verdicts[verdict] += 1
        if verdict == "unexplained":
            print(event[0], "|", event[5], "|", text)
    print(f"{name}: {len(exits)} exits: {dict(verdicts)}")
    assert verdicts["unexplained"] == 0


def since_sysdig(ours: list[Any], theirs: str) -> str:
    """What libsinsp has changed since sysdig 0.29.3 printed this; the recordings of now show that it is so."""
    call, sysdig = ours[0], theirs.split(" ")
    if sysdig[0] == "<unknown>":
        return "a call has a name"
    if call == "mmap" and sysdig[4:7] == ["<NA>"] * 3:
        return "mmap has a descriptor"
    if call in ("getuid", "geteuid", "getgid", "getegid") and (ours[7], sysdig[7]) == ("SUCCESS", "<NA>"):
        return "getuid has a result"
    # What the call was given counts, not whom the socket was connected to before; nor does one that failed have a peer.
    if call in ("connect", "sendto") and ours[5] in ("ipv6", "unix") and ours[7] == sysdig[-1]:
        return "a connection is to whom it was asked for"
    return "unexplained"


@pytest.mark.parametrize("name", ["attack_b", "benign_b", "workload"])
def test_field_rules_say_what_falco_said(name: str) -> None:
    """Rules over many fields: per rule, which events matched and what the output showed of them."""
    loaded = load([captures() / "field_rules.yaml"])
    assert loaded.errors == []
    compiled = RuleSet(loaded.plan(matching="all"))
    ours = alerts(name, compiled)
    theirs = lines(f"{name}.field_rules.all.jsonl.gz")
    mine = {(a["rule"], seen_at(a)): a for a in ours}
    real = {(a["rule"], a["output_fields"]["evt.time"]): a for a in theirs}
    counts: dict[str, Counter[str]] = {}
    unexplained = []
    for key in sorted(mine.keys() | real.keys()):
        verdict, why = compared(mine.get(key), real.get(key))
        counts.setdefault(key[0], Counter())[verdict] += 1
        if verdict == "unexplained":
            unexplained.append((key, why))
    for rule, found in sorted(counts.items()):
        print(
            f"{name}: {rule}: " + ", ".join(f"{found[kind]} {kind}" for kind in ("equal", "explained", "unexplained"))
        )
    sums = sum(counts.values(), Counter())
    both = mine.keys() & real.keys()
    print(f"{name}, field_rules: detections {part(len(both), len(real))}, ours alone {len(mine.keys() - both)}, "
          f"same text {part(sums['equal'], len(real))}, the others explained")  # fmt: skip
    assert unexplained == []


def compared(mine: dict[str, Any] | None, real: dict[str, Any] | None) -> tuple[str, object]:
    """Whether two alerts are equal, different for a known reason, or different; and in what."""
    if mine is None or real is None:
        ours = mine is not None and mine["rule"] in ONLY_OURS
        return ("explained" if ours else "unexplained"), "only one has it"
    text = real["output"].split(f"{real['priority']} ", 1)[1]
    if mine["message"] == text:
        return "equal", None
    fields = {field["name"]: field["value"] for field in mine["output_fields"]}
    different = {
        name: (value, fields.get(name))
        for name, value in real["output_fields"].items()
        if str(value) != str(fields.get(name))
    }
    if not different:
        return "unexplained", (text, mine["message"])
    left = {
        name: (theirs, ours)
        for name, (theirs, ours) in different.items()
        if name not in MENDED_FIELDS
        and not explained(ours, theirs)
        and not of_a_copy(name, ours, theirs)
        and not another_user(name, ours, theirs)
        and not first_of_a_namespace(name, ours)
        and not (name in OF_NO_USER and theirs == "<NA>")
    }
    if left and real["output_fields"].get("evt.num") not in SOCKETS:
        return "unexplained", left
    return "explained", None
