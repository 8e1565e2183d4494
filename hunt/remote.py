"""The same questions as query.History, asked of a running tiercel through its Unix socket."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx

from tiercel.errors import StoreError, TiercelError
from tiercel.hunt.query import LIMIT, Row


class Remote:
    """A running tiercel. Answers come as JSON lines; the last may be an error that came up on the way."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        transport = httpx.HTTPTransport(uds=str(socket))
        self._http = httpx.Client(transport=transport, base_url="http://tiercel", timeout=httpx.Timeout(5, read=None))

    def answers(self) -> bool:
        """Whether somebody listens there."""
        try:
            return self._http.get("/health", timeout=2).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    def hunt(
        self, condition: str, *, since: int, until: int | None = None, host: str = "", limit: int = LIMIT
    ) -> Iterator[Row]:
        """As History.hunt."""
        return self._lines("/hunt", condition=condition, since=since, until=until, host=host, limit=limit)

    def event(self, key: str, fields: Sequence[str]) -> Row:
        """As History.event."""
        return next(self._lines("/event", id=key, fields=json.dumps(list(fields))))

    def completeness(self, *, since: int, until: int | None = None, host: str = "") -> Row:
        """As History.completeness."""
        return next(self._lines("/completeness", since=since, until=until, host=host))

    def alerts(self, *, since: int, until: int | None = None, host: str = "", limit: int = LIMIT) -> Iterator[Row]:
        """As History.alerts."""
        return self._lines("/alerts", since=since, until=until, host=host, limit=limit)

    def ledger(self, *, since: int = 0, host: str = "") -> Iterator[Row]:
        """As History.ledger."""
        return self._lines("/ledger", since=since, host=host)

    def _lines(self, path: str, **parameters: Any) -> Iterator[Row]:
        given = {key: value for key, value in parameters.items() if value is not None}
        try:
            with self._http.stream("GET", path, params=given) as response:
                for line in response.iter_lines():
                    row: Row = json.loads(line)
                    if "error" in row:
                        raise TiercelError(row["error"])
                    yield row
        except httpx.HTTPError as error:
            raise StoreError(f"{self._socket}: the running tiercel does not answer: {error}") from None
