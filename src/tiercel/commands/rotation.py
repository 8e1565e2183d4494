"""SIGHUP and SIGUSR1 as whoever rotates log files sends them: what was renamed is opened anew."""

import queue
import signal
import threading
from collections.abc import Callable
from types import FrameType


def on_rotation(
    reopen: Callable[[], None], signals: tuple[signal.Signals, ...] = (signal.SIGHUP, signal.SIGUSR1)
) -> None:
    """Call this at every one of the signals, in a thread of its own; who handled them before goes on doing so."""
    # The only queue that a signal handler may put into at any moment.
    told: queue.SimpleQueue[int] = queue.SimpleQueue()

    def follow() -> None:
        while True:
            told.get()
            reopen()

    threading.Thread(target=follow, name="rotation", daemon=True).start()
    for number in signals:
        before = signal.getsignal(number)

        def handle(number: int, frame: FrameType | None, before: object = before) -> None:
            told.put(number)
            if callable(before):
                before(number, frame)

        signal.signal(number, handle)
