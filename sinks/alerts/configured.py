"""The sinks of alerts that the configuration asks for, each with its lane."""

from collections.abc import Callable, Iterator

from tiercel import config
from tiercel.rules.items import PRIORITIES
from tiercel.sinks.alerts.base import Sink
from tiercel.sinks.alerts.file import FileSink
from tiercel.sinks.alerts.kafka import KafkaSink
from tiercel.sinks.alerts.lane import Lane
from tiercel.sinks.alerts.stdout import StdoutSink
from tiercel.sinks.alerts.syslog import SyslogSink
from tiercel.sinks.alerts.webhook import WebhookSink


def _stdout(settings: config.Stdout) -> Sink:
    return StdoutSink(settings.format)


def _file(settings: config.File) -> Sink:
    return FileSink(settings.path, settings.format)


def _syslog(settings: config.Syslog) -> Sink:
    return SyslogSink(
        settings.address,
        protocol=settings.protocol,
        facility=settings.facility,
        form=settings.format,
        max_bytes=settings.max_bytes,
        timeout=settings.timeout_ms / 1000,
    )


def _webhook(settings: config.Webhook) -> Sink:
    return WebhookSink(
        settings.url.get_secret_value(),
        headers={name: value.get_secret_value() for name, value in settings.headers.items()},
        user_agent=settings.user_agent,
        timeout=settings.timeout_ms / 1000,
        ca_file=settings.ca_file,
        certificate_file=settings.certificate_file,
        key_file=settings.key_file,
        insecure=settings.insecure,
    )


def _kafka(settings: config.AlertKafka) -> Sink:
    return KafkaSink(settings.client(), settings.topic, timeout=settings.timeout_ms / 1000)


Made = tuple[str, config.AlertSink, Callable[[], Sink]]


def enabled(settings: config.Settings, *, without: str = "") -> Iterator[Made]:
    """Group and settings of each enabled sink and what makes it (ConfigError), in the order of the configuration."""
    makers: list[Made] = [
        ("stdout", settings.stdout, lambda: _stdout(settings.stdout)),
        ("file", settings.file, lambda: _file(settings.file)),
        ("syslog", settings.syslog, lambda: _syslog(settings.syslog)),
        ("webhook", settings.webhook, lambda: _webhook(settings.webhook)),
        ("alertkafka", settings.alertkafka, lambda: _kafka(settings.alertkafka)),
    ]
    return (made for made in makers if made[1].enabled and made[0] != without)


def severity(settings: config.AlertSink) -> int:
    """The index of the least urgent priority that the sink gets."""
    return PRIORITIES.index(settings.priority.capitalize())


def lanes(settings: config.Settings, *, without: str = "") -> list[Lane]:
    """A lane for each enabled sink, `without` the one of this name; ConfigError before any of them runs."""
    made = [(group, make()) for _, group, make in enabled(settings, without=without)]
    host = settings.host.id, settings.host.name
    return [
        Lane(
            sink,
            severity=severity(group),
            max_alerts=group.queue,
            attempts=group.attempts if isinstance(group, config.Webhook) else 8,
            host=host,
        )
        for group, sink in made
    ]
