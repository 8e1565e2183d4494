"""Watches rule files and compiles what they become, in a thread of its own.

Whoever matches takes the new set between two batches. A set that is refused changes nothing: its errors are told, and
the one before goes on.
"""

from __future__ import annotations

import gc
import logging
import os
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import watchfiles

from tiercel.errors import TiercelError
from tiercel.rules import sets
from tiercel.rules.load import files_of, library
from tiercel.rules.sets import CompiledSet, RefusedError

log = logging.getLogger(__name__)

QUIET_MS = 150
"""Files are read when nothing has changed for so long, or"""
LONGEST_MS = 1500
"""at the latest so long after the first change."""
LOOK_MS = 1000
"""How often files are looked at that no notification tells of: network file systems, what links lead to."""

Told = Callable[[CompiledSet | RefusedError], None]


def tell(news: CompiledSet | RefusedError) -> None:
    """Log a set that was compiled, or all that is wrong with one."""
    if isinstance(news, CompiledSet):
        log.info("rules compiled rules=%d version=%s", news.count, news.version[:12])
    else:
        for error in news.errors:
            log.error("rules refused, those before go on: %s", error)


def beside_batches() -> None:
    """Let sets be compiled while batches are worked on, in a fleet; called once, before work begins.

    Who compiles holds Python for five milliseconds each time that a batch wants it, by default, and a hundred where
    the garbage collection looks through all that was loaded. Not for a process that holds a chDB store: one that ends
    while it inserts must not find its objects frozen.
    """
    sys.setswitchinterval(0.001)
    gc.collect()
    gc.freeze()


class Reloader:
    """From construction on, until `close`. `current` is the set that is in use, or about to be.

    `told` gets each new set, the one in use when somebody asks by `reload`, and each refusal, in the reloader's thread.
    If it raises a TiercelError it gets the set again.
    """

    def __init__(self, paths: Sequence[str | Path], current: CompiledSet, told: Told = tell) -> None:
        self.current = current
        self._given = [Path(path) for path in paths]
        self._paths = self._given or library()
        self._told = told
        self._ready: CompiledSet | None = None
        self._refused: list[str] = []
        self._stopped = False
        self._forced = False
        self._wake = threading.Event()
        # Of the files as they were read for `current`, or before: what has changed since is seen at the first look.
        self._signature: object = None
        self._thread = threading.Thread(target=self._run, name="rules", daemon=True)
        self._thread.start()

    def take(self) -> CompiledSet | None:
        """The newest set that has not been taken yet; asked between batches, so it is one look where there is none."""
        if self._ready is None:
            return None
        ready, self._ready = self._ready, None
        return ready

    def reload(self) -> None:
        """Read the files now, whether they seem to have changed or not; safe in a signal handler."""
        self._forced = True
        self._wake.set()

    def close(self, timeout: float = 2.0) -> None:
        self._stopped = True
        self._wake.set()
        self._thread.join(timeout)

    def _run(self) -> None:
        while not self._stopped:
            self._wake.clear()
            forced, self._forced = self._forced, False
            self.look(forced=forced)
            if self._stopped or self._forced:
                continue
            folders = watched(self._paths)
            try:
                for _ in watchfiles.watch(
                    *folders,
                    watch_filter=None,
                    recursive=False,
                    step=QUIET_MS,
                    debounce=LONGEST_MS,
                    rust_timeout=LOOK_MS,
                    yield_on_timeout=True,
                    stop_event=self._wake,
                    raise_interrupt=False,
                ):
                    self.look()
                    if watched(self._paths) != folders:
                        break
            except (OSError, RuntimeError) as error:
                # A folder went in this moment, or the kernel has no more watches: looking is enough.
                log.debug("rule files are not watched, only looked at reason=%s", error)
                self._wake.wait(LOOK_MS / 1000)

    def look(self, *, forced: bool = False) -> None:
        """Compile the files if they are others than at the last look."""
        now = signature(self._paths)
        if now == self._signature and not forced:
            return
        self._signature = now
        try:
            files = sets.read(self._given, self.current.files.options)
            # Names are looked up only where the texts are new, or somebody asks: a version does not change by itself.
            same = [text for _, text in files.files] == [text for _, text in self.current.files.files]
            if same and not forced:
                self._again()
                return
            new = sets.compiled(files)
            if not new.count and self.current.count:
                raise RefusedError(["there is no enabled rule in these files"])
        except RefusedError as refused:
            self._refuse(refused)
            return
        except Exception as error:  # whatever is in a file, this thread is not ended by it
            self._refuse(RefusedError([f"the rules cannot be compiled: {error!r}"]))
            return
        self._refused = []
        changed = new.version != self.current.version
        if not changed:
            log.info("rules are unchanged version=%s", new.version[:12])
        if changed or forced:
            self._hand_on(new, changed=changed)

    def _hand_on(self, new: CompiledSet, *, changed: bool) -> None:
        try:
            self._told(new)
        except TiercelError as error:
            # Until whoever is told could take it, it is not the current one: the files are read again at the next look.
            log.error("rules not handed on, tried again: %s", error)
            self._signature, self._forced = None, self._forced or not changed
            return
        if changed:
            self.current = self._ready = new

    def _again(self) -> None:
        if self._refused:
            self._refused = []
            log.info("rule files are again those in use version=%s", self.current.version[:12])

    def _refuse(self, refused: RefusedError) -> None:
        if refused.errors == self._refused:
            return
        self._refused = refused.errors
        self._told(refused)


def signature(paths: Sequence[Path]) -> object:
    """Changes when a file is written, replaced, linked elsewhere, added or gone."""
    found: list[tuple[object, ...]] = []
    for path in paths:
        try:
            files = files_of(path)
        except OSError as error:
            found.append((str(path), error.errno))
            continue
        for file in files:
            try:
                stat = file.stat()
                found.append((str(file), stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns))
            except OSError as error:
                found.append((str(file), error.errno))
    return found


def watched(paths: Sequence[Path]) -> list[str]:
    """Folders in which a change may change the files: those of each path, and of what it and its files lead to."""
    folders: set[str] = set()
    for path in paths:
        # Path.absolute keeps links: it is their folder in which they are replaced.
        for place in (path.absolute(), Path(os.path.realpath(path))):
            folders.add(str(place.parent))
            if place.is_dir():
                folders.add(str(place))
    return sorted(folder for folder in folders if Path(folder).is_dir())
