"""`tiercel up`: everything on this host, with alerts and a status line on the terminal."""

import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tiercel.commands import Context
from tiercel.errors import ProbeError

if TYPE_CHECKING:
    from tiercel.collector.sources import Source
    from tiercel.config import Collector, Settings, Stdout
    from tiercel.local import Local, Numbers
    from tiercel.rules.reload import Reloader
    from tiercel.rules.sets import CompiledSet

Rules = Annotated[
    list[str] | None,
    typer.Option(
        "--rules", "-r", metavar="PATH", help="Rule file or directory; repeatable. Default: the shipped rules."
    ),
]
Dsn = Annotated[
    str | None, typer.Option(metavar="DSN", help="The store: chdb:///dir or clickhouse://user:password@host/db.")
]
Capture = Annotated[Path | None, typer.Option(metavar="FILE", help="Play this capture instead of watching the kernel.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("up", rich_help_panel="One host")(up)


def up(
    context: typer.Context,
    *,
    rules: Rules = None,
    dsn: Dsn = None,
    capture: Capture = None,
    as_json: Annotated[bool, typer.Option("--json", help="Alerts as JSON.")] = False,
) -> None:
    """Watch this host: everything in one process, alerts to the terminal, history in chDB.

    Needs root and a kernel with BTF; without them it says so and plays a recording through the same chain.
    Rule files that change are loaded anew, by themselves or on SIGHUP, as is the budget of events; what is wrong with
    them is told, and the rules before go on. Ctrl-C ends it with a summary: produced = stored + lost.
    """
    from tiercel import local
    from tiercel.commands.rotation import on_rotation
    from tiercel.commands.rules import load_set
    from tiercel.rules.reload import Reloader
    from tiercel.rules.sets import RefusedError

    obj: Context = context.obj
    told = {"format": "json" if as_json else None}
    settings = obj.settings(worker={"rules": rules}, store={"dsn": dsn}, stdout=told)
    first = load_set(settings.worker)
    source, live = _source(settings, capture, obj.reread)
    news: deque[str] = deque(maxlen=1000)

    def refused(new: "CompiledSet | RefusedError") -> None:
        if isinstance(new, RefusedError):
            news.extend(["rules refused, those before go on:", *new.errors])

    with (
        interrupted() as stop,
        closing(Reloader(settings.worker.rules, first, refused)) as reloader,
        reloaded_by(reloader),
    ):
        running = local.Local(source, _identity(settings), settings, first.rules, reloader=reloader, tell=news.append)
        on_rotation(running.fan.reopen)
        try:
            _watch(running, stop, news, live=live, wanted=settings.stdout)
        finally:
            numbers = running.finish()
    for alert in running.alerts(0):
        _show(alert, settings.stdout)
    _summary(numbers, running.alert_report())
    running.raise_error()


def _source(settings: "Settings", capture: Path | None, reread: "Callable[[], Settings]") -> "tuple[Source, bool]":
    """The kernel if it can be watched, else a capture; and whether it is live."""
    from tiercel.collector.capture import CaptureSource
    from tiercel.local import bundled_capture

    if capture is not None:
        return CaptureSource(capture), False
    try:
        return source_of_this_host(settings.collector, reread), True
    except ProbeError as error:
        typer.echo(f"Cannot watch this host: {error}. Playing the bundled recording instead.", err=True)
    return CaptureSource(bundled_capture()), False


def source_of_this_host(settings: "Collector", reread: "Callable[[], Settings]") -> "Source":
    """The probe's events and the containers of these; `reread` gives the configuration as it is by then. ProbeError."""
    from tiercel.collector.containers.watch import with_containers
    from tiercel.collector.live import LiveSource
    from tiercel.commands.collecting import follow_budget
    from tiercel.probe.core import Probe

    probe = Probe.load(set(settings.wanted) or None, settings.ring_bytes, exclude_tgids=[os.getpid()])
    follow_budget(probe, settings, reread)
    return with_containers(LiveSource(probe, heal_ms=settings.heal_ms), settings)


def _identity(settings: "Settings") -> Any:
    from tiercel.collector.identity import Identity

    return Identity.of_this_host(settings.host.id, settings.host.name)


@contextmanager
def interrupted() -> Iterator[threading.Event]:
    """An event that SIGINT and SIGTERM set; a second signal ends at once."""
    stop = threading.Event()

    def handle(number: int, _frame: object) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.set()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def reloaded_by(reloader: "Reloader", number: int = signal.SIGHUP) -> Iterator[None]:
    """This signal makes the rules be read anew, besides what else it does."""
    # A set that is compiled holds Python for five milliseconds each time that a batch wants it, by default.
    sys.setswitchinterval(0.001)
    before = signal.getsignal(number)

    def handle(number: int, frame: FrameType | None) -> None:
        reloader.reload()
        if callable(before):
            before(number, frame)

    signal.signal(number, handle)
    try:
        yield
    finally:
        signal.signal(number, before)


def _watch(running: "Local", stop: threading.Event, news: deque[str], *, live: bool, wanted: "Stdout") -> None:
    """Print alerts, news of the rules and, on a terminal, the status line, until told to stop or the source ends."""
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    from tiercel.local import Rate

    console = Console(stderr=True, highlight=False)
    rate = Rate()

    def status() -> Text:
        now = running.numbers()
        mark = "watching this host" if live else "playing a recording"
        line = Text(f"{mark}  {rate.add(now.produced):,.0f} events/s  stored {now.stored:,}  alerts {now.alerts:,}  ")
        return line.append(f"lost {now.lost_total:,}", "bold red" if now.lost_total else "")

    with Live(status(), console=console, auto_refresh=False, transient=True) as line:
        while not stop.is_set() and not running.ended.is_set():
            for alert in running.alerts(0.2):
                if console.is_terminal:
                    line.update(Text(""), refresh=True)
                _show(alert, wanted)
            while news:
                console.print(news.popleft(), markup=False, soft_wrap=True)
            if console.is_terminal:
                line.update(status(), refresh=True)


def _show(alert: dict[str, Any], wanted: "Stdout") -> None:
    """The terminal's part of a sink: between an alert and the next the status line stands there."""
    from tiercel.schemas import alerts
    from tiercel.sinks.alerts.base import Alert
    from tiercel.sinks.alerts.configured import severity

    told = Alert(alerts.row(alert), 0)
    if wanted.enabled and told.severity <= severity(wanted):
        print(told.json if wanted.format == "json" else told.text, flush=True)


def _summary(numbers: "Numbers", alerts: list[str]) -> None:
    lines = [
        f"produced {numbers.produced:,} = stored {numbers.stored:,} + lost {numbers.lost_total:,}; "
        f"{numbers.alerts:,} alert{'' if numbers.alerts == 1 else 's'}"
    ]
    lines += [f"  lost {count:,}: {stage}/{reason}" for (stage, reason), count in sorted(numbers.lost.items()) if count]
    lines += [f"  {line}" for line in alerts]
    typer.echo("\n".join(lines), err=True)
