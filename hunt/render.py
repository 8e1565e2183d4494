"""Rows of history as lines for people: events, the books, and how complete the history is."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from tiercel.hunt.query import Row
from tiercel.printable import printable
from tiercel.schemas import shedding
from tiercel.schemas.alerts import clock


def event_text(row: Row) -> str:
    """One line: when, where, who (with parents), what."""
    when = datetime.fromtimestamp(int(row["evt.rawtime"]) // 1_000_000_000)
    lineage = " < ".join([str(row.get("proc.name", "?")), *row["proc.aname"][:4]])
    parts = [
        f"{when:%Y-%m-%d} {clock(int(row['evt.rawtime']))}",
        row["evt.hostname"],
        f"{row['evt.type']}={row['evt.rawres']}" if "evt.rawres" in row else row["evt.type"],
        f"{row.get('user.name', '?')}:{lineage}[{row.get('proc.pid', row['thread.tid'])}]",
        row.get("fd.name") or _arguments(row["args"]),
    ]
    mark = f"  ! {', '.join(row['rules'])}" if row["rules"] else ""
    return printable("  ".join(part for part in parts if part) + mark)


def _arguments(args: dict[str, str]) -> str:
    return " ".join(f"{name}={value}" for name, value in args.items())[:200]


def completeness_text(books: Row) -> str:
    """How much of the searched span is there."""
    stored, lost, missing = int(books["stored"]), int(books["lost"]), int(books["missing"])
    searched = f"searched {stored:,} events of {_count(books['hosts'], 'host')}"
    if books["hosts"]:
        searched += f" since {_day(books['begin'])}"
    notes = []
    if books["in_flight"]:
        notes.append(f"{books['in_flight']:,} in flight")
    if books["payloads"]:
        notes.append(f"payloads left out: {_reasons(books['payloads'])}")
    if not lost and not missing:
        return "; ".join([searched, "complete: nothing was lost", *notes])
    parts = [f"{lost:,} lost: {_reasons(books['losses'])}"] if lost else []
    parts += [f"{missing:,} MISSING: see `tiercel audit`"] if missing else []
    worst = ", ".join(f"{host['host']} {_percent(host['stored'], host['lost'])}" for host in books["worst"])
    if int(books["hosts"]) > 1 and worst:
        notes.append(f"worst: {worst}")
    return "; ".join([searched, ", ".join([f"{_percent(stored, lost + missing)} complete", *parts]), *notes])


def ledger_text(row: Row) -> str:
    """The balance of one run."""
    if row["missing"] > 0:
        state = f"{row['missing']:,} MISSING"
    elif row["missing"] < 0:
        state = f"{-row['missing']:,} TOO MANY: stored, and counted as lost as well"
    else:
        state = "balanced"
    came = f"produced {row['produced']:,}" + (f" + carried {row['carried']:,}" if row["carried"] else "")
    went = [f"{name} {row[name]:,}" for name in ("stored", "shed", "lost")]
    went += [f"in flight {row['in_flight']:,}"] if row["in_flight"] else []
    lines = [
        f"{row['hostname']}  run {row['run']} from {_day(row['since'])} to {_day(row['until'])}: {came} = "
        f"{' + '.join(went)}  {state}, {row['complete']:.5g} % complete"
    ]
    lines += [f"    {_what(loss)} {loss['count']:,}: {loss['stage']}/{loss['reason']}" for loss in row["losses"]]
    lines += [f"    without payload {loss['count']:,}: {loss['stage']}/{loss['reason']}" for loss in row["payloads"]]
    return "\n".join(map(printable, lines))


def ledger_sum(runs: int, unbalanced: int, sums: Mapping[str, int]) -> str:
    """All runs together."""
    known = sums["stored"] + sums["shed"] + sums["lost"] + sums["missing"]
    parts = [
        f"{name.replace('_', ' ')} {sums[name]:,}" for name in ("stored", "shed", "lost", "in_flight") if sums[name]
    ]
    text = f"{_count(runs, 'run')}, {unbalanced} unbalanced"
    return f"{text}; {_percent(sums['stored'], known - sums['stored'])} complete: {', '.join(parts)}" if known else text


def _what(loss: Row) -> str:
    return "shed" if loss["stage"] == shedding.STAGE and loss["reason"] in shedding.BY_BUDGET else "lost"


def _reasons(losses: list[Row]) -> str:
    return ", ".join(f"{loss['count']:,} {loss['stage']}/{loss['reason']}" for loss in losses)


def _percent(stored: int, lost: int) -> str:
    return f"{100 * stored / (stored + lost):.5g} %" if stored + lost else "0 %"


def _day(time_ns: Any) -> str:
    return f"{datetime.fromtimestamp(int(time_ns) // 1_000_000_000):%Y-%m-%d %H:%M:%S}"


def _count(number: Any, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
