"""Alerts to syslog: a Unix datagram socket such as /dev/log, or a server by UDP or TCP; RFC 3164 or RFC 5424.

Over TCP each message has its length before it (RFC 6587, octet counting). Nothing is acknowledged: what was handed over
when a server went down may be lost, and UDP never tells.
"""

import errno
import os
import select
import socket
from contextlib import suppress
from datetime import datetime
from typing import Any

from tiercel.schemas import alerts
from tiercel.sinks.alerts.base import Alert, AwayError, Form, RefusedError

_NAMES = ("kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp")
FACILITIES = {name: code for code, name in enumerate(_NAMES)} | {f"local{n}": 16 + n for n in range(8)}
_CUT = "…[cut]"


class SyslogSink:
    """See `base.Sink`. Connects at the first alert, and again when the connection is gone."""

    name = "syslog"

    def __init__(
        self,
        address: str,
        *,
        protocol: str = "rfc3164",
        facility: str = "user",
        form: Form = "text",
        max_bytes: int = 8192,
        timeout: float = 5.0,
    ) -> None:
        self._address, self._protocol, self._form = address, protocol, form
        self._facility = FACILITIES[facility]
        self._max_bytes, self._timeout = max_bytes, timeout
        self._kind, _, place = address.partition("://")
        self._host, _, port = place.rpartition(":")
        self._port = int(port) if port else 0
        self._socket: socket.socket | None = None

    def send(self, alert: Alert) -> None:
        message = self._message(alert)
        try:
            self._connected().sendall(message)
        except OSError as error:
            self.close()
            if isinstance(error, TimeoutError):
                raise AwayError("no answer", f"{self._address} takes nothing") from None
            if error.errno == errno.EMSGSIZE:
                raise RefusedError("too long", f"{len(message)} bytes; syslog.max_bytes is more than fits") from None
            raise AwayError("not reachable", f"{self._address}: {error.strerror or error}") from None

    def _connected(self) -> socket.socket:
        if self._socket is not None and self._kind == "tcp" and _ended(self._socket):
            self.close()
        if self._socket is None:
            self._socket = self._connect()
        return self._socket

    def _connect(self) -> socket.socket:
        if self._kind == "tcp":
            return socket.create_connection((self._host.strip("[]"), self._port), self._timeout)
        family: int = socket.AF_UNIX
        target: Any = self._address
        if self._kind == "udp":
            family, _, _, _, target = socket.getaddrinfo(self._host.strip("[]"), self._port, type=socket.SOCK_DGRAM)[0]
        made = socket.socket(family, socket.SOCK_DGRAM)
        made.settimeout(self._timeout)
        try:
            made.connect(target)
        except OSError:
            made.close()
            raise
        return made

    def _message(self, alert: Alert) -> bytes:
        """The whole message; no part of an alert can begin another."""
        priority = self._facility * 8 + alert.severity
        head = f"<{priority}>{self._head(alert)}".encode()
        body = self._body(alert, self._max_bytes - len(head))
        message = head + body
        return b"%d %b" % (len(message), message) if self._kind == "tcp" else message

    def _head(self, alert: Alert) -> str:
        name, pid = _word(alert.row["hostname"]), os.getpid()
        if self._protocol == "rfc5424":
            # Nanoseconds are more than the protocol has places for.
            return f"1 {alerts.utc(alert.row['time'])[:-4]}Z {name} tiercel {pid} alert - \ufeff"
        when = datetime.fromtimestamp(alert.row["time"] // 1_000_000_000)
        stamp = f"{_MONTHS[when.month - 1]} {when.day:2d} {when:%H:%M:%S}"
        # A local daemon knows the host itself, and would take its name for the program's.
        return f"{stamp} {f'{name} ' if self._kind in ('tcp', 'udp') else ''}tiercel[{pid}]: "

    def _body(self, alert: Alert, room: int) -> bytes:
        body = (alert.json if self._form == "json" else alert.text).encode()
        if len(body) <= room:
            return body
        if self._form == "text":
            return body[: room - len(_CUT.encode())].decode(errors="ignore").encode() + _CUT.encode()
        return _short_json(alert, room)

    def reopen(self) -> None:
        self.close()

    def check(self) -> str:
        try:
            self._connected()
        except OSError as error:
            raise AwayError("not reachable", f"{self._address}: {error.strerror or error}") from None
        finally:
            self.close()
        return f"{self._address} can be reached" if self._kind != "udp" else f"{self._address}, where nothing answers"

    def close(self) -> None:
        if self._socket is not None:
            with suppress(OSError):
                self._socket.close()
            self._socket = None


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _word(text: str) -> str:
    """A field of a head: ASCII that can be seen, at most 255 of it."""
    return "".join(letter if "!" <= letter <= "~" else "?" for letter in text[:255]) or "-"


def _ended(connection: socket.socket) -> bool:
    """Whether the other side has closed it; what else it may say does not matter."""
    # Asked first: with a timeout set, reading waits for something to read, whatever its flags say.
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    try:
        return bool(poll.poll(0)) and connection.recv(4096) == b""
    except OSError:
        return True


def _short_json(alert: Alert, room: int) -> bytes:
    """The same keys without fields and with as much of the output as fits: cut JSON could not be read."""
    row = alert.row | {"output_fields": {}, "tags": []}
    message = row["message"]
    for _ in range(40):
        line = alerts.json_line(row | {"message": f"{message}{_CUT}"}).encode()
        if len(line) <= room:
            return line
        if not message:
            break
        message = message[: min(len(message) * room // len(line), len(message) - 1)]
    raise RefusedError("too long", f"an alert of {len(alert.json)} characters cannot be cut to {room} bytes")
