"""`tiercel doctor` with each thing broken for real: what it finds, that it names the remedy, and that it ends."""

import http.server
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from tiercel import config
from tiercel.joints.registry import Registry
from tiercel.operations.checks import clock, host, patience
from tiercel.operations.checks import kafka as brokers
from tiercel.operations.checks import store as stores
from tiercel.probe import check
from tiercel.probe.check import Finding
from tiercel.schemas import migrations, topics
from tiercel.store import connect
from tiercel.testing.kafka_server import KafkaServer, free_port
from tiercel.testing.registry_server import RegistryServer
from tiercel.testing.services import ClickHouse, eventually


def by_name(found: Iterable[Finding]) -> dict[str, Finding]:
    return {one.name: one for one in found}


def settings(**groups: object) -> config.Settings:
    return config.load(None, **groups)  # type: ignore[arg-type]


@contextmanager
def silent() -> Iterator[int]:
    """A port where somebody takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_a_broker_that_is_not_there_is_one_finding() -> None:
    (found,) = brokers.kafka(config.Kafka(brokers=f"localhost:{free_port()}"))
    assert not found.ok
    assert "kafka.brokers" in found.remedy


def test_a_check_that_hangs_is_given_up() -> None:
    def hang() -> Iterator[Finding]:
        yield Finding("first", True, "fine")
        time.sleep(60)

    since = time.monotonic()
    first, last = patience.within("hanging", hang, 0.5)
    assert time.monotonic() - since < 2
    assert (first.ok, last.ok, last.name) == (True, False, "hanging")
    assert "no answer" in last.text


def test_a_check_that_fails_is_a_finding() -> None:
    (found,) = patience.within("broken", lambda: [Finding("x", 1 // len("") == 1, "")])
    assert not found.ok
    assert "ZeroDivisionError" in found.text


def test_a_store_that_says_nothing_is_given_up() -> None:
    with silent() as port:
        told = settings(store={"dsn": f"clickhouse://default@127.0.0.1:{port}/default"})
        (found,) = patience.within("store", lambda: stores.store(told), 1.0)
    assert not found.ok


def test_a_store_directory_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (found,) = stores.store(settings(store={"dsn": f"chdb://{tmp_path}/file/store"}, api={"socket": tmp_path / "none"}))
    assert not found.ok
    assert "store.dsn" in found.remedy


@pytest.mark.services
def test_a_store_that_is_new_migrated_newer_or_another_ones(clickhouse: ClickHouse, tmp_path: Path) -> None:
    told = settings(store={"dsn": clickhouse.dsn}, api={"socket": tmp_path / "none"})

    def look() -> Finding:
        return by_name(stores.store(told))["migrations"]

    client = connect(clickhouse.dsn)
    assert look().warn
    assert "tables" not in str(client.command("SHOW TABLES")), "looking changes nothing"
    migrations.apply(client)
    assert look() == Finding("migrations", True, f"all {len(migrations.migrations())} are applied")
    client.command("ALTER TABLE migrations DELETE WHERE number = 5 SETTINGS mutations_sync = 1")
    assert look().warn
    client.command("INSERT INTO migrations (number, name, sha256) VALUES (5, 'x', 'y')")
    assert not look().ok
    client.command("INSERT INTO migrations (number, name, sha256) VALUES (9999, '9999_future', 'y')")
    assert "newer" in look().text
    found = by_name(stores.store(told))
    assert found["clock (store)"].ok
    assert any(name.startswith("disk") for name in found)


@pytest.mark.services
def test_topics_that_are_missing_differ_or_are_not_compacted() -> None:
    with KafkaServer() as server:
        told = config.Kafka(brokers=server.brokers)
        admin = AdminClient({"bootstrap.servers": server.brokers})

        def make(name: str, partitions: int, **more: str) -> None:
            [future] = admin.create_topics([NewTopic(name, partitions, 1, config=more)]).values()
            future.result()

        found = by_name(brokers.kafka(told))
        assert found["kafka"].ok
        assert topics.RAW in found["topics"].text
        assert "worker" in found["topics"].remedy
        make(topics.RAW, 2)
        make(topics.EVENTS, 3)
        make(topics.RULES, 1, **{"max.message.bytes": str(4 << 20)})
        topics.create({"bootstrap.servers": server.brokers}, partitions=3)
        # A broker knows what it was told a moment later.
        assert eventually(lambda: by_name(brokers.kafka(told))["topics"].ok)
        found = by_name(brokers.kafka(told))
        assert not found["partitions"].ok
        assert f"{topics.RAW} 2" in found["partitions"].text
        failed = [one for one in brokers.kafka(told) if one.name == "topic settings" and not one.ok]
        assert f"{topics.RULES} cleanup.policy=delete" in failed[0].text
        assert "compact" in failed[0].remedy


@pytest.mark.services
def test_a_broker_as_it_should_be() -> None:
    with KafkaServer() as server:
        topics.create({"bootstrap.servers": server.brokers}, partitions=3)
        assert eventually(lambda: by_name(brokers.kafka(config.Kafka(brokers=server.brokers)))["topics"].ok)
        found = list(brokers.kafka(config.Kafka(brokers=server.brokers)))
    assert [(one.name, one.ok, one.warn) for one in found] == [
        (name, True, False) for name in ("kafka", "topics", "partitions", "topic settings")
    ]


def test_a_registry_that_refuses_says_nothing_or_is_not_asked() -> None:
    class Refusing(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_error(409, "Schema being registered is incompatible")

        def log_message(self, *_: object) -> None: ...

    with http.server.HTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        (found,) = brokers.registry(config.Kafka(schema_registry=f"http://127.0.0.1:{server.server_port}"))
        server.shutdown()
    assert not found.ok
    assert "409" in found.text
    assert list(brokers.registry(config.Kafka())) == []
    with silent() as port:
        told = config.Kafka(schema_registry=f"http://127.0.0.1:{port}")
        (found,) = patience.within("schema registry", lambda: brokers.registry(told), 1.0)
    assert not found.ok


@pytest.mark.services
def test_a_registry_as_it_should_be_and_one_that_takes_anything(registry: RegistryServer) -> None:
    told = config.Kafka(schema_registry=registry.url)
    Registry(registry.url, guard=True)
    (found,) = brokers.registry(told)
    assert (found.ok, found.warn) == (True, False)
    assert "3 schemas" in found.text
    subject = f"{topics.ALERTS}-value"
    lax = Registry(registry.url, ())
    lax._ask(f"/config/{subject}", {"compatibility": "NONE"}, method="PUT")
    (found,) = brokers.registry(told)
    assert (found.ok, found.warn) == (True, True)
    assert f"{subject} NONE" in found.text
    # A worker that starts mends it.
    Registry(registry.url, guard=True)
    assert not next(iter(brokers.registry(told))).warn


@pytest.mark.parametrize(("seconds", "level"), [(0.2, "ok"), (-5.0, "warn"), (5.0, "warn"), (-3600.0, "fail")])
def test_clocks_that_differ(seconds: float, level: str) -> None:
    found = clock.skew("clock", seconds, "ClickHouse")
    assert level == ("fail" if not found.ok else "warn" if found.warn else "ok")
    assert bool(found.remedy) == (level != "ok")


def test_the_kernel_says_whether_its_clock_is_kept_right() -> None:
    (found,) = clock.synchronised()
    assert found.ok


def test_a_kernel_without_type_information(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(check, "BTF", tmp_path / "vmlinux")
    found = by_name(check.findings())["type information"]
    assert not found.ok
    assert "CONFIG_DEBUG_INFO_BTF" in found.remedy


def test_files_that_others_may_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(config, "state_dir", lambda: tmp_path / "state")
    monkeypatch.setattr(config, "config_file", lambda: tmp_path / "tiercel.yaml")
    told = config.Settings(api=config.Api(socket=tmp_path / "none"))
    assert all(one.ok for one in host.files(told))
    (tmp_path / "state").mkdir(mode=0o700)
    named = tmp_path / "tiercel.yaml"
    named.write_text("kafka: {sasl_password: hunter2}\n")
    named.chmod(0o644)
    found = by_name(host.files(told))
    assert found["state directory"].ok
    assert not found["configuration"].ok
    assert f"chmod 600 {named}" in found["configuration"].remedy
    named.write_text("kafka: {brokers: b:1}\n")
    assert by_name(host.files(told))["configuration"].ok
    (tmp_path / "state").chmod(0o777)
    assert not by_name(host.files(told))["state directory"].ok


def test_a_control_group_that_is_too_small(monkeypatch: pytest.MonkeyPatch) -> None:
    def level(limit: int | None) -> tuple[bool, bool]:
        monkeypatch.setattr(host, "_group_limit", lambda: limit)
        found = by_name(host.memory(settings(collector={"ring_bytes": 1 << 20})))["memory"]
        return found.ok, found.warn

    assert level(None) == level(8 << 30) == (True, False)
    assert level(300 << 20) == (True, True)
    assert level(1 << 20) == (False, False)
