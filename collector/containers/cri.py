"""Containers and pods as Kubernetes' CRI v1 tells them: containerd and CRI-O, by gRPC over a Unix socket."""

import json
import time
from pathlib import Path
from typing import Any, Protocol, TypeVar

import grpc
from google.protobuf.message import Message

from tiercel.collector.containers import cri_pb2 as cri
from tiercel.collector.containers.runtime import (
    MOST_ITEMS,
    BadAnswerError,
    Container,
    RuntimeUnreachableError,
    image,
    labels,
    table,
    text,
)

# Numbers of the engines in captures, by the name that the runtime gives itself.
_ENGINES, _CRI = {"containerd": 7, "cri-o": 8}, 6
_RUNNING, _READY, _HOST = 1, 0, 2
_PROPAGATION = {0: "private", 1: "rslave", 2: "rshared"}
_MOST_CNI = 16 * 1024

Answer = TypeVar("Answer", bound=Message)


class _Info(Protocol):
    """An answer with what the runtime says in its own words."""

    @property
    def info(self) -> Any: ...


class CriRuntime:
    """The runtime service on a Unix socket."""

    def __init__(self, path: Path, *, timeout: float = 2.0, limit: int = 4 << 20) -> None:
        self._path, self._timeout = path, timeout
        options = [("grpc.max_receive_message_length", limit), ("grpc.enable_http_proxy", 0)]
        options += [("grpc.max_reconnect_backoff_ms", 2000), ("grpc.use_local_subchannel_pool", 1)]
        self._channel = grpc.insecure_channel(f"unix:{path}", options=options)
        self._number: int | None = None

    @property
    def name(self) -> str:
        return f"cri:{self._path}"

    def ids(self) -> list[str]:
        until = time.monotonic() + self._timeout
        running = cri.ListContainersRequest(filter=cri.ContainerFilter(state=cri.ContainerState(state=_RUNNING)))
        ready = cri.ListPodSandboxRequest(filter=cri.PodSandboxFilter(state=cri.PodSandboxState(state=_READY)))
        containers = self._call("ListContainers", running, cri.ListContainersResponse, until)
        pods = self._call("ListPodSandbox", ready, cri.ListPodSandboxResponse, until)
        # Pods first: what a container says of its pod stands there.
        return [pod.id for pod in (pods.items if pods else ())] + [
            container.id for container in (containers.containers if containers else ())
        ]

    def inspect(self, container: str) -> Container | None:
        until = time.monotonic() + self._timeout
        number = self._engine(until)
        request = cri.ContainerStatusRequest(container_id=container, verbose=True)
        answer = self._call("ContainerStatus", request, cri.ContainerStatusResponse, until)
        if answer is None:
            sandbox = self._sandbox(container, until)
            return None if sandbox is None else _of_sandbox(sandbox, number)
        if not answer.status.id:
            raise BadAnswerError("answers with a container that has no id")
        if not answer.status.id.startswith(container):
            return None  # not the one that was asked for
        asked = cri.ListContainersRequest(filter=cri.ContainerFilter(id=answer.status.id))
        listed = self._call("ListContainers", asked, cri.ListContainersResponse, until)
        pod = next((item.pod_sandbox_id for item in (listed.containers if listed else ())), "")
        return _of_container(answer, number, pod, self._sandbox(pod, until) if pod else None)

    def close(self) -> None:
        self._channel.close()

    def _engine(self, until: float) -> int:
        if self._number is None:
            version = self._call("Version", cri.VersionRequest(), cri.VersionResponse, until)
            self._number = _ENGINES.get(version.runtime_name if version else "", _CRI)
        return self._number

    def _sandbox(self, pod: str, until: float) -> cri.PodSandboxStatusResponse | None:
        request = cri.PodSandboxStatusRequest(pod_sandbox_id=pod, verbose=True)
        answer = self._call("PodSandboxStatus", request, cri.PodSandboxStatusResponse, until)
        same = answer is not None and answer.status.id and answer.status.id.startswith(pod)
        return answer if same else None

    def _call(self, method: str, request: Message, answer: type[Answer], until: float) -> Answer | None:
        """The answer, None where there is no such object."""
        call = self._channel.unary_unary(
            f"/runtime.v1.RuntimeService/{method}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=answer.FromString,
        )
        try:
            found: Answer = call(request, timeout=max(0.01, until - time.monotonic()))
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.NOT_FOUND:
                return None
            away = error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
            kind = RuntimeUnreachableError if away else BadAnswerError
            raise kind(f"{method}: {' '.join(str(error.details()).split())[:200]}") from None
        return found


def _own(answer: _Info) -> dict[str, Any]:
    """What the runtime says in its own words; empty where that is not JSON."""
    try:
        return table(json.loads(answer.info.get("info", "")))
    except (ValueError, RecursionError):
        return {}


def _of_container(
    answer: cri.ContainerStatusResponse, number: int, pod: str, sandbox: cri.PodSandboxStatusResponse | None
) -> Container:
    status, own = answer.status, _own(answer)
    name = text(status.image.user_specified_image) or text(status.image.image)
    repository, tag, digest = image(name)
    of_ref = image(text(status.image_ref))[2] if "@" in status.image_ref else ""
    config = table(own.get("config"))
    security = table(table(config.get("linux")).get("security_context"))
    found = labels(dict(status.labels))
    told = {
        **_named(status.id, number, status.created_at),
        "name": text(status.metadata.name),
        "image": name,
        "imageid": text(status.image_id or status.image_ref).rpartition("sha256:")[2],
        "imagerepo": repository,
        "imagetag": tag,
        "imagedigest": digest or of_ref,
        "privileged": own.get("privileged") is True or security.get("privileged") is True,
        "User": _user(own, security),
        "labels": found,
        "pod_sandbox_id": text(pod),
        "Mounts": [
            {
                "Source": text(mount.host_path),
                "Destination": text(mount.container_path),
                "Mode": "",
                "RW": not mount.readonly,
                "Propagation": _PROPAGATION.get(mount.propagation, ""),
            }
            for mount in status.mounts[:MOST_ITEMS]
        ],
    }
    return told | (_shared(sandbox) if sandbox is not None else {})


def _of_sandbox(answer: cri.PodSandboxStatusResponse, number: int) -> Container:
    status = answer.status
    identity = {"name": status.metadata.name, "namespace": status.metadata.namespace, "uid": status.metadata.uid}
    given = {f"io.kubernetes.pod.{key}": text(value) for key, value in identity.items() if value}
    return {
        **_named(status.id, number, status.created_at),
        "name": text(status.metadata.name),
        "is_pod_sandbox": True,
        "pod_sandbox_id": status.id,
        "labels": given | labels(dict(status.labels)),
        **_shared(answer),
    }


def _named(full: str, number: int, created: int) -> Container:
    return {"id": full[:12], "full_id": full, "type": number, "created_time": created // 1_000_000_000}


def _shared(answer: cri.PodSandboxStatusResponse) -> Container:
    """What a container has of its pod."""
    status, options = answer.status, answer.status.linux.namespaces.options
    # Longer than the limit, it would be no JSON any more.
    cni = json.dumps(_own(answer).get("cniResult") or {}, sort_keys=True)
    return {
        "ip": text(status.network.ip),
        "cni_json": cni if 2 < len(cni) <= _MOST_CNI else "",
        "pod_sandbox_labels": labels(dict(status.labels)),
        "host_network": options.network == _HOST,
        "host_pid": options.pid == _HOST,
        "host_ipc": options.ipc == _HOST,
    }


def _user(own: dict[str, Any], security: dict[str, Any]) -> str:
    user = table(table(table(own.get("runtimeSpec")).get("process")).get("user")).get("uid")
    asked = text(security.get("run_as_username"))
    return asked or (str(user) if isinstance(user, int) else "")
