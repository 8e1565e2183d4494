"""Whether a process works (its loop turns) and does its work (what it needs is there)."""

import threading
import time
from collections.abc import Callable

Reason = Callable[[], str | None]
"""Why the work is not done; None if it is."""


class Beating(threading.Event):
    """The wish to stop of a loop: as each turn asks for it, it tells when the loop turned last."""

    def __init__(self) -> None:
        super().__init__()
        self.turned = time.monotonic()

    @property
    def told(self) -> bool:
        """Whether it is set, asked by others than the loop."""
        return super().is_set()

    def is_set(self) -> bool:
        self.turned = time.monotonic()
        return super().is_set()

    isSet = is_set  # noqa: N815 - so that nothing asks past us

    def wait(self, timeout: float | None = None) -> bool:
        self.turned = time.monotonic()
        return super().wait(timeout)


class Health:
    """Answers of /healthz and /readyz: whether all is well, and a line that says what is not.

    `turned` tells when the loop turned last (monotonic), `patience` after how many seconds it stands still.
    """

    def __init__(self, turned: Callable[[], float], patience: float, ready: Reason) -> None:
        self._turned, self._patience, self._ready = turned, patience, ready

    def age(self) -> float:
        """Seconds since the loop turned."""
        return max(0.0, time.monotonic() - self._turned())

    def healthy(self) -> tuple[bool, str]:
        """Whether the loop turns."""
        age = self.age()
        if age > self._patience:
            return False, f"the loop stands still for {age:.0f} s (more than {self._patience:.0f} s)"
        return True, f"the loop turned {age:.1f} s ago"

    def ready(self) -> tuple[bool, str]:
        """Whether the work is done, which needs a loop that turns."""
        well, text = self.healthy()
        reason = self._ready() if well else text
        return reason is None, reason or "ready"
