"""GET over a Unix socket: JSON, within a deadline and a limit of bytes, whatever the other side sends."""

import http.client
import json
import socket
import time
from pathlib import Path
from typing import Any

from tiercel.collector.containers.runtime import BadAnswerError, RuntimeUnreachableError


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path, deadline: float) -> None:
        super().__init__("localhost")
        self._path, self._deadline = path, deadline

    def connect(self) -> None:
        self.sock = _Socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.until = self._deadline
        self.sock.settimeout(_left(self._deadline))
        self.sock.connect(str(self._path))


class _Socket(socket.socket):
    """Each read has what is left of the whole request's time: a byte a second is no way to hold us."""

    until = 0.0

    def recv_into(self, *arguments: Any) -> int:
        self.settimeout(_left(self.until))
        return super().recv_into(*arguments)


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("timed out")
    return left


def get(path: Path, target: str, *, timeout: float, limit: int) -> Any:
    """The JSON of an answer; None where it is 404; RuntimeUnreachableError."""
    connection = _Connection(path, time.monotonic() + timeout)
    try:
        connection.request("GET", target, headers={"Connection": "close"})
        with connection.getresponse() as answer:
            if answer.status == http.client.NOT_FOUND:
                return None
            if answer.status != http.client.OK:
                raise BadAnswerError(f"answers {answer.status}")
            body = answer.read(limit + 1)
        if len(body) > limit:
            raise BadAnswerError(f"answers more than {limit} bytes")
        return json.loads(body)
    except (http.client.HTTPException, ValueError, RecursionError) as error:
        raise BadAnswerError(_said(error)) from None
    except OSError as error:
        raise RuntimeUnreachableError(_said(error)) from None
    finally:
        connection.close()


def _said(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
