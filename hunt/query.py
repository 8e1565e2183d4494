# ruff: noqa: S608 -- the queries are put together from constants; what a user gives travels as parameters
"""Questions over the tables events, alerts and ledger, answered as plain objects. The API serves them, the CLI asks.

`History` asks a store in this process or a ClickHouse server; remote.py has the same methods over a socket.
"""

import json
import time
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from tiercel.errors import StoreError
from tiercel.hunt import books
from tiercel.rules import row, sql
from tiercel.rules.columns import Column, Table
from tiercel.rules.parse import parse

Row = dict[str, Any]

LIMIT = 1000


class Result(Protocol):
    """What a query gives back."""

    @property
    def result_rows(self) -> Sequence[Sequence[Any]]: ...


class Client(Protocol):
    """The part of a clickhouse-connect client that is used here."""

    def query(self, query: str | None = None, parameters: Any = None) -> Result: ...


# What a found event shows: field → expression. Absent values are left out.
_SHOWN = {
    "evt.num": "seq",
    "evt.rawtime": "toUnixTimestamp64Nano(ts)",
    "evt.hostname": "host",
    "evt.type": "type",
    "evt.category": "category",
    "evt.cpu": "cpu",
    "evt.rawres": "res",
    "thread.tid": "tid",
    "proc.name": "if(process = 0, NULL, proc_name)",
    "proc.exepath": "if(process = 0, NULL, proc_exepath)",
    "proc.cmdline": "if(process = 0, NULL, proc_cmdline)",
    "proc.pid": "if(process = 0, NULL, proc_pid)",
    "proc.pname": "if(process = 0, NULL, proc_pname)",
    "user.uid": "if(process = 0, NULL, user_uid)",
    "user.name": "if(process = 0, NULL, user_name)",
    "container.id": "if(process = 0, NULL, container_id)",
    "fd.num": "fd_num",
    "fd.type": "fd_type",
    "fd.name": "fd_name",
    "fd.l4proto": "fd_l4proto",
    "fd.cip": "fd_cip",
    "fd.cport": "fd_cport",
    "fd.sip": "fd_sip",
    "fd.sport": "fd_sport",
}
_KEY = ("host_id", "boot_id", "seq", "process", "args", "rules")


class History:
    """The past of a fleet. Times are UTC nanoseconds; `host` is a host's id or name, empty for all."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def hunt(
        self, condition: str, *, since: int, until: int | None = None, host: str = "", limit: int = LIMIT
    ) -> Iterator[Row]:
        """The newest `limit` events that satisfy a condition, newest first: `id`, fields, args, rules, ancestors."""
        where = sql.compile(parse(condition))
        span, parameters = _span("ts", since, until, host)
        columns = ", ".join([*_KEY, *_SHOWN.values()])
        rows = self._rows(
            f"SELECT {columns} FROM events WHERE {span} AND {where.text} "
            "ORDER BY ts DESC, host_id DESC, seq DESC LIMIT {limit:UInt64}",
            {**where.parameters, **parameters, "limit": limit},
        )
        ancestors = self._ancestors({(found[0], found[1], found[3]) for found in rows if found[3]})
        for found in rows:
            host_id, boot_id, seq, process, args, matched = found[: len(_KEY)]
            shown = {
                name: _plain(value) for name, value in zip(_SHOWN, found[len(_KEY) :], strict=True) if value is not None
            }
            parents = ancestors.get((host_id, boot_id, process), [])
            yield {
                "id": f"{host_id}/{boot_id}/{seq}",
                **shown,
                "proc.aname": parents,
                "args": dict(args),
                "rules": list(matched),
            }

    def _ancestors(self, keys: set[tuple[str, str, int]]) -> dict[tuple[str, str, int], list[str]]:
        if not keys:
            return {}
        rows = self._rows(
            "SELECT host_id, boot_id, id, any(ancestor_names) FROM processes WHERE id IN {ids:Array(UInt64)} "
            "GROUP BY host_id, boot_id, id",
            {"ids": sorted({process for _, _, process in keys})},
        )
        return {(host_id, boot_id, process): list(names) for host_id, boot_id, process, names in rows}

    def event(self, key: str, fields: Sequence[str]) -> Row:
        """One event by its `id`: `type`, the `rules` that matched then, the values of `fields` (None: absent), and as
        `unknown` why the store does not have the others. StoreError if there is no such event.
        """
        host_id, _, rest = key.partition("/")
        boot_id, _, number = rest.rpartition("/")
        if not (host_id and boot_id and number.isdecimal() and len(number) < 20):
            raise StoreError(f"{key!r} is no id of an event: it is host/boot/number, as `hunt --json` shows it")
        chosen = row.select(fields)
        which = {"host_id": host_id, "boot_id": boot_id, "seq": int(number)}
        where = "host_id = {host_id:String} AND boot_id = {boot_id:String}"
        begun = self._selected(
            "type, rules, process, container_id", chosen, "events", f"{where} AND seq = {{seq:UInt64}}", which
        )
        if begun is None:
            raise StoreError(f"the store holds no event {key}")
        (kind, rules, process, container, *_), values = begun
        which |= {"process": process, "container": container}
        tables: tuple[tuple[Table, str], ...] = (
            ("processes", "id = {process:UInt64}"),
            ("containers", "id = {container:String}"),
        )
        for table, condition in tables:
            found = self._selected("id", chosen, table, f"{where} AND {condition}", which) if process else None
            values |= found[1] if found else dict.fromkeys(chosen.found.get(table, {}))
        if process and container == "host":
            values |= self._on_host(chosen)
        return {"id": key, "type": kind, "rules": list(rules), "fields": values, "unknown": chosen.unknown}

    def _selected(
        self, first: str, chosen: row.Selection, table: Table, where: str, parameters: Row
    ) -> tuple[Sequence[Any], Row] | None:
        """The first columns and the chosen fields of the row of a table; None if there is none."""
        columns = chosen.found.get(table, {})
        shown = ", ".join([first, *(row.expression(column) for column in columns.values())])
        final = "FINAL " if table == "containers" else ""
        rows = self._rows(f"SELECT {shown} FROM {table} {final}WHERE {where} LIMIT 1", parameters)
        if not rows:
            return None
        told = rows[0][len(rows[0]) - len(columns) :]
        pairs = zip(columns.items(), told, strict=True)
        return rows[0], {name: _typed(column, value) for (name, column), value in pairs}

    def _on_host(self, chosen: row.Selection) -> Row:
        """Fields of containers that have a value for a process of none."""
        columns = {name: column for name, column in chosen.found.get("containers", {}).items() if column.on_host}
        if not columns:
            return {}
        shown = ", ".join(row.expression(column, on_host=True) for column in columns.values())
        return dict(zip(columns, map(_plain, self._rows(f"SELECT {shown}", {})[0]), strict=True))

    def completeness(self, *, since: int, until: int | None = None, host: str = "") -> Row:
        """How much of what happened in a time span is here: events `stored`, `lost` (shed ones among them) by stage and
        reason, `hosts`, of which the `worst`, what `begin` is known of, and what is `in_flight` or `missing` by now.
        """
        span, parameters = _span("until", since, until, host)
        rows = self._rows(
            "SELECT sumIf(count, kind = 'stored'), sumIf(count, kind = 'lost'), uniqExact(host_id), "
            f"toUnixTimestamp64Nano(min(until)) FROM ledger WHERE {span}",
            parameters,
        )
        lost = self._rows(
            f"SELECT kind, stage, reason, sum(count) FROM ledger WHERE {span} AND kind IN ('lost', 'shed') "
            "GROUP BY kind, stage, reason HAVING sum(count) > 0 ORDER BY sum(count) DESC",
            parameters,
        )
        worst = self._rows(
            "SELECT any(host), sumIf(count, kind = 'stored') AS here, sumIf(count, kind = 'lost') AS gone FROM ledger "
            f"WHERE {span} GROUP BY host_id HAVING gone > 0 ORDER BY gone / (here + gone) DESC, host_id LIMIT 3",
            parameters,
        )
        stored, missing, hosts, begin = rows[0] if rows else (0, 0, 0, 0)
        # What has not come yet is of the newest spans alone.
        open_runs = list(self.ledger(since=since, host=host)) if until is None else []
        return {
            "stored": stored,
            "lost": missing,
            "hosts": hosts,
            "begin": max(begin, since),
            "losses": [_loss(*row) for kind, *row in lost if kind == "lost"],
            "payloads": [_loss(*row) for kind, *row in lost if kind == "shed"],
            "worst": [{"host": name, "stored": here, "lost": gone} for name, here, gone in worst],
            "in_flight": sum(run["in_flight"] for run in open_runs),
            "missing": sum(max(0, run["missing"]) for run in open_runs),
        }

    def alerts(self, *, since: int, until: int | None = None, host: str = "", limit: int = LIMIT) -> Iterator[Row]:
        """The newest `limit` alerts, oldest of them first, with Falco's keys and id, host, event, rules_version."""
        span, parameters = _span("ts", since, until, host)
        rows = self._rows(
            "SELECT id, toUnixTimestamp64Nano(ts), rule, priority, source, host, host_id, boot_id, seq, message, tags, "
            "output_fields, rules_version, suppressed, summary "
            f"FROM alerts FINAL WHERE {span} ORDER BY ts DESC, id LIMIT {{limit:UInt64}}",
            {**parameters, "limit": limit},
        )
        for found in reversed(rows):
            key, at, rule, priority, source, name, host_id, boot_id, seq, message, tags, fields, rules, *counts = found
            yield {
                "id": key,
                "time": at,
                "rule": rule,
                "priority": priority,
                "source": source,
                "hostname": name,
                "host": host_id,
                "event": f"{host_id}/{boot_id}/{seq}",
                "message": message,
                "tags": list(tags),
                "output_fields": json.loads(fields or "{}"),
                "rules_version": rules,
                "suppressed": counts[0],
                "summary": counts[1],
            }

    def ledger(self, *, since: int = 0, host: str = "") -> Iterator[Row]:
        """The books of each run of each host from a time on: books.Balance.row, and `losses` and `payloads` by stage
        and reason.
        """
        yield from books.ledger(self._rows, since, host)

    def _rows(self, text: str, parameters: Row) -> list[Sequence[Any]]:
        try:
            return list(self._client.query(text, parameters=parameters).result_rows)
        except Exception as error:
            first = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise StoreError(f"the store refused the question: {first[:300]}") from error


def _span(column: str, since: int, until: int | None, host: str) -> tuple[str, Row]:
    """Condition and parameters of a time span and a host."""
    parameters: Row = {
        "since_ns": since,
        "until_ns": until if until is not None else time.time_ns() + 3_600_000_000_000,
    }
    text = (
        f"{column} >= fromUnixTimestamp64Nano({{since_ns:Int64}}, 'UTC') "
        f"AND {column} < fromUnixTimestamp64Nano({{until_ns:Int64}}, 'UTC')"
    )
    if host:
        parameters["host"] = host
        text += " AND (host_id = {host:String} OR host = {host:String})"
    return f"({text})", parameters


def _loss(stage: str, reason: str, count: int) -> Row:
    return {"stage": stage, "reason": reason, "count": count}


def _typed(column: Column, value: Any) -> Any:
    """A value as the engine takes it; None for NULL and for an array of nothing."""
    if value is None or (column.many and not value):
        return None
    if column.many:
        return [_plain(item) for item in value]
    return bool(value) if column.kind == "bool" else _plain(value)


def _plain(value: Any) -> Any:
    """As JSON has it; addresses without the IPv4 prefix."""
    if isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    mapped = getattr(value, "ipv4_mapped", None)
    return str(mapped or value)
