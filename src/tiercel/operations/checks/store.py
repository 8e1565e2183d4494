"""The store: whether it opens, is of this version, can be written, has room, and keeps the time."""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from tiercel import store as stores
from tiercel.config import Settings
from tiercel.errors import TiercelError
from tiercel.hunt.remote import Remote
from tiercel.operations.checks.clock import skew
from tiercel.probe.check import Finding
from tiercel.schemas import migrations

_WARN_SHARE, _FAIL_SHARE = 0.15, 0.05
_TABLES = ("events", "processes", "alerts", "ledger")


def store(settings: Settings) -> Iterator[Finding]:
    """All about it; one that a running tiercel holds is asked only whether it answers."""
    socket = settings.api.socket
    if socket.exists() and Remote(socket).answers():
        yield Finding("store", True, f"a running tiercel holds it and answers at {socket}")
        return
    local = settings.store.dsn.startswith("chdb:")
    try:
        client: Any = stores.connect(settings.store.dsn)
        version = client.command("SELECT version()")
    except TiercelError as error:
        remedy = "set store.dsn (TIERCEL_STORE_DSN) to a store that can be written, or run as its owner"
        yield Finding("store", False, str(error), remedy)
        return
    try:
        yield Finding("store", True, f"{'chDB' if local else 'ClickHouse'} {version} opens")
        yield _migrations(client)
        if local:
            usage = shutil.disk_usage(Path(unquote(urlsplit(settings.store.dsn).path)))
            yield _room("disk", usage.free, usage.total)
            return
        since = time.time()
        theirs = float(client.query("SELECT toUnixTimestamp64Milli(now64(3))").result_rows[0][0]) / 1000
        yield skew("clock (store)", theirs - (since + time.time()) / 2, "ClickHouse")
        for name, free, total in client.query("SELECT name, free_space, total_space FROM system.disks").result_rows:
            if total and int(total) < 1 << 62:  # object storage has no end
                yield _room(str(name), int(free), int(total))
        readonly = client.query("SELECT value FROM system.settings WHERE name = 'readonly'").result_rows
        if readonly and str(readonly[0][0]) == "1":
            yield Finding("store rights", False, "this user may only read", "give it a profile without readonly")
        yield from _retention(client)
    finally:
        client.close()


def _migrations(client: Any) -> Finding:
    files = migrations.migrations()
    exists = client.query("EXISTS TABLE migrations").result_rows[0][0]
    if not exists:
        return Finding("migrations", True, "none yet: the first sink makes the tables", "", True)
    rows = client.query("SELECT number, any(name), any(sha256) FROM migrations GROUP BY number").result_rows
    known = {int(number): (str(name), str(sha256)) for number, name, sha256 in rows}
    if known and max(known) > files[-1].number:
        return Finding(
            "migrations", False, f"the store is newer than this tiercel ({known[max(known)][0]})", "upgrade this one"
        )
    differing = [m.name for m in files if m.number in known and known[m.number][1] != m.sha256]
    if differing:
        return Finding("migrations", False, f"made by another version of {', '.join(differing)}", "use a new database")
    missing = [m.name for m in files if m.number not in known]
    if missing:
        remedy = "start a sink of this version, which applies them"
        return Finding("migrations", True, f"not yet applied: {', '.join(missing)}", remedy, True)
    return Finding("migrations", True, f"all {len(files)} are applied")


def _room(name: str, free: int, total: int) -> Finding:
    share = free / total if total else 0.0
    text = f"{free / 1e9:.1f} GB of {total / 1e9:.1f} GB are free ({share:.0%})"
    remedy = "" if share >= _WARN_SHARE else "make room, or shorten the retention: inserts fail without"
    return Finding(f"disk {name}" if name != "disk" else name, share >= _FAIL_SHARE, text, remedy, share < _WARN_SHARE)


def _retention(client: Any) -> Iterator[Finding]:
    rows = client.query(
        "SELECT name, create_table_query LIKE '% TTL %' FROM system.tables WHERE database = currentDatabase()"
    ).result_rows
    without = sorted(str(name) for name, has in rows if str(name) in _TABLES and not has)
    if without:
        text = f"{', '.join(without)}: rows are kept for ever"
        yield Finding("retention", True, text, "fine while there is room; else set a TTL", True)
    elif rows:
        yield Finding("retention", True, "all tables have one")
