"""What an error of the store means for what was to be written: wait, mend the store, or set the batch aside."""

from dataclasses import dataclass
from typing import Literal

from clickhouse_connect.driver.exceptions import ClickHouseError
from urllib3.exceptions import HTTPError

from tiercel.errors import StoreError

# What may come out of the driver when the store, or the way to it, breaks at any byte.
FAULTS = (ClickHouseError, HTTPError, OSError, EOFError)

Kind = Literal["away", "wrong", "data", "fenced"]

# ClickHouse's codes (src/Common/ErrorCodes.cpp) → kind, reason, what to do.
_KNOWN: dict[int, tuple[Kind, str, str]] = {
    395: ("fenced", "fenced", "another sink has taken its partitions"),
    **dict.fromkeys(
        (252,), ("away", "too_many_parts", "merges do not keep up: see system.merges, or lower sink.inserts_per_minute")
    ),
    **dict.fromkeys(
        (243, 74, 75), ("away", "disk", "its disk is full or broken: free space, or shorten store.retention")
    ),
    **dict.fromkeys((241, 173), ("away", "memory", "it lacks memory: raise its limit, or lower sink.batch_bytes")),
    **dict.fromkeys((164, 242), ("away", "readonly", "its user or table is read-only: let it write")),
    **dict.fromkeys((159, 209, 394), ("away", "slow", "it is slow, or somebody killed the query")),
    **dict.fromkeys((201, 202, 289, 319, 999, 225), ("away", "busy", "a quota, its load or its keeper holds it up")),
    **dict.fromkeys((192, 193, 194, 516), ("wrong", "login", "store.dsn has the wrong user or password")),
    497: ("wrong", "rights", "its user lacks the right: GRANT SELECT, INSERT, ALTER, CREATE on the database"),
    **dict.fromkeys((60, 81), ("wrong", "schema", "a table is gone: start the sink anew, which makes it")),
    **dict.fromkeys(
        (7, 8, 10, 16, 20, 36, 47),
        ("wrong", "schema", "its table was altered by hand: give it back the columns of schemas/clickhouse/"),
    ),
}
# Of the rows themselves: another batch may well pass.
_DATA = {6, 19, 25, 26, 27, 33, 34, 38, 41, 43, 53, 69, 70, 72, 117, 128, 131, 135, 190, 321, 349, 407, 467, 469, 636}
_DATA |= {1001, 1002}


@dataclass(frozen=True)
class Refusal:
    """`reason` is a word for counters, `text` the store's own first line, `advice` what mends it."""

    kind: Kind
    reason: str
    text: str
    advice: str


def judge(error: BaseException) -> Refusal:
    """What this error of the driver means."""
    text = (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
    code = getattr(error, "code", None)
    if code in _KNOWN:
        return Refusal(*_KNOWN[code][:2], text, _KNOWN[code][2])
    if code in _DATA:
        return Refusal("data", "data", text, "it refuses these rows")
    if code is None:
        return Refusal("away", "unreachable", text, "it does not answer: is it running?")
    return Refusal("away", f"code_{code}", text, "see its log")


class AwayError(StoreError):
    """Nothing can be written for now; the same messages can be written later, and nothing of them comes twice."""

    def __init__(self, refusal: Refusal) -> None:
        # Of these the store is none.
        who = "" if refusal.reason in ("registry", "quarantine") else "the store refuses rows: "
        super().__init__(f"{who}{refusal.text}; {refusal.advice}")
        self.refusal = refusal
