"""Tells systemd that the collector is ready, alive and ending, as sd_notify(3) describes; without systemd, nothing."""

import contextlib
import os
import socket
import time
from collections.abc import Mapping


class Notifier:
    """`beat` as often as something is drained: a few times in each period of the watchdog it says so.

    It is to be made before rights are given up: the socket may be one that only root reaches.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._socket: socket.socket | None = None
        self._every = self._due = float("inf")
        path = environment.get("NOTIFY_SOCKET", "")
        if path.startswith(("/", "@")):
            made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
            try:
                made.connect("\0" + path[1:] if path.startswith("@") else path)
            except OSError:
                made.close()
            else:
                self._socket = made
        period, pid = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", str(os.getpid()))
        if period.isdigit() and int(period) and pid == str(os.getpid()):
            self._every = int(period) / 1e6 / 4
            self._due = 0.0

    def ready(self) -> None:
        """It has begun."""
        self._tell(b"READY=1")

    def beat(self) -> None:
        """It drains."""
        now = time.monotonic()
        if now >= self._due:
            self._due = now + self._every
            self._tell(b"WATCHDOG=1")

    def stopping(self) -> None:
        """It was told to end."""
        self._tell(b"STOPPING=1")

    def _tell(self, text: bytes) -> None:
        # What is not told is missed by the watchdog; nobody waits for systemd here.
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.send(text)

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
