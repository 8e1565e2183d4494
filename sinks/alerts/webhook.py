"""Alerts as HTTP POSTs of Falco's JSON, which Falcosidekick and its like take.

Over TLS, with a client's certificate where the server wants one. One alert is one request, its answer is awaited and
the connection kept.
"""

import asyncio
import ssl
import time
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tiercel.errors import ConfigError
from tiercel.sinks.alerts.base import Alert, AwayError, DeliveryError, FailedError, RefusedError

if TYPE_CHECKING:
    import httpx

_LONGEST_WISH_S = 300.0
_MAX_ANSWER = 64 << 10
# The server, or what stands before it, is not there just now; nothing is said of the alert.
_AWAY = {429, 502, 503, 504}


class WebhookSink:
    """See `base.Sink`. `timeout` bounds a try from connecting to the end of the answer, however slowly that drips."""

    name = "webhook"

    def __init__(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        user_agent: str = "tiercel",
        timeout: float = 10.0,
        ca_file: str = "",
        certificate_file: str = "",
        key_file: str = "",
        insecure: bool = False,
    ) -> None:
        try:
            import httpx  # noqa: PLC0415 -- an extra

            self._url = httpx.URL(url)
        except ImportError:
            raise ConfigError("httpx is not installed; pip install 'tiercel[forward]' brings it") from None
        except httpx.InvalidURL as error:
            raise ConfigError(f"webhook.url: {error}") from None
        self._httpx = httpx
        # The rest of a URL may be a secret.
        self._shown = f"{self._url.scheme}://{self._url.netloc.decode().rpartition('@')[2]}"
        self._headers = {**(headers or {}), "Content-Type": "application/json", "User-Agent": user_agent}
        self._timeout = timeout
        self._tls = _context(ca_file, certificate_file, key_file, insecure=insecure)
        self._runner: asyncio.Runner | None = None
        self._client: httpx.AsyncClient | None = None

    def send(self, alert: Alert) -> None:
        if self._runner is None:
            self._runner = asyncio.Runner()
        self._runner.run(self._post(alert.json.encode()))

    async def _post(self, body: bytes) -> None:
        httpx = self._httpx
        asked = False

        async def trace(step: str, _: object) -> None:
            nonlocal asked
            asked = asked or step.endswith("send_request_headers.started")

        try:
            async with asyncio.timeout(self._timeout):
                if self._client is None:
                    self._client = httpx.AsyncClient(verify=self._tls, timeout=None)
                async with self._client.stream(
                    "POST", self._url, content=body, headers=self._headers, extensions={"trace": trace}
                ) as answer:
                    said = await _beginning(answer)
        except TimeoutError:
            if not asked:
                # A machine that is off, or behind a firewall that says nothing, was never reached.
                raise AwayError("not reachable", f"{self._shown} within {self._timeout:g} s") from None
            raise FailedError("no answer", f"{self._shown} within {self._timeout:g} s") from None
        except (httpx.ConnectError, httpx.ReadError, httpx.ProxyError, ssl.SSLError) as error:
            # A certificate of ours that is not liked is told only after the handshake, or by a reset.
            raise AwayError("not reachable", f"{self._shown}: {_sentence(error)}") from None
        except httpx.HTTPError as error:
            raise FailedError("bad answer", f"{self._shown}: {_sentence(error)}") from None
        if not answer.is_success:
            raise _verdict(answer.status_code, answer.headers.get("Retry-After", ""), f"{self._shown} {said}".strip())

    def reopen(self) -> None:
        """A connection is no file."""

    def check(self) -> str:
        """Connects, with TLS where the URL says so; posts nothing."""
        return asyncio.run(self._connect())

    async def _connect(self) -> str:
        secure = self._url.scheme == "https"
        port = self._url.port or (443 if secure else 80)
        try:
            async with asyncio.timeout(min(self._timeout, 10.0)):
                _, writer = await asyncio.open_connection(self._url.host, port, ssl=self._tls if secure else None)
                writer.close()
        except OSError as error:  # TimeoutError and ssl.SSLError are some
            reason = "no answer in time" if isinstance(error, TimeoutError) else str(error)
            raise AwayError("not reachable", f"{self._shown}: {reason}") from None
        return f"{self._shown} can be reached"

    def close(self) -> None:
        if self._runner is not None:
            if self._client is not None:
                self._runner.run(self._client.aclose())
            self._runner.close()
            self._runner = self._client = None


async def _beginning(answer: "httpx.Response") -> str:
    """The first words of an answer. What is longer than can be of interest is not read, which ends the connection."""
    read = b""
    async for part in answer.aiter_raw():
        read += part
        if len(read) > _MAX_ANSWER:
            break
    return " ".join(ascii(read[:200].decode(errors="replace"))[1:-1].split())


def _verdict(status: int, retry_after: str, detail: str) -> DeliveryError:
    if status in _AWAY:
        return AwayError(f"status {status}", detail, after=_seconds(retry_after))
    if status >= 500 or status == 408:
        return FailedError(f"status {status}", detail, after=_seconds(retry_after))
    return RefusedError(f"status {status}", detail)


def _seconds(retry_after: str) -> float | None:
    """From seconds or a date; never longer than five minutes."""
    try:
        wish = float(retry_after) if retry_after.strip().isdigit() else _until(retry_after)
    except (ValueError, OverflowError):
        return None
    return min(max(wish, 0.0), _LONGEST_WISH_S)


def _until(date: str) -> float:
    when = parsedate_to_datetime(date)
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() - time.time()


def _sentence(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def _context(ca_file: str, certificate_file: str, key_file: str, *, insecure: bool) -> ssl.SSLContext:
    for key, path in (("ca_file", ca_file), ("certificate_file", certificate_file), ("key_file", key_file)):
        if path and not Path(path).is_file():
            raise ConfigError(f"webhook.{key} {path}: no such file")
    try:
        context = ssl.create_default_context(cafile=ca_file or None)
        if certificate_file:
            # An answer to a question for the key's passphrase would be awaited on the terminal.
            context.load_cert_chain(certificate_file, key_file or None, password="")
    except (OSError, ValueError) as error:
        raise ConfigError(f"webhook: certificates or key cannot be read: {error}") from None
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
