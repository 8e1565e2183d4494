"""How a process that was told to end does end, whatever it waits for: what is left is done at its next start.

Containers are killed ten seconds after they were told to end, hosts that shut down have less patience.
"""

import logging
import os
import threading

log = logging.getLogger(__name__)

PATIENCE_S = 9.0
_told = threading.Event()


def ends_at_last(number: int) -> None:
    """Call it for each signal to end: the second one ends the process at once, and so does time after the first."""
    if _told.is_set():
        os._exit(128 + number)
    _told.set()
    timer = threading.Timer(PATIENCE_S, _give_up, [number])
    timer.daemon = True
    timer.start()


def _give_up(number: int) -> None:
    log.error("not ended after %.0f s: what is under way is done again, or told, at the next start", PATIENCE_S)
    os._exit(128 + number)
