# ruff: noqa: S608 -- the queries are put together from constants; what a user gives travels as parameters
"""The balance of each run of a host, from the table `ledger`: what came in is stored, counted as lost, or in flight.

A batch tells what the kernel had produced, and what was numbered, by its end. So what a host still held when its newest
batch was cut is known, and is all that can be in flight: batches of a host are stored in their order, and a gap
between two is in the ledger when the second is.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tiercel.schemas import shedding

Row = dict[str, Any]
Ask = Callable[[str, Row], list[Sequence[Any]]]

SILENT_S = 600
"""Who has not been heard of for so long may be gone: what it held is no longer said to be in flight."""

_KEYS = "host_id, boot_id, run"
# Losses before events had numbers; those after are among the numbered.
_EARLY = "kind = 'lost' AND (stage IN ('ring', 'collector') OR (stage = 'spool' AND reason IN ('full', 'disk')))"


@dataclass(frozen=True)
class Balance:
    """Events of a run. `produced`, `stored`, `shed` and `lost` are of the span, `carried` what was in flight at its
    beginning; the rest is of the whole run: `early` losses came before numbers.
    """

    produced: int
    carried: int
    stored: int
    shed: int
    lost: int
    total_produced: int
    delivered: int
    early: int
    is_open: bool

    @property
    def balance(self) -> int:
        """What is neither stored nor counted as lost."""
        return self.produced + self.carried - self.stored - self.shed - self.lost

    @property
    def in_flight(self) -> int:
        """How much of that the host held when it was heard of last; none of it once the run is over."""
        held = self.total_produced - self.delivered - self.early
        return max(0, min(self.balance, held)) if self.is_open else 0

    @property
    def missing(self) -> int:
        """What nothing accounts for; below zero: what is accounted for twice."""
        return self.balance - self.in_flight

    @property
    def complete(self) -> float:
        """Percent of what is known to have happened that is stored."""
        known = self.stored + self.shed + self.lost + max(0, self.missing)
        return 100 * self.stored / known if known else 100.0

    def row(self) -> Row:
        """As the API gives it."""
        names = ("produced", "carried", "stored", "shed", "lost", "delivered", "balance", "in_flight", "missing")
        return {name: getattr(self, name) for name in names} | {"complete": round(self.complete, 4)}


def ledger(ask: Ask, since: int, host: str) -> Iterator[Row]:
    """The books of each run that was heard of since then, by host and run."""
    now = time.time()
    where, parameters = "1", {"since_ns": since, "budget": list(shedding.BY_BUDGET)}
    if host:
        where, parameters["host"] = "(host_id = {host:String} OR host = {host:String})", host
    told: dict[tuple[Any, ...], dict[str, list[Row]]] = {}
    later = "until >= fromUnixTimestamp64Nano({since_ns:Int64}, 'UTC')"
    for *key, kind, stage, reason, count in ask(
        f"SELECT {_KEYS}, kind, stage, reason, sum(count) FROM ledger WHERE {where} AND {later} "
        f"AND kind IN ('lost', 'shed') GROUP BY {_KEYS}, kind, stage, reason HAVING sum(count) > 0 "
        "ORDER BY stage, reason",
        parameters,
    ):
        lists = told.setdefault(tuple(key), {"lost": [], "shed": []})
        lists[kind].append({"stage": stage, "reason": reason, "count": count})
    rows = ask(_runs(where, later), parameters)
    begins: dict[tuple[str, str, int], int] = {}
    for row in rows:
        place = (row[0], row[4], row[5])
        begins[place] = max(begins.get(place, row[7]), row[7])
    for host_id, boot_id, run, name, origin, partition, first_seq, _, last, heard, begun, ended, stored, *sums in rows:
        if not heard:
            continue
        # Batches of a host come in order: another run's that all come after these say that this one is over.
        is_open = begins[host_id, origin, partition] <= last and stored > now - SILENT_S
        lists = told.get((host_id, boot_id, run), {"lost": [], "shed": []})
        yield {
            "host": host_id,
            "hostname": name,
            "boot_id": boot_id,
            "run": run,
            "since": begun,
            "until": ended,
            **_balance(sums, whole=first_seq <= run, is_open=is_open).row(),
            "losses": lists["lost"],
            "payloads": lists["shed"],
        }


def _runs(where: str, later: str) -> str:
    """A row a run: who, from where, first number, first and last offset, if and when heard of; then sums."""
    first = f"({_KEYS}, raw_offset) IN (SELECT {_KEYS}, min(raw_offset) FROM ledger WHERE {where} GROUP BY {_KEYS})"
    return (
        f"SELECT {_KEYS}, any(host), any(origin), any(raw_partition), min(first_seq), "
        f"min(raw_offset), max(raw_offset), countIf({later}), "
        f"toUnixTimestamp64Nano(minIf(ledger.since, {later})), toUnixTimestamp64Nano(maxIf(ledger.until, {later})), "
        "toUnixTimestamp(max(stored)), "
        "maxIf(count, kind = 'produced'), maxIf(count, kind = 'delivered'), "
        f"sumIf(count, {_EARLY}), "
        "sumIf(count, kind = 'stored'), sumIf(count, kind = 'lost'), "
        "sumIf(count, kind = 'lost' AND stage = 'ring' AND has({budget:Array(String)}, reason)), "
        f"maxIf(count, kind = 'produced' AND NOT ({later})), "
        f"sumIf(count, kind = 'stored' AND NOT ({later})), sumIf(count, kind = 'lost' AND NOT ({later})), "
        "sumIf(count, kind = 'lost' AND stage = 'ring' AND has({budget:Array(String)}, reason) AND NOT "
        f"({later})), "
        f"maxIf(count, kind = 'produced' AND {first}), "
        f"sumIf(count, kind = 'stored' AND {first}), sumIf(count, kind = 'lost' AND {first}), "
        "sumIf(count, kind = 'lost' AND stage = 'ring' AND has({budget:Array(String)}, reason) AND "
        f"{first}) "
        f"FROM ledger WHERE {where} GROUP BY {_KEYS} ORDER BY host_id, run"
    )


def _balance(sums: Sequence[int], *, whole: bool, is_open: bool) -> Balance:
    """Of the sums of _runs. Where a run is not `whole`, as its beginning has expired, the first batch that is left
    stands for all before it.
    """
    produced, delivered, early, stored, lost, shed = sums[:6]
    before = sums[6:10]
    if not whole and not any(before):
        before = sums[10:]
    base, stored_before, lost_before, shed_before = before
    span = Balance(
        produced=produced - base,
        carried=base - stored_before - lost_before if whole else 0,
        stored=stored - stored_before,
        shed=shed - shed_before,
        lost=lost - shed - lost_before + shed_before,
        total_produced=produced,
        delivered=delivered,
        # Of a run that is not whole nobody knows; its rest is then all that may be in flight.
        early=early if whole else produced - delivered,
        is_open=is_open,
    )
    if whole:
        return span
    carried = max(0, -span.balance)
    held = max(0, span.balance)
    return replace(span, carried=carried, early=produced - delivered - held)
