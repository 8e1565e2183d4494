"""The API of the process that holds the store: hunts, alerts and the books as JSON lines over a Unix socket.

Conditions are compiled to SQL here, on the server's side: a client sends the condition, never a query.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from typing import TypedDict

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tiercel.errors import TiercelError
from tiercel.hunt.query import LIMIT, History, Row

_MOST = 1_000_000


def application(history: History) -> Starlette:
    """The routes; questions run in Starlette's thread pool, one at a time per request."""

    def route(path: str, ask: Callable[[Request], Iterable[Row]]) -> Route:
        def endpoint(request: Request) -> Response:
            return StreamingResponse(_lines(ask, request), media_type="application/x-ndjson")

        return Route(path, endpoint, methods=["GET"])

    def hunt(request: Request) -> Iterator[Row]:
        return history.hunt(request.query_params.get("condition", ""), **_span(request), limit=_limit(request))

    def alerts(request: Request) -> Iterator[Row]:
        return history.alerts(**_span(request), limit=_limit(request))

    def event(request: Request) -> list[Row]:
        return [history.event(request.query_params.get("id", ""), _texts(request, "fields"))]

    def completeness(request: Request) -> list[Row]:
        return [history.completeness(**_span(request))]

    def ledger(request: Request) -> Iterator[Row]:
        return history.ledger(since=_number(request, "since") or 0, host=request.query_params.get("host", ""))

    def health(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    return Starlette(
        routes=[
            Route("/health", health),
            route("/hunt", hunt),
            route("/alerts", alerts),
            route("/completeness", completeness),
            route("/event", event),
            route("/ledger", ledger),
        ]
    )


def _lines(ask: Callable[[Request], Iterable[Row]], request: Request) -> Iterator[bytes]:
    try:
        for row in ask(request):
            yield json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
    except TiercelError as error:
        yield json.dumps({"error": str(error)}).encode() + b"\n"


def _number(request: Request, name: str) -> int | None:
    text = request.query_params.get(name)
    if text is None:
        return None
    try:
        return int(text)
    except ValueError:
        raise TiercelError(f"{name}: {text!r} is not a number") from None


def _texts(request: Request, name: str) -> list[str]:
    try:
        texts = json.loads(request.query_params.get(name, "[]"))
    except ValueError:
        texts = None
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise TiercelError(f"{name} must be a list of texts, as JSON")
    return texts


def _limit(request: Request) -> int:
    limit = _number(request, "limit")
    return LIMIT if limit is None else max(0, min(limit, _MOST))


class _Span(TypedDict):
    since: int
    until: int | None
    host: str


def _span(request: Request) -> _Span:
    host = request.query_params.get("host", "")
    return {"since": _number(request, "since") or 0, "until": _number(request, "until"), "host": host}
