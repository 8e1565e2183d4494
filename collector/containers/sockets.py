"""Which runtimes this host has: the sockets of the configuration, or those that are usual."""

import logging
from collections.abc import Sequence
from pathlib import Path

from tiercel.collector.containers.docker import DOCKER, PODMAN, DockerRuntime
from tiercel.collector.containers.runtime import Runtime

log = logging.getLogger(__name__)

USUAL = (
    "docker:/run/docker.sock",
    "podman:/run/podman/podman.sock",
    "podman:/run/user/*/podman/podman.sock",
    "cri:/run/containerd/containerd.sock",
    "cri:/run/k3s/containerd/containerd.sock",
    "cri:/run/crio/crio.sock",
)


def found(configured: Sequence[str]) -> list[Runtime]:
    """A runtime for each `kind:path`; of the usual ones, where none is configured, those whose socket is there."""
    return [
        runtime
        for entry in configured or USUAL
        for path in _paths(entry.partition(":")[2], always=bool(configured))
        if (runtime := _runtime(entry.partition(":")[0], path)) is not None
    ]


def _paths(pattern: str, *, always: bool) -> list[Path]:
    if "*" in pattern:
        return sorted(path for path in Path("/").glob(pattern.lstrip("/")) if path.is_socket())
    path = Path(pattern)
    return [path] if always or path.is_socket() else []


def _runtime(kind: str, path: Path) -> Runtime | None:
    if kind == "docker":
        return DockerRuntime(path, DOCKER)
    if kind == "podman":
        return DockerRuntime(path, PODMAN)
    return _cri(path)


def _cri(path: Path) -> Runtime | None:
    try:
        from tiercel.collector.containers.cri import CriRuntime  # noqa: PLC0415 -- gRPC is large, and an extra
    except ImportError:
        log.warning("containers of this runtime stay without name: pip install 'tiercel[containers]' socket=%s", path)
        return None
    return CriRuntime(path)
