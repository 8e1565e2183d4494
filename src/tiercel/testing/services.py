"""pytest fixtures of real services: from containers where a Docker engine can have them, else from Maven and chDB.

A conftest takes them with `from tiercel.testing.services import *`; tests that use them carry the marker `services`.
"""

import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest

from tiercel.errors import KafkaError
from tiercel.schemas import topics
from tiercel.testing.chdb_http import ChdbServer
from tiercel.testing.kafka_server import KafkaServer
from tiercel.testing.registry_server import RegistryServer

__all__ = ["clickhouse", "kafka", "registry", "topics_ready"]

_T = TypeVar("_T")

_KAFKA_IMAGE = "confluentinc/cp-kafka:7.9.0"
_CLICKHOUSE_IMAGE = "clickhouse/clickhouse-server:25.8"


@dataclass(frozen=True)
class Kafka:
    """A broker that answers; `client` are settings of librdkafka."""

    brokers: str
    server: KafkaServer | None = None

    @property
    def client(self) -> dict[str, Any]:
        return {"bootstrap.servers": self.brokers}


@dataclass(frozen=True)
class ClickHouse:
    """A store that answers; what kind of engine is behind it no test may ask."""

    dsn: str


def docker_has(image: str) -> bool:
    """Whether a Docker engine answers and has the image or gets it within a minute."""
    if shutil.which("docker") is None:
        return False
    try:
        for command in (["docker", "version"], ["docker", "pull", "-q", image]):
            if subprocess.run(command, capture_output=True, timeout=60, check=False).returncode:
                return False
    except subprocess.TimeoutExpired:
        return False
    return True


@pytest.fixture(scope="session")
def kafka() -> Iterator[Kafka]:
    """A broker for the whole run; make topics with names or groups of your own."""
    with ExitStack() as stack:
        if docker_has(_KAFKA_IMAGE):
            from testcontainers.kafka import KafkaContainer  # noqa: PLC0415 - only with a Docker engine

            container = stack.enter_context(KafkaContainer(_KAFKA_IMAGE).with_kraft())
            yield Kafka(container.get_bootstrap_server())
            return
        try:
            server = stack.enter_context(KafkaServer())
        except KafkaError as error:
            pytest.skip(str(error))
        yield Kafka(server.brokers, server)


@pytest.fixture(scope="session")
def topics_ready(kafka: Kafka) -> Kafka:
    """The broker with Tiercel's topics (three partitions) and the schemas on theirs."""
    topics.create(kafka.client, partitions=3)
    topics.publish_schemas(kafka.client)
    return kafka


@pytest.fixture(scope="session")
def registry() -> Iterator[RegistryServer]:
    """A schema registry for the whole run, with whatever subjects tests gave it; leave it running."""
    with ExitStack() as stack:
        try:
            server = stack.enter_context(RegistryServer())
        except KafkaError as error:
            pytest.skip(str(error))
        yield server


@pytest.fixture
def clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouse]:
    """An empty store that several processes can use."""
    with ExitStack() as stack:
        if docker_has(_CLICKHOUSE_IMAGE):
            from testcontainers.clickhouse import ClickHouseContainer  # noqa: PLC0415

            container = stack.enter_context(ClickHouseContainer(_CLICKHOUSE_IMAGE, port=8123))
            address = f"{container.get_container_host_ip()}:{container.get_exposed_port(8123)}"
            yield ClickHouse(f"clickhouse://{container.username}:{container.password}@{address}/{container.dbname}")
            return
        pytest.importorskip("chdb")
        yield ClickHouse(stack.enter_context(ChdbServer(tmp_path_factory.mktemp("store"))).dsn)


def port_open(port: int) -> bool:
    """Whether something on loopback takes connections there."""
    with socket.socket() as attempt:
        return attempt.connect_ex(("127.0.0.1", port)) == 0


def eventually(check: Callable[[], _T], timeout: float = 20.0) -> _T:
    """Call until it gives something true, and return that; the last result when time is up."""
    deadline = time.monotonic() + timeout
    while not (result := check()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return result
