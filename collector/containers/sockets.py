"""Which runtimes this host has: the sockets of the configuration, or those that are usual.

A runtime can say anything of any container. That of a user, who would say that another's container is a trusted one, is
asked only where the configuration names its socket.
"""

import logging
from collections.abc import Collection, Sequence
from pathlib import Path

from tiercel.collector.containers.docker import DOCKER, PODMAN, DockerRuntime
from tiercel.collector.containers.runtime import Runtime

log = logging.getLogger(__name__)

USUAL = (
    "docker:/run/docker.sock",
    "podman:/run/podman/podman.sock",
    "cri:/run/containerd/containerd.sock",
    "cri:/run/k3s/containerd/containerd.sock",
    "cri:/run/crio/crio.sock",
)


def found(configured: Sequence[str], known: Collection[str] = ()) -> list[Runtime]:
    """A runtime for each `kind:path` that is not known by this name; of the usual ones those whose socket is there."""
    return [
        runtime
        for kind, _, pattern in (entry.partition(":") for entry in configured or USUAL)
        for path in _paths(pattern, always=bool(configured))
        if f"{kind}:{path}" not in known and (runtime := _runtime(kind, path)) is not None
    ]


def _paths(pattern: str, *, always: bool) -> list[Path]:
    if "*" in pattern:
        return sorted(path for path in Path("/").glob(pattern.lstrip("/")) if _is_socket(path))
    path = Path(pattern)
    return [path] if always or _is_socket(path) else []


def _is_socket(path: Path) -> bool:
    try:
        return path.is_socket()
    except OSError:  # its folder is not ours to look into
        return False


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
