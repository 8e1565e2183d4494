"""The HTTP server of a process: GET /metrics, /healthz, /readyz, from a thread of its own.

Whoever asks is not trusted: the header Host must be one of ours (a web page can reach loopback), heads are small, at
most 32 connections are open, and each is over after ten seconds, however slowly it asks or reads. No stage waits for
any of it: plain numbers are read.
"""

import asyncio
import hmac
import logging
import socket
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from tiercel.operations.exposition import Exposition
from tiercel.operations.health import Health

log = logging.getLogger(__name__)

CONNECTION_S = 10.0
_SCRAPE_S = 5.0
_MOST_CONNECTIONS = 32
_TEXT = "text/plain; charset=utf-8"
_MOST_HEAD_BYTES = 16 << 10

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
Receive = Callable[[], Awaitable[Message]]


class _Impatient(H11Protocol):
    """A connection that is over after a while, whatever the client does."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._over = self.loop.call_later(CONNECTION_S, transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        self._over.cancel()
        super().connection_lost(exc)


class Application:
    """The ASGI application. `hosts` are names that the header Host may have; None: it is not looked at."""

    def __init__(self, exposition: Exposition, health: Health, *, hosts: set[str] | None, token: str = "") -> None:
        self._exposition, self._health = exposition, health
        self._hosts, self._token = hosts, token
        self._scraping: threading.Thread | None = None

    async def __call__(self, scope: Message, _receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        status, body, kind = await self._answer(scope["method"], scope["path"], headers)
        head = [
            (b"content-type", kind.encode()),
            (b"content-length", str(len(body)).encode()),
            (b"x-content-type-options", b"nosniff"),
            (b"cache-control", b"no-store"),
        ]
        if status == 405:
            head.append((b"allow", b"GET, HEAD"))
        if status == 401:
            head.append((b"www-authenticate", b"Bearer"))
        await send({"type": "http.response.start", "status": status, "headers": head})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    async def _answer(self, method: str, path: str, headers: dict[str, str]) -> tuple[int, bytes, str]:
        if self._hosts is not None and host_of(headers.get("host", "")) not in self._hosts:
            return 421, b"not a host of ours: name it in operations.hosts\n", _TEXT
        if method not in ("GET", "HEAD"):
            return 405, b"only GET and HEAD\n", _TEXT
        if path == "/metrics":
            return await self._metrics(headers)
        if path in ("/healthz", "/readyz"):
            well, reason = self._health.healthy() if path == "/healthz" else self._health.ready()
            return 200 if well else 503, f"{reason}\n".encode(), _TEXT
        return 404, b"there are /metrics, /healthz and /readyz\n", _TEXT

    async def _metrics(self, headers: dict[str, str]) -> tuple[int, bytes, str]:
        if self._token and not _allowed(headers.get("authorization", ""), self._token):
            return 401, b"wants the header `Authorization: Bearer` with operations.token\n", _TEXT
        try:
            async with asyncio.timeout(_SCRAPE_S):
                body, kind = await self._render(headers.get("accept", ""))
        except TimeoutError:
            return 503, b"the metrics could not be read in time\n", _TEXT
        return 200, body, kind

    async def _render(self, accept: str) -> tuple[bytes, str]:
        """Aside, one at a time, so that health is answered while it is stuck; and nobody waits for it at the end."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[tuple[bytes, str]] = loop.create_future()

        def give(found: tuple[bytes, str]) -> None:
            if not done.done():
                done.set_result(found)

        def run() -> None:
            found = self._exposition.render(accept)
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(give, found)

        while self._scraping is not None and self._scraping.is_alive():
            await asyncio.sleep(0.01)
        self._scraping = threading.Thread(target=run, name="scrape", daemon=True)
        self._scraping.start()
        return await done


def host_of(header: str) -> str:
    """The name in a header Host, without its port, in small letters."""
    name = header.strip().lower()
    if name.startswith("["):
        return name[1:].partition("]")[0]
    return name.partition(":")[0].removesuffix(".")


def _allowed(given: str, token: str) -> bool:
    kind, _, shown = given.partition(" ")
    return kind.lower() == "bearer" and hmac.compare_digest(shown.strip().encode(), token.encode())


class Server:
    """Answers on a socket that listens, from construction until `close`."""

    def __init__(self, application: Application, listener: socket.socket) -> None:
        self._socket = listener
        config = uvicorn.Config(
            application,
            http=_Impatient,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            limit_concurrency=_MOST_CONNECTIONS,
            h11_max_incomplete_event_size=_MOST_HEAD_BYTES,
            timeout_keep_alive=5,
            timeout_graceful_shutdown=1,
        )
        # What clients do wrong is theirs to know.
        for name in ("uvicorn.error", "uvicorn.access"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, name="operations", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            asyncio.run(self._server.serve(sockets=[self._socket]))
        except Exception:
            log.exception("metrics and health are not told any more")

    def close(self) -> None:
        """Take no more requests; what is being answered has a moment."""
        self._server.should_exit = True
        self._thread.join(timeout=1.5)
        self._socket.close()
