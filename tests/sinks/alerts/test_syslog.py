"""Alerts to syslog: over a real Unix datagram socket, UDP and TCP, in both forms."""

import json
import os
import re
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tiercel.sinks.alerts.base import Alert, AwayError, RefusedError
from tiercel.sinks.alerts.lane import Lane
from tiercel.sinks.alerts.syslog import SyslogSink
from tiercel.testing import builders
from tiercel.testing.kafka_server import free_port
from tiercel.testing.services import eventually


def alert(name: str, **fields: object) -> Alert:
    return Alert.of(builders.alert(name, **fields))


def frames(data: bytes) -> list[bytes]:
    """Messages of a TCP connection, by their lengths."""
    found = []
    while data:
        length, _, rest = data.partition(b" ")
        found.append(rest[: int(length)])
        data = rest[int(length) :]
    return found


def everything(connection: socket.socket) -> bytes:
    connection.settimeout(5)
    data = b""
    while part := connection.recv(65536):
        data += part
    return data


@pytest.fixture
def local(tmp_path: Path) -> Iterator[tuple[str, socket.socket]]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(str(tmp_path / "log"))
        server.settimeout(5)
        yield str(tmp_path / "log"), server


@pytest.fixture
def udp() -> Iterator[tuple[str, socket.socket]]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(5)
        yield f"udp://127.0.0.1:{server.getsockname()[1]}", server


@pytest.mark.parametrize(
    ("priority", "code"), [("Emergency", 0), ("Critical", 2), ("Warning", 4), ("Informational", 6), ("Debug", 7)]
)
def test_a_local_daemon_gets_the_priority_of_the_rule(
    local: tuple[str, socket.socket], priority: str, code: int
) -> None:
    address, server = local
    with closing(SyslogSink(address, facility="local3")) as sink:
        sink.send(alert("a", priority=priority))
    message = server.recv(65536).decode()
    head = re.fullmatch(
        r"<(\d+)>[A-Z][a-z]{2} [ 0-9]\d \d\d:\d\d:05 tiercel\[(\d+)\]: \d\d:\d\d:05\.0{9}: \w+ something happened",
        message,
    )
    assert head is not None, message
    assert (int(head[1]), int(head[2])) == (19 * 8 + code, os.getpid())


def test_a_server_gets_the_host_too(udp: tuple[str, socket.socket]) -> None:
    address, server = udp
    with closing(SyslogSink(address)) as sink:
        sink.send(alert("a", hostname="web 1\n<0>"))
    assert re.match(r"<12>\w+ +\d+ [\d:]+ web\?1\?<0> tiercel\[\d+\]: ", server.recv(65536).decode())


def test_rfc_5424_over_tcp_with_lengths(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        sink = SyslogSink(f"tcp://localhost:{server.getsockname()[1]}", protocol="rfc5424", form="json")
        sink.send(alert("a", message="one\n<0>two"))
        sink.send(alert("b"))
        connection, _ = server.accept()
        sink.close()
        with connection:
            messages = frames(everything(connection))
    told = []
    for message in messages:
        head = re.fullmatch(
            "<12>1 2026-01-02T03:04:05\\.000000Z host-1 tiercel \\d+ alert - \ufeff(\\{.*\\})", message.decode()
        )
        assert head is not None, message
        told.append(json.loads(head[1]))
    assert [one["id"] for one in told] == ["a", "b"]
    assert told[0]["output"].endswith("one\n<0>two")


def test_hostile_text_is_one_datagram_of_one_line(local: tuple[str, socket.socket]) -> None:
    address, server = local
    with closing(SyslogSink(address)) as sink:
        sink.send(alert("a", message="x\n<0>Jan  1 00:00:00 kernel: panic\r\x00\x1b[2J\u2028"))
        sink.send(alert("b"))
    message = server.recv(65536).decode()
    assert message.isprintable()
    assert "panic" in message
    assert "something happened" in server.recv(65536).decode()


@pytest.mark.parametrize("form", ["text", "json"])
def test_what_is_too_long_is_cut_and_says_so(local: tuple[str, socket.socket], form: str) -> None:
    address, server = local
    with closing(SyslogSink(address, form=form, max_bytes=2048)) as sink:  # type: ignore[arg-type]
        sink.send(alert("a", message="ä\n" * 500_000, tags=["t" * 10_000]))
    message = server.recv(1 << 20)
    assert 1000 < len(message) <= 2048
    body = message.decode().partition("]: ")[2]
    if form == "json":
        told = json.loads(body)
        assert told["output"].endswith("…[cut]")
        assert told["id"] == "a"
    else:
        assert body.endswith("…[cut]")
    with (
        closing(SyslogSink(address, form="json", max_bytes=512)) as sink,
        pytest.raises(RefusedError, match="too long"),
    ):
        sink.send(alert("a", rule="r" * 1000))


def test_a_datagram_that_the_socket_cannot_take_is_refused(udp: tuple[str, socket.socket]) -> None:
    with closing(SyslogSink(udp[0], max_bytes=70_000)) as sink, pytest.raises(RefusedError, match="too long"):
        sink.send(alert("a", message="x" * 80_000))


def test_a_daemon_that_is_away_is_waited_for(tmp_path: Path) -> None:
    path = str(tmp_path / "log")
    lane = Lane(SyslogSink(path), backoff=(0.02, 0.05))
    lane.offer(alert("a"))
    assert eventually(lambda: lane.tally.retries > 2)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(path)
        assert eventually(lambda: lane.tally.delivered == 1)
    Path(path).unlink()
    lane.offer(alert("b"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(path)
        assert eventually(lambda: lane.tally.delivered == 2)
        server.settimeout(5)
        assert b"something happened" in server.recv(65536)
    lane.close(time.monotonic() + 5)


def test_a_server_that_was_started_anew_gets_the_next_alert(tmp_path: Path) -> None:
    port = free_port()
    lane = Lane(SyslogSink(f"tcp://127.0.0.1:{port}"), backoff=(0.02, 0.05))
    for name in ("first", "second"):
        with socket.create_server(("127.0.0.1", port)) as server:
            server.settimeout(10)
            lane.offer(alert(name, message=name))
            connection, _ = server.accept()
            with connection:
                connection.settimeout(5)
                assert connection.recv(65536).endswith(name.encode())
    lane.close(time.monotonic() + 5)
    assert lane.tally.delivered == 2


def test_a_daemon_that_takes_nothing_holds_up_a_try_for_a_bounded_time(local: tuple[str, socket.socket]) -> None:
    with closing(SyslogSink(local[0], timeout=0.2)) as sink:
        begun = time.monotonic()
        with pytest.raises(AwayError, match="takes nothing"):
            for _ in range(10_000):
                sink.send(alert("a"))
        assert time.monotonic() - begun < 10


def test_doctor_connects(local: tuple[str, socket.socket], udp: tuple[str, socket.socket]) -> None:
    assert "can be reached" in SyslogSink(local[0]).check()
    assert "nothing answers" in SyslogSink(udp[0]).check()
    with pytest.raises(AwayError, match="not reachable"):
        SyslogSink(f"tcp://127.0.0.1:{free_port()}").check()
    with pytest.raises(AwayError, match="not reachable"):
        SyslogSink("/none/log").check()
