"""`tiercel collect`, `process`, `sink`, `forward`: one stage of the fleet each, joined by Kafka."""

import logging
import signal
import threading
import time
from collections.abc import Callable, Collection
from contextlib import ExitStack, closing
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from tiercel.commands import Context
from tiercel.errors import TiercelError

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from tiercel.collector.sources import Source
    from tiercel.collector.spool import Spool
    from tiercel.config import Kafka, Settings, Worker
    from tiercel.joints.registry import Registry
    from tiercel.operations.exposition import Reader
    from tiercel.operations.health import Beating
    from tiercel.processors.rules_topic import RulesTopic
    from tiercel.rules.sets import CompiledSet
    from tiercel.sinks.drive import Patience

log = logging.getLogger("tiercel.fleet")

# Containers are killed ten seconds after they were told to end.
_DRAIN_S = 5.0

Brokers = Annotated[
    str | None, typer.Option(metavar="HOST:PORT", help="Kafka's bootstrap brokers; default: kafka.brokers.")
]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    for command in (collect, process, sink, forward):
        app.command(rich_help_panel="Fleet")(command)


def collect(
    context: typer.Context,
    *,
    brokers: Brokers = None,
    capture: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Send the events of a capture instead of this host's own.")
    ] = None,
    rate: Annotated[float, typer.Option(min=0, help="Events a second of the capture; 0: as fast as they go.")] = 0,
    repeat: Annotated[bool, typer.Option(help="Play the capture again and again.")] = False,
) -> None:
    """Send this host's system calls to Kafka, until stopped.

    Needs root and a kernel with BTF, and what `tiercel doctor` says; with --capture it needs neither. On SIGHUP
    it takes collector.budget_events and collector.budget_bytes anew from the configuration.
    """
    from tiercel.collector.collector import Collector
    from tiercel.collector.identity import Identity
    from tiercel.collector.notify import Notifier
    from tiercel.commands import collecting
    from tiercel.joints.kafka import KafkaProducer
    from tiercel.operations import readers
    from tiercel.operations.health import Health
    from tiercel.operations.watched import watched
    from tiercel.probe.pinned import Pinned

    settings = _settings(context, brokers)
    limits = settings.collector
    redactor = collecting.redactor(limits)
    stop = _until_told()
    pinned = Pinned() if capture is None else None
    # Another user may not be able to read them later.
    for module in ("joints.registry", "joints.kafka", "schemas.topics", "collector.containers.watch"):
        import_module(f"tiercel.{module}")
    with ExitStack() as stack:
        notifier = stack.enter_context(closing(Notifier()))
        # The probe comes first, as the rights that it takes are given up before anything else begins.
        source, begin, watched_too = _source(context, settings, capture, rate, repeat, stack)
        registry = collecting.registry(settings.kafka, may_wait=limits.spool_bytes > 0)
        schema_id = registry.ids["raw_batch"] if registry is not None else None
        identity = Identity.of_this_host(settings.host.id, settings.host.name)
        producer = stack.enter_context(closing(KafkaProducer(settings.kafka.client())))
        output = collecting.output(limits, producer, identity, schema_id, pinned, stack)
        collector = Collector(
            source,
            output,
            identity,
            linger_ms=limits.linger_ms,
            batch_events=limits.batch_events,
            batch_bytes=limits.batch_bytes,
            schema_id=schema_id,
            redactor=redactor,
            beat=notifier.beat,
        )
        watched_too += [readers.collector(collector), readers.producer(producer)]
        if output is not producer:
            watched_too.append(readers.spool(cast("Spool", output), limits.spool_bytes))
        health = Health(lambda: stop.turned, 90.0, lambda: None if producer.sent else "no batch was delivered yet")
        stack.enter_context(watched(settings.operations, "collect", health, watched_too))
        begin()
        log.info("collector started", extra={"source": str(capture) if capture is not None else "this host"})
        totals = collector.run(stop, flush_timeout=_DRAIN_S, begun=notifier.ready)
        notifier.stopping()
    env, payloads, args = redactor.counts
    log.info("redacted", extra={"env": env, "payloads": payloads, "command_lines": args})
    lost = {"/".join(key): count for key, count in totals.lost.items()}
    log.info("collector ended", extra={"produced": totals.produced, "delivered": totals.delivered, "lost": lost})


def process(
    context: typer.Context,
    *,
    brokers: Brokers = None,
    rules: Annotated[
        list[str] | None, typer.Option("--rules", "-r", metavar="FILE", help="Rule files or directories.")
    ] = None,
) -> None:
    """Enrich and match what the hosts send: a Faust worker, as many as there are partitions may run.

    Rules are those of the topic tiercel.rules, and follow it. Rule files that are named here are published there, and
    again whenever they change, or on SIGHUP.
    """
    from tiercel.joints.kafka import topic_id
    from tiercel.joints.registry import SUBJECTS, patiently
    from tiercel.operations import readers
    from tiercel.operations.health import Health
    from tiercel.operations.watched import watched
    from tiercel.processors import app
    from tiercel.processors.rules_topic import RulesTopic
    from tiercel.processors.running import Running
    from tiercel.schemas import topics

    settings = _settings(context, brokers, worker={"rules": rules or None})
    names = [topics.RAW, topics.EVENTS, topics.ALERTS, topics.QUARANTINE, topics.RULES, topics.SNAPSHOTS]
    registry = patiently(lambda: ready(settings.kafka, names, SUBJECTS), time.sleep)
    client = settings.kafka.client()
    with ExitStack() as stack:
        topic = stack.enter_context(closing(RulesTopic(client, topic_id(client, topics.RAW))))
        first = _first_rules(settings.worker, topic, stack)
        running = Running()
        health = Health(lambda: running.turned, 60.0, running.unready)
        stack.enter_context(watched(settings.operations, "process", health, [readers.running(running)]))
        app.run(settings.kafka, settings.worker, topic, first, registry, running=running)


def _first_rules(worker: "Worker", topic: "RulesTopic", stack: ExitStack) -> "CompiledSet":
    """The files that are named, which are published and watched; else what the topic has; else the shipped rules.

    Where what the topic has is refused, the set before it that a worker has used goes on.
    """
    from tiercel.commands.live import reloaded_by
    from tiercel.commands.rules import load_set
    from tiercel.rules.reload import Reloader, tell
    from tiercel.rules.sets import RefusedError

    def publish(new: "CompiledSet | RefusedError") -> None:
        tell(new)
        if not isinstance(new, RefusedError):
            try:
                topic.publish(new)
            except RefusedError as error:  # it is too large, and stays so
                log.error("rules not published: %s", error)

    if not worker.rules and topic.current is not None and not topic.shipped:
        try:
            return topic.compiled(topic.current)
        except RefusedError:
            # Adoption, which looks at it again, tells what is wrong.
            return topic.in_use() or load_set(worker)
    first = load_set(worker)
    topic.keep(first)
    if topic.current != first.version:
        topic.publish(first)
        topic.catch_up()
    if worker.rules:
        reloader = stack.enter_context(closing(Reloader(worker.rules, first, publish)))
        stack.enter_context(reloaded_by(reloader))
    return first


def sink(
    context: typer.Context,
    *,
    brokers: Brokers = None,
    dsn: Annotated[str | None, typer.Option(metavar="DSN", help="The store; default: store.dsn.")] = None,
) -> None:
    """Store events and alerts in ClickHouse; over a chDB store it also serves the API.

    While the store takes nothing, reading waits, and goes on by itself. Several may run: each has some partitions.
    """
    from tiercel.errors import KafkaError
    from tiercel.joints.kafka import KafkaConsumer, KafkaProducer, topic_id
    from tiercel.operations import readers
    from tiercel.operations.health import Health
    from tiercel.operations.watched import watched
    from tiercel.schemas import topics
    from tiercel.serve.server import serve
    from tiercel.sinks import allocator
    from tiercel.sinks.clickhouse import ClickHouseSink
    from tiercel.sinks.drive import Patience, drive
    from tiercel.sinks.gather import Gatherer
    from tiercel.sinks.quarantine import Quarantine

    settings = _settings(context, brokers, store={"dsn": dsn})
    registry = ready(settings.kafka, [topics.RAW, topics.EVENTS, topics.ALERTS, topics.QUARANTINE])
    client = settings.kafka.client()
    stop = _until_told()
    allocator.keep_freed_memory()
    limits, patience = settings.sink, Patience(longest=settings.sink.retry_max_s)
    opened = _open_store(settings, stop, patience)
    if opened is None:
        return
    aside = Quarantine(KafkaProducer(client))
    origin = topic_id(client, topics.RAW)

    def still() -> bool:
        try:
            return topic_id(client, topics.RAW) == origin
        except KafkaError:
            return True  # Nobody can tell now.

    out = ClickHouseSink(
        opened,
        origin,
        still=still,
        writers=registry,
        quarantine=aside.keep,
        insert_timeout=limits.insert_timeout_s,
    )
    gatherer = Gatherer.configured(limits, out.counters)
    read = [topics.EVENTS, topics.ALERTS, *([topics.RAW] if limits.raw else [])]
    consumer = KafkaConsumer(
        client,
        "tiercel-sink",
        read,
        assigned=out.assign,
        revoked=gatherer.drop,
        # Everything that a write asks of a store, each as slow as it may be.
        max_poll_seconds=20 * limits.insert_timeout_s,
    )
    # Nobody else can open a chDB directory while we hold it: hunts are asked of us.
    server = serve(settings) if settings.store.dsn.startswith("chdb:") else None
    health = Health(
        lambda: stop.turned, 120.0, lambda: None if consumer.partitions else "no partitions were assigned yet"
    )
    try:
        with watched(settings.operations, "sink", health, [readers.sink(out), readers.consumer(consumer)]):
            drive(out, consumer, stop.is_set, gatherer=gatherer, patience=patience, drain_s=0.0)
    finally:
        if server is not None:
            server.close()
        consumer.close()
        aside.close()
        out.close()
    log.info("sink ended", extra=vars(out.stored))


def _open_store(settings: "Settings", stop: threading.Event, patience: "Patience") -> "Client | None":
    """The store with its tables, waiting for a server that is not there yet; None: told to stop before."""
    from tiercel import store
    from tiercel.errors import StoreError
    from tiercel.schemas import migrations
    from tiercel.sinks import retention
    from tiercel.sinks.refusals import FAULTS, judge

    tries, told = 0, ""
    while not stop.is_set():
        tries += 1
        try:
            client = store.connect(settings.store.dsn, timeout=settings.sink.insert_timeout_s + 10)
            try:
                migrations.apply(client)
            except FAULTS as error:
                raise StoreError(f"the store's tables cannot be made: {judge(error).text}") from None
            retention.apply(client, settings.store.retention)
        except StoreError as error:
            refusal = judge(error.__cause__ or error.__context__ or error)
            if settings.store.dsn.startswith("chdb:") or refusal.kind != "away":
                raise
            if refusal.reason != told:
                told = refusal.reason
                log.error("%s; waiting for it", error)
            stop.wait(patience.wait(tries, refusal))
        else:
            return client
    return None


def forward(
    context: typer.Context,
    *,
    brokers: Brokers = None,
    from_now: Annotated[
        bool, typer.Option(help="Sinks that never ran begin with the alerts that come from now on, not with all kept.")
    ] = False,
) -> None:
    """Send alerts to the sinks that are configured: stdout, file, syslog, webhook, another Kafka.

    Each sink goes on where it was, by itself; while one is away its alerts stay in Kafka. SIGHUP or SIGUSR1 opens the
    file anew. Ends, saying what became of the alerts, when told to or when nobody reads standard output any more and
    there is no other sink.
    """
    from tiercel.commands.rotation import on_rotation
    from tiercel.errors import ConfigError
    from tiercel.operations import readers
    from tiercel.operations.health import Health
    from tiercel.operations.watched import watched
    from tiercel.schemas import topics
    from tiercel.sinks.alerts.configured import lanes
    from tiercel.sinks.alerts.fan import Fan
    from tiercel.sinks.alerts.forward import Forward

    settings = _settings(context, brokers)
    registry = ready(settings.kafka, [topics.ALERTS])
    stop = _until_told()
    ended = threading.Event()
    ways = lanes(settings)
    if not ways:
        raise ConfigError("no sink of alerts is enabled: set stdout.enabled, file.enabled, … (docs/alerts.md)")
    client = settings.kafka.client()
    running = [Forward(lane, client, ended, writers=registry, from_now=from_now) for lane in ways]
    on_rotation(Fan(ways).reopen)
    health = Health(lambda: stop.turned, 60.0, lambda: next(filter(None, (one.unready() for one in running)), None))
    with watched(settings.operations, "forward", health, [readers.lane(one.lane, one.lag) for one in running]):
        while not stop.wait(0.2):
            if ended.is_set():
                ended.clear()
                if all(one.over() for one in running) or any(one.error for one in running):
                    break
    deadline = time.monotonic() + _DRAIN_S
    for one in running:
        one.stop(deadline)
    for one in running:
        one.close(deadline)
        log.info("alerts forwarded sink=%s: %s", one.lane.name, one.report())
    for one in running:
        if one.error is not None:
            raise (
                one.error
                if isinstance(one.error, TiercelError)
                else TiercelError(f"forwarding to {one.lane.name} failed: {one.error!r}")
            ) from one.error


def _settings(context: typer.Context, brokers: str | None, **flags: dict[str, Any]) -> "Settings":
    obj: Context = context.obj
    return obj.settings(kafka={"brokers": brokers}, **flags)


def ready(kafka: "Kafka", wanted: list[str], writes: Collection[str] = ()) -> "Registry | None":
    """Check that the topics are there, or make them; tell the schemas to whoever reads.

    `writes` are the schemas for which ids are needed. RegistryAwayError: there are none yet.
    """
    from tiercel.errors import KafkaError
    from tiercel.joints import kafka as joint
    from tiercel.joints.registry import Registry
    from tiercel.schemas import topics

    client = kafka.client()
    try:
        joint.check(client, wanted)
    except joint.MissingTopicError:
        made = topics.create(client, partitions=kafka.partitions, replication=kafka.replication)
        log.info("topics made", extra={"topics": ",".join(made)})
        joint.check(client, wanted)
    if kafka.schema_registry:
        # Whoever writes what is not raw is a worker, which may say how schemas change.
        return Registry(kafka.schema_registry, writes, timeout=5.0, guard="alert" in writes)
    try:
        topics.publish_schemas(client)
    except KafkaError as error:
        # A collector need not be allowed to: a worker will have told them.
        log.debug("schemas not published reason=%s", error)
    return None


def _source(  # noqa: PLR0917
    context: typer.Context, settings: "Settings", capture: Path | None, rate: float, repeat: bool, stack: ExitStack
) -> "tuple[Source, Callable[[], None], list[Reader]]":
    """What is drained, closed with `stack`, what begins it, and what tells how it goes."""
    if capture is not None:
        from tiercel.collector.capture import CaptureSource

        source = CaptureSource(capture, rate=rate, repeat=repeat)
        stack.callback(source.close)
        return source, lambda: None, []
    from tiercel.commands.collecting import source_of_this_host

    return source_of_this_host(settings.collector, stack, context.obj.reread)


def _until_told() -> "Beating":
    """An event that SIGTERM and SIGINT set; a second one ends the process at once, and so do nine seconds."""
    from tiercel.ending import ends_at_last
    from tiercel.operations.health import Beating

    stop = Beating()

    def handle(number: int, _frame: object) -> None:
        ends_at_last(number)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handle)
    return stop
