"""Docker's API over a real Unix socket, and sockets that are hostile: they cost no more than the metadata."""

import json
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tiercel.collector.containers.docker import DockerRuntime
from tiercel.collector.containers.runtime import RuntimeUnreachableError, image

from . import servers


def test_a_container_with_all_that_is_known(tmp_path: Path) -> None:
    path = tmp_path / "docker.sock"
    with servers.api(path, servers.docker()):
        runtime = DockerRuntime(path)
        assert runtime.ids() == [servers.ID]
        told = runtime.inspect(servers.ID)
        assert runtime.inspect("ff" * 32) is None
    assert told == {
        "id": "27794335214c",
        "full_id": servers.ID,
        "type": 0,
        "name": "web",
        "image": "reg:5000/shop/web:1.2",
        "imageid": "ab" * 32,
        "imagerepo": "reg:5000/shop/web",
        "imagetag": "1.2",
        "imagedigest": "sha256:" + "cd" * 32,
        "User": "www",
        "privileged": True,
        "host_pid": True,
        "host_network": False,
        "host_ipc": False,
        "ip": "172.17.0.2",
        "created_time": 1767323045,
        "labels": {"app": "web"},
        "Mounts": servers.INSPECTION["Mounts"],
        "port_mappings": [{"HostIp": "0.0.0.0", "HostPort": "8080", "ContainerPort": "80"}],
    }
    assert "SECRET" not in json.dumps(told)


@pytest.mark.parametrize(
    ("reference", "parts"),
    [
        ("nginx", ("nginx", "", "")),
        ("reg:5000/a/b", ("reg:5000/a/b", "", "")),
        ("reg:5000/a/b:1@sha256:ff", ("reg:5000/a/b", "1", "sha256:ff")),
    ],
)
def test_names_of_images(reference: str, parts: tuple[str, str, str]) -> None:
    assert image(reference) == parts


def _endless(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        connection.sendall(b" " * 65536)


def _dripping(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    while True:
        connection.sendall(b" ")
        time.sleep(0.02)


def _says(body: bytes) -> Callable[[socket.socket], None]:
    return lambda connection: connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


@pytest.mark.parametrize(
    "speak",
    [
        pytest.param(lambda connection: connection.sendall(b"\0\xff" * 999), id="garbage"),
        pytest.param(lambda _: None, id="nothing"),
        pytest.param(lambda connection: connection.recv(1), id="silence"),
        pytest.param(_endless, id="endless body"),
        pytest.param(_dripping, id="a byte at a time"),
        pytest.param(_says(b"[" * 100_000), id="deep json"),
        pytest.param(_says(b"9" * 10_000), id="a long number"),
        pytest.param(_says(b"\xff\xfe"), id="no text"),
        pytest.param(_says(b'{"Id": 7}'), id="no id"),
        pytest.param(_says(b"[]"), id="a list"),
    ],
)
def test_hostile_sockets_are_one_error_in_time(tmp_path: Path, speak: Callable[[socket.socket], None]) -> None:
    path = tmp_path / "docker.sock"
    with servers.raw(path, speak):
        begun = time.monotonic()
        with pytest.raises(RuntimeUnreachableError) as raised:
            DockerRuntime(path, timeout=0.3, limit=1 << 20).inspect(servers.ID)
        assert time.monotonic() - begun < 2
        assert "\n" not in str(raised.value)


def test_another_container_is_none(tmp_path: Path) -> None:
    path = tmp_path / "docker.sock"
    with servers.raw(path, _says(b'{"Id": "aa"}')):
        assert DockerRuntime(path, timeout=0.3).inspect(servers.ID) is None


@pytest.mark.parametrize("value", [None, 7, "x", [], [7], {}, {"x": 7}, "\ud800", True])
def test_values_of_wrong_types_are_missing(tmp_path: Path, value: Any) -> None:
    path = tmp_path / "docker.sock"
    told = dict.fromkeys(servers.INSPECTION, value) | {"Id": servers.ID}
    deeper = dict.fromkeys(("Image", "User", "Labels", "Privileged", "PidMode", "Networks", "Ports"), value)
    for answer in (told, told | dict.fromkeys(("Config", "HostConfig", "NetworkSettings"), deeper)):
        with servers.api(path, {f"/containers/{servers.ID}/json": answer}):
            found = DockerRuntime(path).inspect(servers.ID)
        assert found is not None
        assert found["id"] == servers.ID[:12]
        json.dumps(found).encode()


def test_a_socket_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RuntimeUnreachableError):
        DockerRuntime(tmp_path / "none.sock").ids()
    assert threading.active_count() < 50
