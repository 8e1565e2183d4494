"""Containers as Docker's API tells them, which Podman serves, too."""

import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tiercel.collector.containers import http
from tiercel.collector.containers.runtime import (
    BadAnswerError,
    Container,
    RuntimeUnreachableError,
    image,
    items,
    labels,
    table,
    text,
)

# Numbers of the engines in captures.
DOCKER, PODMAN = 0, 11


class DockerRuntime:
    """The API on a Unix socket; `number` is what the engine is called in captures."""

    def __init__(self, path: Path, number: int = DOCKER, *, timeout: float = 2.0, limit: int = 4 << 20) -> None:
        self._path, self._number, self._timeout, self._limit = path, number, timeout, limit

    @property
    def name(self) -> str:
        return f"{'podman' if self._number == PODMAN else 'docker'}:{self._path}"

    def ids(self) -> list[str]:
        return [text(item.get("Id")) for item in items(self._get("/containers/json"))]

    def inspect(self, container: str) -> Container | None:
        told = self._get(f"/containers/{quote(container, safe='')}/json")
        if told is None:
            return None
        found = table(told)
        full = text(found.get("Id"))
        if not full:
            raise BadAnswerError("answers with a container that has no id")
        if not full.startswith(container):
            return None  # one that is called so, not the one that was asked for
        return container_of(found, self._number, self._image(text(found.get("Image"))))

    def close(self) -> None:
        """Each request has a connection of its own."""

    def _image(self, image_id: str) -> dict[str, Any]:
        try:
            return table(self._get(f"/images/{quote(image_id, safe=':')}/json")) if image_id else {}
        except RuntimeUnreachableError:
            return {}

    def _get(self, target: str) -> Any:
        return http.get(self._path, target, timeout=self._timeout, limit=self._limit)


def container_of(told: dict[str, Any], number: int, of_image: dict[str, Any]) -> Container:
    """The container of an inspection, and the image of another, with the keys that captures have."""
    config, host, network = table(told.get("Config")), table(told.get("HostConfig")), table(told.get("NetworkSettings"))
    full = text(told.get("Id"))
    name = text(config.get("Image")) or text(told.get("ImageName"))
    image_id = text(told.get("Image")).removeprefix("sha256:")
    tags, digests = of_image.get("RepoTags"), of_image.get("RepoDigests")
    first = next((text(tag) for tag in tags if text(tag)), "") if isinstance(tags, list) else ""
    # A container that was started by the id of its image, or a part of it, still has the image's name.
    named = first if first and image_id.startswith(name.removeprefix("sha256:")) else name
    repository, tag, digest = image(named)
    known = [image(text(item)) for item in digests] if isinstance(digests, list) else []
    digest = digest or next((of for repo, _, of in known if repo == repository), known[0][2] if known else "")
    mode = text(host.get("NetworkMode"))
    return {
        "id": full[:12],
        "full_id": full,
        "type": number,
        "name": text(told.get("Name")).removeprefix("/"),
        "image": name,
        "imageid": image_id,
        "imagerepo": repository,
        "imagetag": tag or ("" if digest and "@" in named else "latest"),
        "imagedigest": digest,
        "User": text(config.get("User")),
        "privileged": host.get("Privileged") is True,
        "host_pid": text(host.get("PidMode")) == "host",
        "host_network": mode == "host",
        "host_ipc": text(host.get("IpcMode")) == "host",
        "ip": _address(network),
        "created_time": _seconds(text(told.get("Created"))),
        "labels": labels(config.get("Labels")),
        "Mounts": [
            {
                **{key: text(mount.get(key)) for key in ("Source", "Destination", "Mode", "Propagation")},
                "RW": mount.get("RW") is True,
            }
            for mount in items(told.get("Mounts"))
        ],
        "port_mappings": _ports(table(network.get("Ports"))),
    }


def _address(network: dict[str, Any]) -> str:
    own = text(network.get("IPAddress"))
    others = (text(table(of).get("IPAddress")) for of in table(network.get("Networks")).values())
    return own or next((address for address in others if address), "")


def _ports(ports: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"HostIp": text(host.get("HostIp")), "HostPort": text(host.get("HostPort")), "ContainerPort": port}
        for key, hosts in ports.items()
        for host in items(hosts)
        if (port := key.partition("/")[0]).isdecimal()
    ]


def _seconds(when: str) -> int:
    # Nanoseconds are more digits than the standard library's parser may take.
    try:
        return int(datetime.datetime.fromisoformat(f"{when[:19]}+00:00").timestamp())
    except ValueError:
        return 0
