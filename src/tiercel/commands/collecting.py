"""The parts that `tiercel collect` is put together of, and how it begins while Kafka is away."""

import logging
import os
import signal
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tiercel.errors import ConfigError, RegistryAwayError, SpoolBusyError, SpoolError, TiercelError

if TYPE_CHECKING:
    from tiercel._engine import Redactor
    from tiercel.collector.identity import Identity
    from tiercel.collector.sources import Source
    from tiercel.collector.spool import Spool
    from tiercel.config import Collector, Kafka, Settings
    from tiercel.joints.base import Producer
    from tiercel.joints.registry import Registry
    from tiercel.operations.exposition import Reader
    from tiercel.probe.core import Probe
    from tiercel.probe.pinned import Pinned

log = logging.getLogger("tiercel.fleet")


def redactor(settings: "Collector") -> "Redactor":
    """What takes secrets out of events; ConfigError."""
    from tiercel._engine import Redactor

    try:
        return Redactor(settings.env, settings.payloads, settings.redact)
    except ValueError as error:
        raise ConfigError(f"collector.env, collector.payloads or collector.redact: {error}") from None


def registry(kafka: "Kafka", *, may_wait: bool) -> "Registry | None":
    """The schema registry, if there is one and it answers; else batches name their schema by its fingerprint.

    With a spool a broker that is away is no reason not to begin.
    """
    from tiercel.commands.fleet import ready
    from tiercel.joints.kafka import AwayError
    from tiercel.schemas import topics

    try:
        return ready(kafka, [topics.RAW], ["raw_batch"])
    except RegistryAwayError as error:
        log.warning("%s: batches carry the fingerprint of their schema, which every worker knows", error)
        return None
    except AwayError as error:
        if not may_wait:
            raise
        log.warning("%s: events wait in the spool", error)
        return None


def follow_budget(probe: "Probe", settings: "Collector", reread: "Callable[[], Settings]") -> None:
    """Give the probe its budget, and anew on SIGHUP that of the configuration as it is then."""
    from tiercel.commands.rotation import on_rotation

    probe.set_budget(settings.budget_events, settings.budget_bytes)

    def again() -> None:
        try:
            new = reread().collector
            probe.set_budget(new.budget_events, new.budget_bytes)
        except (TiercelError, OSError) as error:
            log.error("the budget stays what it is: %s", error)
            return
        log.info("budget of this host events=%d bytes=%d", new.budget_events, new.budget_bytes)

    on_rotation(again, (signal.SIGHUP,))


def source_of_this_host(
    settings: "Collector", stack: ExitStack, reread: "Callable[[], Settings]"
) -> "tuple[Source, Callable[[], None], list[Reader]]":
    """The kernel's events, not yet wanted, what makes them so, and what tells how it goes; rights that are not needed
    any more are given up.

    `reread` gives the configuration as it is by then.

    To be called before any thread begins: capabilities are a thread's own. ProbeError, ConfigError.
    """
    from tiercel.collector import privileges
    from tiercel.collector.containers.watch import with_containers
    from tiercel.collector.live import LiveSource, clock_offset
    from tiercel.collector.reader import Reader as ProcReader
    from tiercel.operations import readers
    from tiercel.probe.core import Probe

    if settings.user:
        _give(settings.spool, *privileges.owner(settings.user))
    offset = clock_offset()
    drops = settings.drop_privileges and bool(privileges.held())
    reader = ProcReader(offset, user=settings.user) if drops else None
    if reader is not None:
        stack.callback(reader.close)
    own = [os.getpid(), *([reader.pid] if reader is not None else [])]
    probe = Probe.load(set(), settings.ring_bytes, exclude_tgids=own)
    if drops or settings.user:
        kept = privileges.needed(probe.counters) if drops else frozenset()
        privileges.limit(kept, user=settings.user)
        if kept:
            log.warning("this kernel asks for CAP_BPF and CAP_PERFMON to use the probe: they are kept")
    follow_budget(probe, settings, reread)
    live = LiveSource(probe, heal_ms=settings.heal_ms, offset=offset, describer=reader)
    source = with_containers(live, settings)
    stack.callback(source.close)
    wanted = set(settings.wanted) or probe.default_wanted()
    return source, lambda: probe.set_wanted(wanted), [readers.kernel(live)]


@contextmanager
def _closed(fd: int) -> Iterator[int]:
    """A descriptor, closed at the end."""
    try:
        yield fd
    finally:
        os.close(fd)


def _give(folder: Path, user: int, group: int) -> None:
    """The spool, and what a collector that ran as us left in it."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _closed(os.open(folder, flags | os.O_DIRECTORY)) as fd:
            for name in os.listdir(fd):  # noqa: PTH208 (by descriptor)
                with suppress(OSError), _closed(os.open(name, flags, dir_fd=fd)) as file:
                    status = os.fstat(file)
                    if stat.S_ISREG(status.st_mode) and status.st_nlink == 1 and status.st_uid == os.geteuid():
                        os.fchown(file, user, group)
            os.fchown(fd, user, group)
    except OSError as error:
        raise SpoolError(f"the spool {folder} cannot be given to collector.user: {error.strerror}") from None


def output(  # noqa: PLR0917
    settings: "Collector",
    producer: "Producer",
    identity: "Identity",
    schema_id: int | None,
    pinned: "Pinned | None",
    stack: ExitStack,
) -> "Producer | Spool":
    """The spool before the producer, closed with `stack`; where its disk cannot be used, the producer alone."""
    from tiercel.collector.spool import Spool

    if not settings.spool_bytes:
        return producer

    def produced_before(before: "Identity") -> int:
        if pinned is None or before.boot_id != identity.boot_id:
            return 0
        return pinned.produced(before.run)

    try:
        spool = Spool(
            settings.spool,
            producer,
            identity,
            max_bytes=settings.spool_bytes,
            max_age=settings.spool_age_s,
            schema_id=schema_id,
            produced_before=produced_before,
        )
    except SpoolBusyError:
        raise
    except SpoolError as error:
        # A host that is not watched is worse than one whose events do not outlive Kafka's absence.
        log.error("%s: events do not outlive this process, and wait for Kafka in memory alone", error)
        return producer
    stack.callback(spool.close)
    return spool
