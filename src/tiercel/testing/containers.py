"""Threads in control groups and what runtimes tell of containers, as events: for tests of whoever reads them."""

import json
from typing import Any

from tiercel._engine import Batch


def thread(batch: Batch, pid: int, cgroup: str, *, time: int = 1) -> None:
    """Append a process of one thread that runs in this control group."""
    params: list[Any] = [
        *(pid, 1, pid, pid, pid, pid, pid),
        *("sh", "/bin/sh", "/bin/sh", b"", b"", "/", "/"),
        f"cpuset={cgroup}\0memory={cgroup}\0".encode(),
    ]
    batch.append("thread_snapshot", time=time, tid=pid, params=params)


def told(batch: Batch, time: int, container: dict[str, Any], *, name: str = "container") -> None:
    """Append what a runtime told of a container, with the keys that captures have."""
    data = json.dumps({"container": container}).encode()
    batch.append("asyncevent", time=time, tid=-1, params=[0, name, data])
