"""A process that reads /proc and nothing else, for a collector that may not: `Reader` is the collector's end.

It is forked before there are threads, keeps CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH alone, and takes three kinds of
questions. Answers are batches as Avro.
"""

import contextlib
import ctypes
import json
import logging
import os
import signal
import socket
import struct
import time
from collections.abc import Callable
from multiprocessing.connection import Connection, Pipe

from tiercel._engine import Batch, decode_raw, encode_raw
from tiercel.collector import privileges
from tiercel.collector.describer import GONE, Here
from tiercel.errors import TiercelError

log = logging.getLogger(__name__)

_HEADER = {"host_id": "", "host": "", "boot_id": "", "run": 0, "first_seq": 0, "produced": 0, "delivered": 0}
_MOST_REQUEST, _MOST_ANSWER = 4096, 1 << 30
_PROMPT_S, _SNAPSHOT_S = 2.0, 120.0
_PR_SET_PDEATHSIG = 1


class Reader:
    """See `describer.Describer`. While an answer is late nothing else is asked, and processes are guessed; one that is
    gone is given up for good.
    """

    def __init__(self, offset: int, *, user: str = "") -> None:
        """Fork. `offset` makes CLOCK_BOOTTIME UTC. Call it before any thread begins."""
        self._mine, theirs = Pipe()
        self.pid = os.fork()
        if not self.pid:
            code = 1
            try:
                self._mine.close()
                _serve(theirs, offset, user)
                code = 0
            except TiercelError as error:
                log.error("the reader of /proc: %s", error)
            except BaseException:
                log.exception("the reader of /proc has failed")
            finally:
                os._exit(code)
        theirs.close()
        if not self._mine.poll(_PROMPT_S * 5) or self._mine.recv_bytes(_MOST_REQUEST) != b"ready":
            raise TiercelError("the reader of /proc did not start")
        # A part of an answer may come, and the rest never.
        _limit_waits(self._mine, _PROMPT_S * 5)
        self.failed = False
        # Answers that are still to come, and that nobody waits for any more.
        self._owed = 0
        self._told_late = False

    @property
    def answers(self) -> bool:
        """Whether it does, as far as is known."""
        return not self.failed and not self._owed

    def begin(self) -> None:
        self._ask(["begin"], _PROMPT_S)

    def describe(self, batch: Batch, pid: int, before: int, only: int | None = None) -> tuple[bool, int]:
        head, body = self._ask(["describe", pid, before, only], _PROMPT_S)
        if head is None:
            raise ProcessLookupError(pid)
        batch.extend(decode_raw(body)[1])
        return bool(head[0]), int(head[1])

    def snapshot(self, batch: Batch, known: Callable[[int], None]) -> None:
        # Those that come while it is read are told by the kernel; what is lost of them meanwhile asks anew.
        for name in os.listdir("/proc"):  # noqa: PTH208
            if name.isdigit():
                known(int(name))
        head, body = self._ask(["snapshot"], _SNAPSHOT_S)
        if head is None:
            log.error("processes that were there before are not known: the reader of /proc does not answer")
            return
        batch.extend(decode_raw(body)[1])

    def _ask(self, question: list[object], timeout: float) -> tuple[list[int] | None, bytes]:
        if self.failed:
            return None, b""
        try:
            while self._owed and self._mine.poll(0):
                self._receive()
            if self._owed:
                return None, b""
            self._mine.send_bytes(json.dumps(question).encode())
            self._owed = 1
            if self._mine.poll(timeout):
                self._told_late = False
                return self._receive()
            if not self._told_late:
                log.warning("the reader of /proc is late, processes are guessed until it answers")
                self._told_late = True
            return None, b""
        except (OSError, EOFError, ValueError) as error:
            self.failed = True
            log.error("the reader of /proc is gone, processes are guessed from now on reason=%s", error)
            return None, b""

    def _receive(self) -> tuple[list[int] | None, bytes]:
        head = json.loads(self._mine.recv_bytes(_MOST_REQUEST))
        body = self._mine.recv_bytes(_MOST_ANSWER) if head else b""
        self._owed -= 1
        return head, body

    def close(self) -> None:
        """End it."""
        self._mine.close()
        with contextlib.suppress(OSError):
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)


def _limit_waits(connection: Connection, seconds: float) -> None:
    """OSError instead of waiting longer for the rest of a message."""
    with socket.socket(fileno=os.dup(connection.fileno())) as end:
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            end.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", int(seconds), 0))


def _serve(asker: Connection, offset: int, user: str) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    # The collector ends it: what a terminal sends to both must not come first.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    privileges.limit(privileges.READER, user=user)
    # Changing the user took it back.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    here = Here(offset, lambda: time.clock_gettime_ns(time.CLOCK_BOOTTIME) + offset)
    asker.send_bytes(b"ready")
    while True:
        try:
            question = json.loads(asker.recv_bytes(_MOST_REQUEST))
        except EOFError:
            return
        batch, head = Batch(), [1, 0]
        match question:
            case ["begin"]:
                here.begin()
            case ["snapshot"]:
                here.snapshot(batch, lambda _pid: None)
            case ["describe", int(pid), int(before), None | int() as only]:
                try:
                    complete, parent = here.describe(batch, pid, before, only)
                    head = [int(complete), parent]
                except GONE:
                    head = []
        asker.send_bytes(json.dumps(head or None).encode())
        if head:
            asker.send_bytes(encode_raw(batch, 0, len(batch), dict(_HEADER)))
