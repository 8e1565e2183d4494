"""How a ClickHouse fails: told to `testing.chdb_http` over HTTP, which then answers as a server in trouble does."""

import re
import threading
from dataclasses import asdict, dataclass
from typing import Any

# The words of a real server for the code, as far as a client may look at them.
TEXTS = {
    16: "No such column proc_name in table default.events (NO_SUCH_COLUMN_IN_TABLE)",
    53: "Type mismatch (TYPE_MISMATCH)",
    60: "Table default.events does not exist (UNKNOWN_TABLE)",
    117: "Expected LF (INCORRECT_DATA)",
    159: "Timeout exceeded: elapsed 60.0 seconds, maximum: 60 (TIMEOUT_EXCEEDED)",
    164: "default: Cannot execute query in readonly mode (READONLY)",
    202: "Too many simultaneous queries. Maximum: 100 (TOO_MANY_SIMULTANEOUS_QUERIES)",
    241: "(total) memory limit exceeded: would use 7.00 GiB (MEMORY_LIMIT_EXCEEDED)",
    242: "Table is in readonly mode (TABLE_IS_READ_ONLY)",
    243: "Cannot reserve 1.00 MiB, not enough space (NOT_ENOUGH_SPACE)",
    252: "Too many parts (3000 with average size of 1.00 MiB). Merges are too slow (TOO_MANY_PARTS)",
    394: "Query was cancelled (QUERY_WAS_CANCELLED)",
    516: "default: Authentication failed: password is incorrect, or there is no such user (AUTHENTICATION_FAILED)",
}


@dataclass
class Fault:
    """What happens to requests whose statement `match` (a regular expression) finds.

    `code`: this error; `cut`: the connection breaks without an answer. `after`: only once the statement was done.
    `delay`: seconds before it is done. `skip` requests pass first; then `times` are hit, all if it is negative.
    `holds`: only inserts whose data holds this text.
    """

    match: str = "INSERT INTO"
    code: int = 0
    cut: bool = False
    after: bool = False
    delay: float = 0.0
    skip: int = 0
    times: int = -1
    holds: str = ""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


class Faults:
    """Those in force; several threads ask."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []

    def put(self, faults: list[dict[str, Any]]) -> None:
        with self._lock:
            self._faults = [Fault(**fault) for fault in faults]

    def hit(self, statement: bytes) -> Fault | None:
        """The first fault that this statement runs into."""
        with self._lock:
            for fault in self._faults:
                head = statement[:20_000]
                if fault.times == 0 or not re.search(fault.match.encode(), head):
                    continue
                if fault.holds and fault.holds.encode() not in statement:
                    continue
                if fault.skip:
                    fault.skip -= 1
                    continue
                fault.times -= 1
                return fault
        return None
