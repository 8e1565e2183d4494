"""What every sink of alerts promises: order, one message an alert whatever stands in it, a count of all that is lost.

Each runs against what really takes its alerts: a pipe, a file, a syslog socket, an HTTP server, a Kafka broker.
"""

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from tiercel.sinks.alerts.base import Alert, Sink
from tiercel.sinks.alerts.fan import Fan
from tiercel.sinks.alerts.file import FileSink
from tiercel.sinks.alerts.kafka import KafkaSink
from tiercel.sinks.alerts.lane import Lane
from tiercel.sinks.alerts.stdout import StdoutSink
from tiercel.sinks.alerts.syslog import SyslogSink
from tiercel.sinks.alerts.webhook import WebhookSink
from tiercel.testing import builders
from tiercel.testing.alert_server import AlertServer
from tiercel.testing.services import Kafka, eventually

HOSTILE = [
    "two\nlines\r\n<0>forged: ",
    '{"rule": "forged"}\n{"rule": "forged"}',
    "nul\x00 escape\x1b]0;title\x07 next\x85line \u2028\u2029\u202e",
    "half \ud800",
    "\udcff\udcfe as undecodable bytes come out of Python",
    "x" * 1_000_000,
    "\n" * 10_000,
    "",
]


def alert(name: str, **fields: object) -> Alert:
    return Alert.of(builders.alert(name, **fields))


@dataclass
class Kind:
    """A sink, what has arrived (bodies of JSON, so far), and the longest body that arrives whole."""

    sink: Sink
    arrived: Callable[[], list[dict[str, Any]]]
    longest: int = 1 << 30


def _stdout(_: pytest.FixtureRequest, __: Path) -> Iterator[Kind]:
    read, write = os.pipe()
    data = bytearray()

    def drain() -> None:
        while part := os.read(read, 65536):
            data.extend(part)

    reader = threading.Thread(target=drain)
    reader.start()
    yield Kind(StdoutSink("json", descriptor=write), lambda: _lines(bytes(data)))
    os.close(write)
    reader.join()
    os.close(read)


def _lines(data: bytes) -> list[dict[str, Any]]:
    """Of whole lines; whatever ends a line anywhere ends it here."""
    return [json.loads(line) for line in data.decode().splitlines(keepends=True) if line.endswith("\n")]


def _file(_: pytest.FixtureRequest, folder: Path) -> Iterator[Kind]:
    path = folder / "alerts.log"
    yield Kind(FileSink(path), lambda: _lines(path.read_bytes()) if path.exists() else [])


def _unix(_: pytest.FixtureRequest, folder: Path) -> Iterator[Kind]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(str(folder / "log"))
        yield from _syslog(server, SyslogSink(str(folder / "log"), form="json", max_bytes=65_000))


def _tcp(_: pytest.FixtureRequest, __: Path) -> Iterator[Kind]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        yield from _syslog(server, SyslogSink(address, protocol="rfc5424", form="json", max_bytes=65_000))


def _syslog(server: socket.socket, sink: Sink) -> Iterator[Kind]:
    """The messages that the socket takes, each checked to have a head of its own."""
    found: list[dict[str, Any]] = []
    server.settimeout(0.05)
    over = threading.Event()

    def note(message: bytes) -> None:
        head, _, body = message.decode().partition("{")
        assert head.startswith("<12>")
        found.append(json.loads("{" + body))

    def take() -> None:
        connection, data = None, b""
        while not over.is_set():
            with suppress(TimeoutError):
                if server.type == socket.SOCK_DGRAM:
                    note(server.recv(1 << 20))
                    continue
                if connection is None:
                    connection, _ = server.accept()
                    connection.settimeout(0.05)
                data += connection.recv(65536)
                while b" " in data and len(data) >= (need := len(data.split(b" ")[0]) + 1 + int(data.split(b" ")[0])):
                    note(data[:need].partition(b" ")[2])
                    data = data[need:]
        if connection is not None:
            connection.close()

    reader = threading.Thread(target=take)
    reader.start()
    yield Kind(sink, lambda: list(found), 65_000)
    over.set()
    reader.join()


def _webhook(_: pytest.FixtureRequest, folder: Path) -> Iterator[Kind]:
    with AlertServer(folder / "taken") as server:
        yield Kind(WebhookSink(server.url), server.alerts)


def _kafka(request: pytest.FixtureRequest, folder: Path) -> Iterator[Kind]:
    kafka: Kafka = request.getfixturevalue("kafka")
    topic = f"alerts-{folder.name}-{os.getpid()}"
    admin = AdminClient(kafka.client)  # kept: an answer never comes to a client that is gone
    admin.create_topics([NewTopic(topic, 3, 1)])[topic].result(20)
    found: list[dict[str, Any]] = []
    consumer = Consumer({**kafka.client, "group.id": topic, "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])

    def arrived() -> list[dict[str, Any]]:
        for message in consumer.consume(1000, 0.3):
            if message.error() is None:
                assert message.key() == b"host-1" or json.loads(message.value() or b"")["source"] == "internal"
                found.append(json.loads(message.value() or b""))
        return list(found)

    yield Kind(KafkaSink(kafka.client, topic), arrived)
    consumer.close()


KINDS = {"stdout": _stdout, "file": _file, "unix": _unix, "tcp": _tcp, "webhook": _webhook, "kafka": _kafka}


@pytest.fixture(params=[pytest.param(name, marks=[pytest.mark.services] if name == "kafka" else []) for name in KINDS])
def kind(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Kind]:
    yield from KINDS[request.param](request, tmp_path)


def of_rules(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one for one in found if one["source"] != "internal"]


def close(lane: Lane) -> None:
    lane.close(time.monotonic() + 20)
    tally = lane.tally
    assert tally.offered == tally.delivered + tally.dropped.total() + tally.refused.total()


def test_all_arrive_once_and_in_order(kind: Kind) -> None:
    lane = Lane(kind.sink)
    for number in range(200):
        assert lane.offer(alert(f"{number}", offset=number))
    assert eventually(lambda: len(kind.arrived()) >= 200)
    close(lane)
    assert [one["id"] for one in kind.arrived()] == [f"{number}" for number in range(200)]
    assert (lane.tally.delivered, lane.tally.dropped.total(), lane.tally.refused.total()) == (200, 0, 0)


def test_hostile_text_is_one_message_and_comes_whole_where_it_fits(kind: Kind) -> None:
    lane = Lane(kind.sink)
    for number, text in enumerate(HOSTILE):
        told = alert(f"{number}")
        told.row |= {"message": text, "rule": text[:500], "output_fields": {"field": text}}
        lane.offer(told)
    assert eventually(lambda: len(kind.arrived()) >= len(HOSTILE))
    close(lane)
    found = kind.arrived()
    assert [one["id"] for one in found] == [f"{number}" for number in range(len(HOSTILE))]
    for text, one in zip(HOSTILE, found, strict=True):
        whole = "".join("\ufffd" if "\ud800" <= letter <= "\udfff" else letter for letter in text)
        assert one["rule"] == whole[:500]
        if len(json.dumps(text)) * 2 + 2000 < kind.longest:
            assert one["output"].endswith(f"Warning {whole}")
            assert one["output_fields"]["field"] == whole
        else:
            assert one["output"].endswith("…[cut]")


def test_the_queue_is_bounded_and_every_loss_is_counted_and_told(kind: Kind) -> None:
    lane = Lane(kind.sink, max_alerts=5)
    taken = [name for name in map(str, range(300)) if lane.offer(alert(name))]
    assert eventually(lambda: lane.room() == 5)
    lane.offer(alert("last"))
    assert eventually(lambda: "last" in [one["id"] for one in kind.arrived()])
    close(lane)
    assert eventually(lambda: len(kind.arrived()) >= lane.tally.delivered + lane.tally.notices)
    found = kind.arrived()
    assert [one["id"] for one in of_rules(found)] == [*taken, "last"]
    assert lane.tally.delivered == len(taken) + 1
    assert lane.tally.dropped.total() == 300 - len(taken) > 0
    told = [one["output_fields"]["lost"] for one in found if one["source"] == "internal"]
    assert sum(told) == lane.tally.dropped["full"]
    assert len(told) == lane.tally.notices


def test_a_sink_that_hangs_delays_this_one_not_at_all(kind: Kind) -> None:
    class Hung:
        name = "hung"

        def send(self, _: Alert) -> None:
            go.wait(60)

        def reopen(self) -> None: ...

        def check(self) -> str:
            return ""

        def close(self) -> None: ...

    go = threading.Event()
    fan = Fan([Lane(Hung(), max_alerts=10), Lane(kind.sink)])
    begun = time.monotonic()
    for number in range(100):
        fan.offer(alert(f"{number}"))
    assert time.monotonic() - begun < 2
    assert eventually(lambda: len(kind.arrived()) >= 100)
    assert time.monotonic() - begun < 15
    fan.close(time.monotonic() + 0.5)
    hung, this = (lane.tally for lane in fan.lanes)
    assert (this.delivered, this.dropped.total()) == (100, 0)
    assert (hung.delivered, hung.dropped.total()) == (0, 100)
    go.set()
