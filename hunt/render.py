"""Rows of history as lines for people: events, the books, and how complete the history is."""

from datetime import datetime
from typing import Any

from tiercel.hunt.query import Row
from tiercel.printable import printable
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
    stored, lost = int(books["stored"]), int(books["lost"])
    searched = f"searched {stored:,} events of {_count(books['hosts'], 'host')}"
    if not lost:
        return f"{searched}; complete: nothing was lost"
    reasons = ", ".join(f"{loss['count']:,} {loss['stage']}/{loss['reason']}" for loss in books["losses"])
    return f"{searched}; {100 * stored / (stored + lost):.4g} % complete, {lost:,} lost: {reasons}"


def ledger_text(row: Row, *, running: bool) -> str:
    """The balance of one run."""
    state = "balanced" if not row["balance"] else f"{row['balance']:,} " + ("on the way" if running else "MISSING")
    day = datetime.fromtimestamp(int(row["since"]) // 1_000_000_000)
    losses = "".join(f"\n    lost {loss['count']:,}: {loss['stage']}/{loss['reason']}" for loss in row["losses"])
    return (
        f"{row['hostname']}  run {row['run']} from {day:%Y-%m-%d %H:%M:%S}: produced {row['produced']:,} = "
        f"stored {row['stored']:,} + lost {row['lost']:,}  {state}{losses}"
    )


def _count(number: Any, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
