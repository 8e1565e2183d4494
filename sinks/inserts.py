"""Arrow streams into tables, only while the partitions that they are of are ours."""

import io
import time

import pyarrow as pa
from clickhouse_connect.driver.client import Client

from tiercel.sinks.counters import SinkCounters
from tiercel.sinks.fence import Fence, quoted


class Inserts:
    """`timeout` is in seconds; `fence` None where nobody else can write. The client's errors pass."""

    def __init__(self, client: Client, fence: Fence | None, counters: SinkCounters, *, timeout: float) -> None:
        self._client, self._fence, self._counters, self._timeout = client, fence, counters, timeout
        self._types: dict[str, dict[str, str]] = {}

    def forget(self) -> None:
        """After a failure: the tables may be others."""
        self._types = {}

    def insert(self, name: str, stream: bytes, partitions: set[int] | None = None) -> None:
        """Insert an Arrow IPC stream as it is: its buffers are packed. With `partitions`, only while they are ours."""
        columns = pa.ipc.open_stream(stream).schema.names
        into, given = name, columns
        if partitions and self._fence is not None:
            types = self._types_of(name)
            listed = ", ".join(f"`{column}`" for column in columns)
            shape = ", ".join(f"`{column}` {types[column]}" for column in columns if column in types)
            guard = self._fence.guard(partitions)
            into = f"{name} ({listed}) SELECT {listed} FROM input({quoted(shape)}) WHERE {guard}"  # noqa: S608
            given = None
        began = time.monotonic()
        settings = {"max_execution_time": self._timeout, "async_insert": 0} if self._fence is not None else {}
        # A body that can be read only once: the driver would send another again when a connection breaks, though the
        # store may have taken it.
        self._client.raw_insert(into, given, io.BytesIO(stream), settings=settings, fmt="ArrowStream")
        counters = self._counters
        counters.inserts += 1
        counters.inserts_of[name] += 1
        counters.insert_seconds += time.monotonic() - began
        counters.insert_bytes += len(stream)

    def _types_of(self, table: str) -> dict[str, str]:
        if table not in self._types:
            rows = self._client.query(
                "SELECT name, type FROM system.columns WHERE database = currentDatabase() AND table = %(table)s",
                parameters={"table": table},
            ).result_rows
            self._types[table] = {str(row[0]): str(row[1]) for row in rows}
        return self._types[table]
