"""CRI v1 over a real gRPC server on a Unix socket: containers, pods, and servers that are hostile."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import descriptor_pb2

from tiercel._engine import Batch, Host
from tiercel.collector.containers import cri_pb2 as cri
from tiercel.collector.containers.cri import CriRuntime
from tiercel.collector.containers.runtime import RuntimeUnreachableError
from tiercel.collector.containers.watch import encoded
from tiercel.testing import containers

from . import servers

POD = "5a" * 32
FIELDS = [
    *("container.name", "container.type", "container.image.repository", "container.image.digest"),
    *("container.privileged", "container.mount.dest[0]", "k8s.pod.name", "k8s.ns.name", "k8s.pod.uid"),
    *("k8s.pod.label[app]", "k8s.pod.ip", "k8s.pod.cni.json", "k8s.pod.sandbox_id", "container.host_network"),
]
Method = Callable[[Any, Any], Any]


def _missing(_: Any, context: Any) -> None:
    context.abort(grpc.StatusCode.NOT_FOUND, "no such thing")


def _container(request: Any, context: Any) -> Any:
    if not servers.ID.startswith(request.container_id):
        _missing(request, context)
    kube = {"io.kubernetes.pod.name": "web-0", "io.kubernetes.pod.namespace": "shop", "io.kubernetes.pod.uid": "u-1"}
    status = cri.ContainerStatus(
        id=servers.ID,
        metadata=cri.ContainerMetadata(name="web"),
        created_at=1_767_323_045_000_000_000,
        image=cri.ImageSpec(image="sha256:ab", user_specified_image="reg/web:1"),
        image_ref="reg/web@sha256:cd",
        image_id="sha256:ab",
        labels=kube,
        mounts=[cri.Mount(host_path="/etc", container_path="/mnt", readonly=True)],
    )
    info = {"config": {"linux": {"security_context": {"privileged": True}}}}
    return cri.ContainerStatusResponse(status=status, info={"info": json.dumps(info)})


def _pod(request: Any, context: Any) -> Any:
    if not POD.startswith(request.pod_sandbox_id):
        _missing(request, context)
    namespaces = cri.Namespace(options=cri.NamespaceOption(network=2))
    status = cri.PodSandboxStatus(
        id=POD,
        metadata=cri.PodSandboxMetadata(name="web-0", uid="u-1", namespace="shop"),
        network=cri.PodSandboxNetworkStatus(ip="10.0.0.9"),
        linux=cri.LinuxPodSandboxStatus(namespaces=namespaces),
        labels={"app": "web"},
    )
    return cri.PodSandboxStatusResponse(status=status, info={"info": '{"cniResult": {"a": 1}}'})


def methods(**others: Method) -> dict[str, Method]:
    listed = cri.ListContainersResponse(containers=[cri.Container(id=servers.ID, pod_sandbox_id=POD)])
    return {
        "Version": lambda *_: cri.VersionResponse(runtime_name="containerd"),
        "ListContainers": lambda *_: listed,
        "ListPodSandbox": lambda *_: cri.ListPodSandboxResponse(items=[cri.PodSandbox(id=POD)]),
        "ContainerStatus": _container,
        "PodSandboxStatus": _pod,
        **others,
    }


@contextmanager
def serving(path: Path, given: dict[str, Method]) -> Iterator[None]:
    """A server; what a method gives is a message, or bytes as they are."""
    server = grpc.server(futures.ThreadPoolExecutor(4))

    def handler(name: str, method: Method) -> grpc.RpcMethodHandler:
        kind = getattr(cri, f"{name}Request")
        return grpc.unary_unary_rpc_method_handler(
            method, kind.FromString, lambda m: m if isinstance(m, bytes) else m.SerializeToString()
        )

    handlers = {name: handler(name, method) for name, method in given.items()}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("runtime.v1.RuntimeService", handlers),))
    server.add_insecure_port(f"unix:{path}")
    server.start()
    try:
        yield
    finally:
        server.stop(0).wait()


@contextmanager
def asked(path: Path, **options: Any) -> Iterator[CriRuntime]:
    runtime = CriRuntime(path, **options)
    try:
        yield runtime
    finally:
        runtime.close()


def test_the_messages_are_those_of_the_proto(tmp_path: Path) -> None:
    folder = Path(cri.__file__).parent
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{folder}", f"--descriptor_set_out={tmp_path / 'set'}"]
    subprocess.run([*command, "cri.proto"], check=True)
    (made,) = descriptor_pb2.FileDescriptorSet.FromString((tmp_path / "set").read_bytes()).file
    kept = descriptor_pb2.FileDescriptorProto()
    cri.DESCRIPTOR.CopyToProto(kept)
    for message in made.message_type:
        for field in (*message.field, *(field for entry in message.nested_type for field in entry.field)):
            field.ClearField("json_name")
    assert kept == made


def test_containers_of_pods(tmp_path: Path) -> None:
    path, batch = tmp_path / "cri.sock", Batch()
    with serving(path, methods()), asked(path) as runtime:
        assert runtime.ids() == [POD, servers.ID]
        assert runtime.inspect("ff" * 32) is None
        containers.thread(batch, 1, f"/kubepods/besteffort/podx/{servers.ID}")
        for name in runtime.ids():
            told = runtime.inspect(name)
            assert told is not None
            batch.append("asyncevent", time=2, tid=-1, params=[0, "container", encoded(told)])
    batch.append("close", time=3, tid=1, params=[0, 3])
    (row,) = Host().field_rows(batch, FIELDS)
    assert dict(zip(FIELDS, row, strict=True)) == {
        "container.name": "web",
        "container.type": "containerd",
        "container.image.repository": "reg/web",
        "container.image.digest": "sha256:cd",
        "container.privileged": True,
        "container.mount.dest[0]": "/mnt",
        "k8s.pod.name": "web-0",
        "k8s.ns.name": "shop",
        "k8s.pod.uid": "u-1",
        "k8s.pod.label[app]": "web",
        "k8s.pod.ip": "10.0.0.9",
        "k8s.pod.cni.json": '{"a": 1}',
        "k8s.pod.sandbox_id": POD[:12],
        "container.host_network": True,
    }


@pytest.mark.parametrize(
    ("name", "method"),
    [
        ("ContainerStatus", lambda *_: b"\xff\xff\xff garbage"),
        ("ContainerStatus", lambda *_: b"\0" * (2 << 20)),
        ("ContainerStatus", lambda *_: cri.ContainerStatusResponse()),
        ("ContainerStatus", lambda *_: time.sleep(1)),
        ("Version", lambda _, context: context.abort(grpc.StatusCode.UNIMPLEMENTED, "a\nb")),
    ],
)
def test_hostile_answers_are_one_error_in_time(tmp_path: Path, name: str, method: Method) -> None:
    path = tmp_path / "cri.sock"
    with serving(path, methods(**{name: method})), asked(path, timeout=0.4, limit=1 << 20) as runtime:
        begun = time.monotonic()
        with pytest.raises(RuntimeUnreachableError) as raised:
            runtime.inspect(servers.ID)
        assert time.monotonic() - begun < 2
        assert "\n" not in str(raised.value)


def test_another_container_is_none(tmp_path: Path) -> None:
    path = tmp_path / "cri.sock"
    other = cri.ContainerStatusResponse(status=cri.ContainerStatus(id="other"))
    with serving(path, methods(ContainerStatus=lambda *_: other)), asked(path) as runtime:
        assert runtime.inspect(servers.ID) is None


@pytest.mark.parametrize("info", ["", "[", "[]", "[" * 100_000, '{"config": 7}', '{"privileged": "yes"}'])
def test_what_a_runtime_adds_may_be_anything(tmp_path: Path, info: str) -> None:
    def status(request: Any, context: Any) -> Any:
        answer = _container(request, context)
        answer.info["info"] = info
        return answer

    path = tmp_path / "cri.sock"
    with serving(path, methods(ContainerStatus=status)), asked(path) as runtime:
        told = runtime.inspect(servers.ID)
    assert told is not None
    assert (told["name"], told["privileged"]) == ("web", False)


@pytest.mark.parametrize(
    "speak",
    [
        pytest.param(lambda connection: connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n"), id="http"),
        pytest.param(lambda connection: connection.recv(1), id="silence"),
    ],
)
def test_sockets_that_speak_no_grpc(tmp_path: Path, speak: Callable[[socket.socket], None]) -> None:
    path = tmp_path / "cri.sock"
    with servers.raw(path, speak), asked(path, timeout=0.3) as runtime:
        begun = time.monotonic()
        with pytest.raises(RuntimeUnreachableError):
            runtime.ids()
        assert time.monotonic() - begun < 2
