"""The HTTP server of a process against clients that mean it no good, and what it tells those that may ask."""

import http.client
import socket
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import ValidationError

from tiercel.config import Operations
from tiercel.errors import TiercelError
from tiercel.operations import server
from tiercel.operations.exposition import Sample
from tiercel.operations.health import Beating, Health
from tiercel.operations.watched import watched
from tiercel.testing.kafka_server import free_port


def samples() -> Iterator[Sample]:
    yield "tiercel_worker_batches_total", (), 7


def stuck() -> Iterator[Sample]:
    time.sleep(60)
    yield "tiercel_worker_batches_total", (), 7


def broken() -> Iterator[Sample]:
    yield "tiercel_worker_events_total", (), 1 // len("")


def well(**more: object) -> Health:
    return Health(time.monotonic, 5.0, lambda: more.get("reason"))  # type: ignore[return-value]


@contextmanager
def serving(*readers: object, health: Health | None = None, **settings: object) -> Iterator[int]:
    port = free_port()
    told = Operations.model_validate({"listen": f"127.0.0.1:{port}", **settings})
    with watched(told, "process", health or well(), readers or [samples]):  # type: ignore[arg-type]
        yield port


def ask(port: int, path: str = "/metrics", method: str = "GET", **headers: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer.status, body


def test_metrics_are_told_with_cpu_and_memory_of_the_process() -> None:
    with serving() as port:
        status, body = ask(port)
    found = {family.name: family for family in text_string_to_metric_families(body)}
    assert status == 200
    assert found["tiercel_worker_batches"].samples[0].value == 7
    assert found["tiercel_process_ready"].samples[0].value == 1
    assert found["tiercel_process_info"].samples[0].labels["stage"] == "process"
    assert found["process_resident_memory_bytes"].samples[0].value > 1 << 20
    assert "process_cpu_seconds" in found


def test_openmetrics_for_those_who_ask_for_it() -> None:
    with serving() as port:
        _, body = ask(port, Accept="application/openmetrics-text; version=1.0.0")
    assert body.endswith("# EOF\n")


def test_a_reader_that_fails_costs_its_own_metrics_alone() -> None:
    with serving(broken, samples) as port:
        _, body = ask(port)
    assert "tiercel_worker_batches_total 7" in body
    assert "tiercel_process_scrape_failures_total 1" in body


def test_health_and_readiness_say_why() -> None:
    stop = Beating()
    reason: list[str | None] = ["the store is away"]
    with serving(health=Health(lambda: stop.turned, 0.5, lambda: reason[0])) as port:
        assert ask(port, "/healthz")[0] == 200
        assert ask(port, "/readyz") == (503, "the store is away\n")
        reason[0] = None
        assert ask(port, "/readyz") == (200, "ready\n")
        time.sleep(0.6)
        for path in ("/healthz", "/readyz"):
            status, text = ask(port, path)
            assert status == 503
            assert "stands still" in text
        assert not stop.is_set()
        assert ask(port, "/healthz")[0] == 200


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("POST", "/metrics", {}, 405),
        ("DELETE", "/healthz", {}, 405),
        ("GET", "/", {}, 404),
        ("GET", "/metrics/../../etc/passwd", {}, 404),
        ("GET", "/metrics", {"Host": "evil.example"}, 421),
        ("GET", "/healthz", {"Host": "evil.example:9561"}, 421),
        ("GET", "/metrics", {"Host": "localhost.evil.example"}, 421),
        ("GET", "/metrics", {"Host": ""}, 421),
        ("GET", "/metrics", {"Host": "LOCALHOST:1"}, 200),
        ("GET", "/metrics", {"Host": "[::1]:9561"}, 200),
        ("GET", "/metrics", {"Host": "worker-1:9561"}, 200),
        ("HEAD", "/metrics", {}, 200),
    ],
)
def test_who_may_ask_for_what(method: str, path: str, headers: dict[str, str], status: int) -> None:
    with serving(hosts=["worker-1"]) as port:
        assert ask(port, path, method, **headers)[0] == status


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 1_000_000 + b"\r\n\r\n",
        b"GET /" + b"a" * 1_000_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
        b"GET /metrics HTTP/1.1\r\nHost: a\r\nHost: localhost\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"\r\n" * 100_000,
    ],
    ids=["huge header", "huge path", "TLS", "two hosts", "negative length", "empty lines"],
)
def test_what_is_no_request_is_refused_and_the_next_one_answered(request_bytes: bytes) -> None:
    with serving() as port:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
            try:
                client.sendall(request_bytes)
                client.shutdown(socket.SHUT_WR)
                answer = client.recv(1 << 16)
            except OSError:
                answer = b""
        assert not answer.startswith(b"HTTP/1.1 200")
        assert ask(port)[0] == 200


def test_slow_clients_are_cut_off_and_others_answered_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "CONNECTION_S", 1.0)
    with serving() as port:
        idle = [socket.create_connection(("127.0.0.1", port), timeout=5) for _ in range(20)]
        for client in idle[:10]:
            client.sendall(b"GET /metrics HTTP/1.1\r\nHost: loc")
        since = time.monotonic()
        assert ask(port)[0] == 200
        assert time.monotonic() - since < 1
        # A byte now and then wins no time.
        while time.monotonic() - since < 2:
            time.sleep(0.2)
            for client in idle[:10]:
                try:
                    client.sendall(b"a")
                except OSError:
                    break
        for client in idle:
            with suppress(ConnectionError):
                assert client.recv(1) == b""
            client.close()


def test_more_connections_than_allowed_are_sent_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "CONNECTION_S", 2.0)
    with serving() as port:
        idle = [socket.create_connection(("127.0.0.1", port), timeout=5) for _ in range(40)]
        time.sleep(0.2)
        assert ask(port)[0] == 503
        time.sleep(2.2)
        assert ask(port)[0] == 200
        for client in idle:
            client.close()


def test_a_stuck_scrape_holds_up_neither_health_nor_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_SCRAPE_S", 1.0)
    answers: list[int] = []
    with serving(stuck) as port:
        scrapes = [threading.Thread(target=lambda: answers.append(ask(port)[0])) for _ in range(3)]
        for scrape in scrapes:
            scrape.start()
        time.sleep(0.2)
        since = time.monotonic()
        assert ask(port, "/healthz")[0] == 200
        assert time.monotonic() - since < 0.5
        for scrape in scrapes:
            scrape.join()
        assert answers == [503] * 3
        since = time.monotonic()
    assert time.monotonic() - since < 2
    assert sum(thread.name == "scrape" for thread in threading.enumerate()) == 1


def test_a_token_guards_the_metrics_and_not_the_health() -> None:
    with serving(token="secret") as port:
        assert ask(port)[0] == 401
        assert ask(port, Authorization="Bearer wrong")[0] == 401
        assert ask(port, Authorization="Basic secret")[0] == 401
        assert ask(port, Authorization="Bearer secret")[0] == 200
        assert ask(port, "/healthz")[0] == 200


def test_a_unix_socket_is_its_owners_and_goes_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "run" / "worker.sock"
    with watched(Operations(listen=str(path)), "process", well(), [samples]):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            client.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
            answer = b"".join(iter(lambda: client.recv(1 << 16), b""))
        assert b"tiercel_worker_batches_total 7" in answer
        with (
            pytest.raises(TiercelError, match="another tiercel"),
            watched(Operations(listen=str(path)), "process", well(), []),
        ):
            pass
    assert not path.exists()


def test_off_means_off() -> None:
    before = set(Path("/proc/self/fd").iterdir())
    with watched(Operations(listen="off"), "process", well(), []):
        assert set(Path("/proc/self/fd").iterdir()) == before


def test_a_port_that_was_chosen_and_is_taken_is_an_error_and_the_default_one_a_warning(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving() as port:
        with (
            pytest.raises(TiercelError, match="Address already in use"),
            watched(Operations(listen=f"127.0.0.1:{port}"), "process", well(), []),
        ):
            pass
        monkeypatch.setitem(__import__("tiercel.operations.watched").operations.watched.PORTS, "sink", port)
        with watched(Operations(), "sink", well(), []):
            assert "no metrics" in caplog.text


@pytest.mark.parametrize("listen", ["0.0.0.0:1", "host", "localhost:99999", "[::]:1", "http://a:1"])
def test_addresses_that_are_refused(listen: str) -> None:
    with pytest.raises(ValidationError, match=r"operations\.token|is no host:port"):
        Operations(listen=listen)
