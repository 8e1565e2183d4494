"""The Faust app around `worker`: bytes in, bytes out, each batch to the partition that it came from.

An input offset is acknowledged when what follows from it is safe in Kafka, a snapshot of its host included (`keeper`).
Faust has known ways to go silent or to leave a message out (a dead coordinator task, a first message missed after
recovery): every partition's offsets are checked to be contiguous, from where the group goes on, and a watchdog sees a
consumer that stands still beside a growing topic. Both end the process with status 1; its supervisor starts it anew,
and it goes on at the last acknowledged offset.
"""

import asyncio
import logging
import os
import signal
import ssl
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NoReturn

import faust
from faust.types import TP, EventT

from tiercel.config import Kafka
from tiercel.config import Worker as WorkerSettings
from tiercel.ending import ends_at_last
from tiercel.errors import KafkaError, RegistryAwayError, SchemaError
from tiercel.joints import kafka as joint
from tiercel.joints.registry import Registry, Told, patiently
from tiercel.processors.adopt import Adoption
from tiercel.processors.custody import Custody
from tiercel.processors.outbox import Outbox
from tiercel.processors.rules_topic import RulesTopic
from tiercel.processors.running import Running
from tiercel.processors.worker import Worker
from tiercel.rules.reload import beside_batches
from tiercel.rules.sets import CompiledSet
from tiercel.schemas import avro, topics

log = logging.getLogger(__name__)

GROUP = "tiercel-worker"
# Messages handled whose outputs are not yet safe.
_UNDER_WAY = 128
# A worker that was killed holds its partitions for so long: it is the largest part of a recovery, and six seconds are
# the least that Kafka takes unless told otherwise. Members have no names of their own (`group.instance.id`): a worker
# that is started anew under its old name would go on at once, but one that is gone for good, or was told to end, would
# hold its partitions just as long, and two that were given one name by mistake would throw each other out.
SESSION_SECONDS = 6.0
# Six of them may be late, or get lost, before a worker that lives is taken for dead.
_HEARTBEAT_SECONDS = 1.0
# Last snapshots, before partitions go: the group waits for them.
_LAST_S = 4.0


@dataclass
class Progress:
    """Last offset seen of each partition."""

    seen: dict[int, int] = field(default_factory=dict)

    def step(self, partition: int, offset: int) -> str | None:
        """Note an offset; a sentence if messages are missing before it. Repeats are no gap."""
        last = self.seen.get(partition)
        self.seen[partition] = max(offset, last if last is not None else offset)
        if last is not None and offset > last + 1:
            return f"offsets {last + 1} to {offset - 1} of partition {partition} were left out"
        return None

    def begin(self, partition: int, offset: int) -> None:
        """The first message will be that of `offset`."""
        self.seen[partition] = offset - 1

    def forget(self, partitions: set[int]) -> None:
        for partition in partitions:
            self.seen.pop(partition, None)


def make(  # noqa: PLR0915 - what Faust calls are closures of it
    settings: Kafka,
    limits: WorkerSettings,
    adoption: Adoption,
    registry: Registry | None,
    directory: str,
    *,
    raw_id: str,
    running: Running | None = None,
) -> faust.App:
    """The app; `run` starts it. Faust makes directories for tables, of which there are none, in `directory`."""
    credentials = _credentials(settings)
    app = faust.App(
        GROUP,
        datadir=directory,
        broker=[f"kafka://{broker.strip()}" for broker in settings.brokers.split(",")],
        broker_credentials=credentials,
        value_serializer="raw",
        key_serializer="raw",
        topic_allow_declare=False,
        topic_disable_leader=True,
        topic_partitions=settings.partitions,
        web_enabled=False,
        store="memory://",
        consumer_auto_offset_reset="earliest",
        # A loop that stands still is the watchdog's to see; waiting for the schema registry is none.
        broker_max_poll_interval=86_400.0,
        # Offsets acknowledged are committed about every second: at most so much is done twice after a crash.
        broker_commit_interval=1.0,
        broker_session_timeout=SESSION_SECONDS,
        broker_heartbeat_interval=_HEARTBEAT_SECONDS,
        broker_max_poll_records=64,
        consumer_max_fetch_size=4 << 20,
        stream_wait_empty=False,
        stream_buffer_maxsize=256,
        loghandlers=[],
    )
    raw = app.topic(topics.RAW, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")
    worker = Worker(
        None,
        limits=limits.limits(),
        schema_ids=registry.ids if registry is not None else None,
        # What it must be asked first is asked beside the loop.
        writers=Told(registry) if registry is not None else None,
    )
    progress = Progress()
    room = asyncio.Semaphore(_UNDER_WAY)
    custody = Custody(
        settings.client(),
        worker,
        adoption,
        group=GROUP,
        raw_id=raw_id,
        interval=limits.snapshot_interval,
        ack=lambda message: app.consumer.ack(message),  # noqa: PLW0108 - there is no consumer yet
        tell=None if registry is None else lambda message: _tell(registry, message),
    )

    outbox = Outbox(joint.KafkaProducer(settings.client()))

    async def send(key: bytes, value: bytes | None, partition: int) -> Any:
        return await outbox.send(topics.SNAPSHOTS, key, value, partition)

    running = running or Running()
    _show(running, app, worker=worker, progress=progress, adoption=adoption, room=room)
    running.custody = custody

    @app.agent(raw)  # type: ignore[arg-type]
    async def enrich(stream: "faust.Stream[bytes]") -> AsyncIterator[None]:
        async for event in stream.noack().events():
            partition, offset = event.message.partition, event.message.offset
            while partition in custody.wanted and partition not in custody.kept:
                await _recover(custody, progress)
            if partition in custody.kept:
                if not adoption.settled(partition, offset):
                    await _settle(worker, adoption, partition, offset)
                # A partition that goes meanwhile begins again where nothing was acknowledged.
                if await _told(registry, custody, event, running):
                    await _one(outbox, custody, progress, event, room)
            yield

    @app.on_partitions_revoked.connect  # type: ignore[arg-type]
    async def revoked(_app: faust.App, gone: set[TP], **_: Any) -> None:
        partitions = {place.partition for place in gone if place.topic == topics.RAW}
        await custody.last(send, _LAST_S)
        custody.drop(partitions)
        progress.forget(partitions)
        adoption.forget(partitions)

    @app.on_partitions_assigned.connect  # type: ignore[arg-type]
    async def assigned(_app: faust.App, now: set[TP], **_: Any) -> None:
        mine = {place.partition for place in now if place.topic == topics.RAW}
        running.assigned = None
        # Whatever was known of them may be old: somebody else may have had them.
        custody.drop(set(custody.kept))
        progress.forget(set(progress.seen))
        adoption.forget(mine)
        custody.assign(mine)
        running.assigned = mine
        log.info("partitions assigned partitions=%s", ",".join(map(str, sorted(mine))) or "none")

    @app.on_before_shutdown.connect  # type: ignore[arg-type]
    async def ending(_app: faust.App, **_: Any) -> None:
        # Last words are not for a worker that ends: whoever goes on counts on.
        await custody.last(send, _LAST_S)
        done = worker.counters
        log.info(
            "worker ended batches=%d events=%d alerts=%d quarantined=%d",
            *(done.batches, done.events, done.alerts, done.quarantined),
        )

    @app.task  # type: ignore[untyped-decorator]
    async def snapshots() -> None:
        while not app.should_stop:
            await asyncio.sleep(custody.pace())
            try:
                await custody.one(send)
            except Exception as error:
                _die(f"a snapshot could not be written: {error!r}")

    @app.task  # type: ignore[untyped-decorator]
    async def recovery() -> None:
        # Partitions without new messages are made ready, too: the first one does not wait.
        while not app.should_stop:
            await asyncio.sleep(0.1)
            if custody.wanted - set(custody.kept):
                await _recover(custody, progress)

    @app.task  # type: ignore[untyped-decorator]
    async def turning() -> None:
        while not app.should_stop:
            running.turned = time.monotonic()
            await asyncio.sleep(1)

    @app.task  # type: ignore[untyped-decorator]
    async def watchdog() -> None:
        await _watch(app, progress, running, settings.client())

    return app


async def _recover(custody: Custody, progress: Progress) -> None:
    """Know the hosts of the partitions that are new here."""
    try:
        for partition, start in (await custody.recover()).items():
            progress.begin(partition, start)
    except KafkaError as error:
        _die(str(error))


def _show(
    running: Running, app: faust.App, *, worker: Worker, progress: Progress, adoption: Adoption, room: asyncio.Semaphore
) -> None:
    running.worker, running.seen = worker, progress.seen
    running.under_way = lambda: _UNDER_WAY - room._value
    running.rules = lambda: (adoption.wanted.version, adoption.wanted.count)

    def highwater(partition: int) -> int | None:
        try:
            return app.consumer.highwater(TP(topics.RAW, partition))
        except Exception:  # it comes and goes with its thread
            return None

    running.highwater = highwater


async def _settle(worker: Worker, adoption: Adoption, partition: int, offset: int) -> None:
    """Between two batches: the rules that count from this one on."""
    try:
        worker.use(await asyncio.to_thread(adoption.settle, partition, offset), partition)
    except KafkaError as error:
        _die(str(error))


async def _told(registry: Registry | None, custody: Custody, event: EventT[bytes], running: Running) -> bool:
    """Wait until the registry has told the schema of a message; False: its partition has gone meanwhile.

    The loop turns and the worker stays in its group; what comes after waits in Kafka once Faust's buffer is full.
    """
    try:
        key = avro.writer_of(event.message.value or b"")
    except SchemaError:
        return True
    if registry is None or registry.knows(key):
        return True
    partition, pause = event.message.partition, 0.25
    kept = custody.kept.get(partition)
    try:
        while True:
            try:
                await asyncio.to_thread(registry.get, key)
                break
            except RegistryAwayError as error:
                if running.waits is None:
                    log.error("%s; batches whose schema it must tell wait", error)
                running.waits = str(error)
            await asyncio.sleep(pause)
            pause = min(2.0, pause * 2)
            if custody.kept.get(partition) is not kept:
                return False
    finally:
        if running.waits is not None:
            log.warning("waited for the schema registry partition=%d", partition)
        running.waits = None
    return custody.kept.get(partition) is kept


def _tell(registry: Registry, message: bytes) -> None:
    """The same for a thread."""
    with suppress(SchemaError):
        key = avro.writer_of(message)
        patiently(lambda: registry.get(key), time.sleep)


async def _one(
    outbox: Outbox, custody: Custody, progress: Progress, event: EventT[bytes], room: asyncio.Semaphore
) -> None:
    """Handle a message; it is acknowledged when all that it led to is safe, which later messages do not wait for."""
    message = event.message
    gap = progress.step(message.partition, message.offset)
    if gap is not None:
        _die(gap)
    await room.acquire()
    kept = custody.kept.get(message.partition)
    if kept is None:
        # It went while this one waited.
        room.release()
        return
    # A batch takes the engine a millisecond or two: a hop to another thread and back would cost more.
    outputs = custody.worker.handle(message.partition, message.offset, message.key or b"", message.value or b"")
    # A message waits for its snapshot for seconds: its bytes need not.
    message.value = None
    event.value = b""
    record = kept.handled(message.offset, message, time.monotonic())
    sent = [await outbox.send(out.topic, out.key, out.value, out.partition) for out in outputs]

    def safe(done: asyncio.Future[Any]) -> None:
        room.release()
        if done.cancelled():
            return
        if done.exception() is not None:
            _die(f"a message could not be sent: {done.exception()}")
        record.safe = True
        if custody.kept.get(message.partition) is kept:
            custody.acknowledge(kept)

    asyncio.gather(*sent).add_done_callback(safe)


async def _watch(
    app: faust.App, progress: Progress, running: Running, client: dict[str, Any], patience: float = 60.0
) -> None:
    """End the process when an assigned partition stands still although the topic has more."""
    moved = dict(progress.seen)
    since = time.monotonic()
    while not app.should_stop:
        await asyncio.sleep(5)
        if progress.seen != moved or running.waits:
            moved, since = dict(progress.seen), time.monotonic()
        elif time.monotonic() - since > patience:
            mine = {place.partition for place in app.assignor.assigned_actives() if place.topic == topics.RAW}
            ends = await asyncio.to_thread(joint.ends, client, topics.RAW, mine)
            behind = [p for p, end in ends.items() if end > progress.seen.get(p, end - 1) + 1]
            if behind:
                _die(f"nothing is read although partitions {behind} have more")
            since = time.monotonic()


class _FaustWorker(faust.Worker):
    """One that ends in time, once told to."""

    def _schedule_shutdown(self, signal: signal.Signals) -> None:
        ends_at_last(signal)
        super()._schedule_shutdown(signal)


def _die(reason: str) -> NoReturn:
    log.critical("worker ends for its supervisor to start it anew: %s", reason)
    sys.stderr.flush()
    os._exit(1)


def _credentials(settings: Kafka) -> faust.types.auth.CredentialsT | None:
    context = None
    if "SSL" in settings.security_protocol.split("_"):
        context = ssl.create_default_context(cafile=settings.ssl_ca_location or None)
        if settings.ssl_certificate_location:
            context.load_cert_chain(settings.ssl_certificate_location, settings.ssl_key_location or None)
    if settings.security_protocol.startswith("SASL"):
        return faust.SASLCredentials(
            username=settings.sasl_username,
            password=settings.sasl_password.get_secret_value(),
            ssl_context=context,
            mechanism=settings.sasl_mechanism,
        )
    return faust.SSLCredentials(context) if context is not None else None


def run(
    settings: Kafka,
    limits: WorkerSettings,
    rules: RulesTopic,
    first: CompiledSet,
    registry: Registry | None = None,
    *,
    running: Running | None = None,
) -> None:
    """Work until told to stop (SIGTERM, SIGINT); `first` are the rules until the topic of `rules` has others.

    `running` is filled in. KafkaError if no broker answers or a topic is missing.
    """
    client = settings.client()
    partitions = joint.check(client, [topics.RAW, topics.EVENTS, topics.ALERTS, topics.QUARANTINE, topics.SNAPSHOTS])
    if len({partitions[topic] for topic in (topics.RAW, topics.EVENTS, topics.ALERTS)}) != 1:
        raise KafkaError(f"{topics.RAW}, {topics.EVENTS} and {topics.ALERTS} must have equally many partitions")

    def bounds(partition: int) -> tuple[int, int]:
        known = joint.bounds(client, topics.RAW, {partition})
        if partition not in known:
            raise KafkaError(f"the end of partition {partition} of {topics.RAW} is not known")
        return known[partition]

    def committed(partition: int) -> int:
        return joint.committed(client, GROUP, topics.RAW).get(partition, 0)

    adoption = Adoption(rules, first, bounds, committed)
    adoption.look()
    beside_batches()
    rules.follow(adoption.look)
    with tempfile.TemporaryDirectory(prefix="tiercel-worker-") as directory:
        raw_id = joint.topic_id(client, topics.RAW)
        app = make(settings, limits, adoption, registry, directory, raw_id=raw_id, running=running)
        _FaustWorker(app, loglevel=None, quiet=True, override_logging=False, console_port=0).execute_from_commandline()
