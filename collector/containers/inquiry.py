"""A thread that asks one runtime for the containers it is told of, and says what it learns. Nobody waits for it."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial

from tiercel.collector.containers.runtime import BadAnswerError, Container, Runtime, RuntimeUnreachableError

log = logging.getLogger(__name__)

# Seconds until an unknown container is asked for again: a runtime may know it a moment later than its first process.
_AGAIN = (0.05, 0.3, 1.5)
_LONGEST_PAUSE = 60.0
_MOST_REFUSED = 4096


class Inquiry:
    """At most `pending` containers wait to be asked for: what is too much is dropped and counted.

    `learn` is called from the thread with each container that is found, `forget` with each id that is gone.
    """

    def __init__(
        self,
        runtime: Runtime,
        learn: Callable[[Container], None],
        forget: Callable[[str], None],
        *,
        pending: int = 4096,
        refresh: float = 30.0,
    ) -> None:
        self._runtime, self._learn, self._forget = runtime, learn, forget
        self._most, self._refresh = pending, refresh
        # (when, id, how often asked)
        self._pending: deque[tuple[float, str, int]] = deque()
        self._known: set[str] = set()
        self._missing: set[str] = set()
        # Of which the runtime told nothing that could be used: not asked for again.
        self._refused: set[str] = set()
        self._wake = threading.Condition()
        self._ended = False
        self._all_again = False
        self._up: bool | None = None
        self._pause = 0.5
        self.dropped = 0
        self.failures = 0
        self._thread = threading.Thread(target=self._run, name=f"containers {runtime.name}", daemon=True)
        self._thread.start()

    def ask(self, container: str) -> None:
        """Note a container to ask for; never waits for the runtime."""
        with self._wake:
            if len(self._pending) >= self._most:
                self.dropped += 1
                return
            self._pending.append((time.monotonic(), container, 0))
            self._wake.notify()

    def tell_again(self) -> None:
        """What was told may be lost: all containers that run are told again."""
        with self._wake:
            self._all_again = True
            self._wake.notify()

    def close(self, timeout: float = 5.0) -> None:
        with self._wake:
            self._ended = True
            self._wake.notify()
        self._thread.join(timeout)

    def _run(self) -> None:
        due = 0.0
        while not self._ended:
            if self._all_again:
                self._all_again, due = False, 0.0
                self._known.clear()
                self._refused.clear()
            if time.monotonic() >= due:
                due = time.monotonic() + (self._refresh if self._try("list", self._list) else 0.0)
            job = self._next(due)
            if job is not None:
                self._try(job[0], partial(self._inspect, *job))
        self._runtime.close()

    def _try(self, what: str, ask: Callable[[], None]) -> bool:
        """Ask; False if the runtime is away. What it answers wrongly to one question does not hold up the others."""
        try:
            ask()
        except BadAnswerError as error:
            self._is_up()
            self._refuse(what, str(error))
        except RuntimeUnreachableError as error:
            self._down(str(error))
            return False
        except Exception as error:  # an answer that nobody thought of costs no more than one that is refused
            self._refuse(what, f"{type(error).__name__}: {error}")
        return True

    def _refuse(self, what: str, reason: str) -> None:
        self.failures += 1
        if what not in self._refused and len(self._refused) < _MOST_REFUSED:
            self._refused.add(what)
            log.warning(
                "a container stays without name runtime=%s asked=%s reason=%s", self._runtime.name, what, reason
            )

    def _next(self, until: float) -> tuple[str, int] | None:
        with self._wake:
            now = time.monotonic()
            for _ in range(len(self._pending)):
                when, container, tries = self._pending[0]
                if when <= now:
                    self._pending.popleft()
                    return container, tries
                self._pending.rotate(-1)
            first = min((when for when, _, _ in self._pending), default=until)
            if not self._ended and not self._all_again:
                self._wake.wait(max(0.0, min(first, until) - now))
        return None

    def _list(self) -> None:
        """Tell what runs and was not told yet, and what no longer runs."""
        listed = dict.fromkeys(self._runtime.ids()[: self._most])
        ids = listed.keys()
        self._is_up()
        with self._wake:
            asked = {container for _, container, _ in self._pending} | self._known | self._refused
            for container in listed:
                if container not in asked and len(self._pending) < self._most:
                    self._pending.append((0.0, container, len(_AGAIN)))
        # A container is known a moment before it is listed: gone is what two lists in a row leave out.
        missing = self._known - ids
        for container in missing & self._missing:
            self._known.discard(container)
            self._forget(container)
        self._missing = missing & self._known
        self._refused &= ids

    def _inspect(self, container: str, tries: int) -> None:
        if container in self._known:
            return
        try:
            found = self._runtime.inspect(container)
        except RuntimeUnreachableError as error:
            if not isinstance(error, BadAnswerError):
                self._retry(container, tries)
            raise
        self._is_up()
        if found is None:
            self._retry(container, tries)
        elif found["full_id"] not in self._known:
            self._known.add(found["full_id"])
            self._learn(found)

    def _retry(self, container: str, tries: int) -> None:
        if tries < len(_AGAIN):
            with self._wake:
                if len(self._pending) < self._most:
                    self._pending.append((time.monotonic() + _AGAIN[tries], container, tries + 1))

    def _is_up(self) -> None:
        self._pause = 0.5
        if self._up is not True:
            self._up = True
            log.info("container runtime answers runtime=%s", self._runtime.name)

    def _down(self, reason: str) -> None:
        self.failures += 1
        if self._up is not False:
            self._up = False
            log.warning(
                "container runtime does not answer, its containers stay without name runtime=%s reason=%s",
                self._runtime.name,
                reason,
            )
        with self._wake:
            if not self._ended:
                self._wake.wait_for(lambda: self._ended, self._pause)
        self._pause = min(self._pause * 2, _LONGEST_PAUSE)
