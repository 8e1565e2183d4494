"""Alerts by HTTP against a real server in a process of its own: TLS, certificates of clients, failures, tries again."""

import json
import re
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
import trustme

from tiercel.errors import ConfigError
from tiercel.sinks.alerts.base import Alert, AwayError, DeliveryError, FailedError, RefusedError
from tiercel.sinks.alerts.lane import Lane
from tiercel.sinks.alerts.webhook import WebhookSink, _seconds
from tiercel.testing import builders
from tiercel.testing.alert_server import AlertServer
from tiercel.testing.kafka_server import free_port
from tiercel.testing.services import eventually


def alert(name: str, **fields: object) -> Alert:
    return Alert.of(builders.alert(name, **fields))


class Files:
    """Certificates of an authority that nobody else knows."""

    def __init__(self, folder: Path) -> None:
        self._authority, self._folder = trustme.CA(), folder
        self.authority = str(folder / "ca.pem")
        self._authority.cert_pem.write_to_path(self.authority)
        self.server = self._issue("localhost")
        self.client = self._issue("sensor.example.org")

    def _issue(self, name: str) -> str:
        path = str(self._folder / f"{name}.pem")
        self._authority.issue_cert(name).private_key_and_cert_chain_pem.write_to_path(path)
        return path


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[AlertServer]:
    with AlertServer(tmp_path / "taken") as running:
        yield running


def failing(tmp_path: Path, *script: str, **rest: Any) -> AlertServer:
    return AlertServer(tmp_path / "taken", list(script), **rest)


def tried(sink: WebhookSink) -> None:
    """A single try."""
    with closing(sink):
        sink.send(alert("tried"))


def sent(sink: WebhookSink, *names: str, seconds: float = 20.0, **limits: Any) -> Lane:
    lane = Lane(sink, backoff=(0.02, 0.1), **limits)
    for name in names:
        lane.offer(alert(name))
    eventually(lambda: lane.tally.delivered + lane.tally.dropped.total() + lane.tally.refused.total() >= len(names))
    lane.close(time.monotonic() + seconds)
    return lane


def test_the_body_is_what_falcosidekick_reads(server: AlertServer) -> None:
    sink = WebhookSink(server.url, headers={"Authorization": "Bearer x"}, user_agent="falco-like/1")
    sent(sink, "id-1", "id-2")
    first, second = server.requests()
    assert first["path"] == "/alerts"
    assert first["headers"]["Content-Type"] == "application/json"
    assert first["headers"]["Authorization"] == "Bearer x"
    assert first["headers"]["User-Agent"] == "falco-like/1"
    assert first["connection"] == second["connection"]  # kept
    body = json.loads(first["body"])
    # The types of its payload: texts, a time of RFC 3339, a map and a list; the output may not be empty.
    for key in ("output", "priority", "rule", "source", "hostname"):
        assert isinstance(body[key], str) and body[key], key
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", body["time"])
    assert isinstance(body["output_fields"], dict)
    assert body["tags"] == ["t"]
    assert body["priority"] == "Warning"
    assert (body["id"], body["host"], body["event"]) == ("id-1", "host-1", "host-1/boot-1/1000")


def test_tls_with_an_authority_of_ones_own(files: Files, tmp_path: Path) -> None:
    with failing(tmp_path, certificate=files.server) as server:
        assert server.url.startswith("https://")
        assert sent(WebhookSink(server.url, ca_file=files.authority), "a").tally.delivered == 1
        with pytest.raises(AwayError, match="certificate verify failed"):
            tried(WebhookSink(server.url))
        wrong_name = server.url.replace("localhost", "127.0.0.1")
        with pytest.raises(AwayError, match="certificate"):
            tried(WebhookSink(wrong_name, ca_file=files.authority))
        assert sent(WebhookSink(server.url, insecure=True), "c").tally.delivered == 1
        assert [told["id"] for told in server.alerts()] == ["a", "c"]


def test_a_server_that_wants_a_certificate_gets_it(files: Files, tmp_path: Path) -> None:
    with failing(tmp_path, certificate=files.server, client_authority=files.authority) as server:
        with pytest.raises(AwayError):
            tried(WebhookSink(server.url, ca_file=files.authority))
        sink = WebhookSink(server.url, ca_file=files.authority, certificate_file=files.client)
        assert sent(sink, "b").tally.delivered == 1
        assert [told["id"] for told in server.alerts()] == ["b"]


def test_one_that_fails_a_few_times_gets_it_in_the_end_and_in_order(tmp_path: Path) -> None:
    with failing(tmp_path, "500", "503", "429", "drop", "garbage") as server:
        lane = sent(WebhookSink(server.url), "a", "b", "c")
        assert [told["id"] for told in server.alerts()] == ["a", "b", "c"]
        assert (lane.tally.delivered, lane.tally.retries, lane.tally.dropped.total()) == (3, 5, 0)
        assert {json.loads(request["body"])["id"] for request in server.requests()[:6]} == {"a"}


def test_one_that_always_fails_does_not_hold_up_the_next(tmp_path: Path) -> None:
    with failing(tmp_path, *["500"] * 3) as server:
        lane = sent(WebhookSink(server.url), "a", "b", attempts=3)
        told = server.alerts()
    assert lane.tally.dropped == {"status 500": 1}
    assert [alert["id"] for alert in told if alert["source"] != "internal"] == ["b"]
    assert told[0]["output_fields"]["lost"] == 1


@pytest.mark.parametrize("status", ["400", "401", "404", "413", "302", "307"])
def test_what_the_server_refuses_is_counted_and_not_tried_again(tmp_path: Path, status: str) -> None:
    with failing(tmp_path, status, headers={"Location": "http://localhost:1/"}) as server:
        lane = sent(WebhookSink(server.url), "a", "b")
        assert lane.tally.refused == {f"status {status}": 1}
        assert server.requests()[0]["status"] == int(status)
        assert lane.tally.retries == 0
        assert "b" in [told["id"] for told in server.alerts()]


def test_one_that_hangs_and_one_that_drips_cost_a_bounded_time(tmp_path: Path) -> None:
    with failing(tmp_path, "hang", "drip") as server:
        sink = WebhookSink(server.url, timeout=0.4)
        for _ in range(2):
            begun = time.monotonic()
            with pytest.raises(FailedError, match="no answer: http://localhost"):
                sink.send(alert("a"))
            assert 0.3 < time.monotonic() - begun < 3
        sink.send(alert("a"))
        sink.close()
        assert len(server.alerts()) == 1


def test_a_server_that_never_takes_the_connection_is_away() -> None:
    with closing(socket.create_server(("127.0.0.1", 0), backlog=0)) as listening, ExitStack() as stack:
        for _ in range(4):
            # Once its queue is full, the kernel answers no more: as a machine that is off.
            filling = stack.enter_context(closing(socket.socket()))
            filling.setblocking(False)
            filling.connect_ex(listening.getsockname())
        sink = stack.enter_context(closing(WebhookSink(f"http://127.0.0.1:{listening.getsockname()[1]}/", timeout=0.3)))
        with pytest.raises(AwayError, match="not reachable: http://127"):
            sink.send(alert("a"))


def test_an_answer_without_end_is_not_read(tmp_path: Path) -> None:
    with failing(tmp_path, "huge") as server:
        lane = sent(WebhookSink(server.url), "a", "b")
        assert lane.tally.delivered == 2
        assert [told["id"] for told in server.alerts()] == ["a", "b"]


def test_one_that_is_down_and_comes_back_misses_nothing(tmp_path: Path) -> None:
    server = failing(tmp_path)
    lane = Lane(WebhookSink(server.url), backoff=(0.02, 0.1), attempts=2)
    try:
        for number in range(20):
            lane.offer(alert(f"{number}"))
        assert eventually(lambda: lane.tally.retries > 5)
        server.start()
        assert eventually(lambda: len(server.alerts()) == 20)
        server.stop()
        lane.offer(alert("20"))
        time.sleep(0.3)
        server.start()
        assert eventually(lambda: len(server.alerts()) == 21)
        lane.close(time.monotonic() + 5)
        assert [told["id"] for told in server.alerts()] == [f"{number}" for number in range(21)]
        assert lane.tally.delivered == 21
    finally:
        server.stop()


def test_how_long_a_server_wishes_is_honoured_within_bounds(tmp_path: Path) -> None:
    with failing(tmp_path, "429", headers={"Retry-After": "1"}) as server:
        begun = time.monotonic()
        assert sent(WebhookSink(server.url), "a").tally.delivered == 1
        assert time.monotonic() - begun >= 1
    assert _seconds("86400") == 300
    assert _seconds("9" * 400) == 300
    assert _seconds("-5") is None
    assert _seconds("soon") is None
    assert _seconds("") is None
    assert 20 < (_seconds(format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)) or 0) <= 30
    assert _seconds("Wed, 21 Oct 2015 07:28:00 GMT") == 0


def test_nothing_of_the_url_but_the_server_is_ever_told(tmp_path: Path) -> None:
    port = free_port()
    sink = WebhookSink(f"http://me:hunter2@localhost:{port}/hooks/hunter2?token=hunter2")
    with pytest.raises(DeliveryError) as raised:
        tried(sink)
    assert f"http://localhost:{port}" in str(raised.value)
    assert "hunter2" not in str(raised.value)
    with failing(tmp_path, "400", port=port) as server, pytest.raises(RefusedError) as refused:
        tried(sink)
    assert "hunter2" not in str(refused.value)
    assert server.requests()[0]["headers"]["Authorization"].startswith("Basic ")


def test_wrong_files_and_urls_are_one_sentence(files: Files, tmp_path: Path) -> None:
    (tmp_path / "not.pem").write_text("nothing\n")
    for given in ({"ca_file": "/none"}, {"ca_file": str(tmp_path / "not.pem")}, {"certificate_file": files.authority}):
        with pytest.raises(ConfigError, match=r"^webhook"):
            WebhookSink("https://localhost/", **given)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"^webhook\.url: "):
        WebhookSink("http://local host:port/")


def test_doctor_connects_and_posts_nothing(files: Files, tmp_path: Path) -> None:
    with failing(tmp_path, certificate=files.server) as server:
        assert (
            WebhookSink(server.url, ca_file=files.authority).check()
            == f"https://localhost:{server.port} can be reached"
        )
        with pytest.raises(AwayError, match="certificate"):
            WebhookSink(server.url).check()
        assert server.requests() == []
    with pytest.raises(AwayError, match="not reachable"):
        WebhookSink(server.url).check()
