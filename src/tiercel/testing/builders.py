"""Messages as the stages send them, made by hand with fastavro: for tests of whoever reads them."""

import io
import json
from collections.abc import Sequence
from typing import Any

import fastavro

from tiercel.schemas import avro

# 2026-01-02 03:04:05 UTC
TIME = 1_767_323_045_000_000_000


def message(schema: str, record: dict[str, Any]) -> bytes:
    """A record, framed."""
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(json.loads(avro.schema_json(schema))), record)
    return avro.frame(schema, out.getvalue())


def process(key: int, name: bytes = b"cat", **facts: Any) -> dict[str, Any]:
    """A process of an enriched batch, its parent bash."""
    numbers = ("since", "pid", "ppid", "vpid", "sid", "pgid", "vpgid", "tty", "uid", "gid", "loginuid", "started")
    rest = ("cap_effective", "cap_permitted", "cap_inheritable", "exe_flags", "exe_ino", "exe_ctime", "exe_mtime")
    texts = ("exe", "cwd", "sname", "user", "group", "login", "container_id")
    parent = {"pid": 2, "name": b"bash", "exe": b"bash", "exepath": b"/bin/bash", "cmdline": b"bash", "started": 0}
    return {
        "id": key,
        "name": name,
        "exepath": b"/usr/bin/" + name,
        "args": [],
        "exe_ctime_to_start": 0,
        "ancestors": [parent],
        **dict.fromkeys((*numbers, *rest), 0),
        **dict.fromkeys(texts, b""),
        **facts,
    }


def enriched(
    partition: int,
    offset: int,
    count: int = 3,
    *,
    host: str = "host-1",
    lost: Sequence[tuple[str, str, int]] = (),
    produced: int | None = None,
    **fields: Any,
) -> bytes:
    """An enriched batch of `count` closes of descriptor 3 by one cat; offsets follow each other, and so do numbers."""
    first = 1000 + offset * 100
    record = {
        "host_id": host,
        "host": host,
        "boot_id": "boot-1",
        "run": 1000,
        "first_seq": first,
        "count": count,
        "time": TIME + offset * 1_000_000,
        "produced": produced if produced is not None else (offset + 1) * count,
        "delivered": (offset + 1) * count,
        "lost": [{"stage": s, "reason": r, "count": n} for s, r, n in lost],
        "partition": partition,
        "offset": offset,
        "rules_version": "v",
        "rules": [],
        "codes": [{"code": 5, "name": "close", "params": ["res", "fd"]}],
        "processes": [process(77, pid=42)],
        "files": [],
        "events": [
            {
                "seq": index,
                "time": index * 1000,
                "tid": 42,
                "cpu": 1,
                "code": 5,
                "process": 0,
                "file": None,
                "fd": 3,
                "name_changed": False,
                "values": [0, 3],
                "resolved": [],
                "rules": [],
            }
            for index in range(count)
        ],
        **fields,
    }
    return message("event_batch", record)


def alert(key: str, offset: int = 0, **fields: Any) -> bytes:
    """An alert with this id."""
    return message(
        "alert",
        {
            "id": key,
            "time": TIME + offset,
            "rule": "A rule",
            "priority": "Warning",
            "source": "syscall",
            "hostname": "host-1",
            "host_id": "host-1",
            "boot_id": "boot-1",
            "seq": 1000,
            "message": "something happened",
            "tags": ["t"],
            "output_fields": [{"name": "proc.pid", "value": 42}, {"name": "proc.name", "value": None}],
            "rules_version": "v",
            "rule_sha256": "0" * 64,
            "partition": 0,
            "offset": offset,
            "suppressed": 0,
            "summary": False,
            **fields,
        },
    )
