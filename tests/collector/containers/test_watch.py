"""From control groups in drained batches to what the engine says of a container, over a real socket."""

import json
import socket
import time
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tiercel._engine import Batch, ContainerIds, Host
from tiercel.collector.containers import sockets
from tiercel.collector.containers.docker import DockerRuntime
from tiercel.collector.containers.runtime import Runtime
from tiercel.collector.containers.watch import ContainerSource, encoded
from tiercel.testing import containers
from tiercel.testing.services import eventually

from . import servers

FIELDS = ["container.name", "container.image.tag", "container.privileged", "container.type"]


class Threads:
    """A source that lists one thread for each control group, all at once."""

    def __init__(self, *cgroups: str) -> None:
        self.left = list(cgroups)
        self.pid = 0

    def read(self, batch: Batch, limit: int) -> int:
        given, self.left = self.left[:limit], self.left[limit:]
        for cgroup in given:
            self.pid += 1
            containers.thread(batch, self.pid, cgroup)
        return len(given)

    def produced(self) -> int:
        return 0

    def losses(self) -> list[tuple[str, str, int]]:
        return []

    def shed(self) -> list[tuple[str, str, int]]:
        return []

    def snapshot(self, batch: Batch) -> None:
        self.read(batch, 1)

    def retell(self) -> None: ...

    def wait(self, timeout: float) -> None: ...

    def finished(self) -> bool:
        return not self.left

    def stop(self) -> None: ...

    def close(self) -> None: ...


def given(*runtimes: Runtime) -> Callable[[Collection[str]], list[Runtime]]:
    return lambda known: [runtime for runtime in runtimes if runtime.name not in known]


def told(source: ContainerSource, batch: Batch) -> list[dict[str, Any]]:
    source.read(batch, 100)
    events = [event["params"] for event in batch.to_dicts() if event["name"] == "asyncevent"]
    return [json.loads(bytes(params["data"]).rstrip(b"\0"))["container"] for params in events]


def test_the_engine_learns_what_the_runtime_tells(tmp_path: Path) -> None:
    path = tmp_path / "docker.sock"
    with servers.api(path, servers.docker(running=False)):
        source, batch = ContainerSource(Threads(f"/docker/{servers.ID}"), given(DockerRuntime(path))), Batch()
        source.snapshot(batch)
        eventually(lambda: told(source, batch), 5)
        batch.append("close", time=time.time_ns(), tid=1, params=[0, 3])
        source.close()
    (row,) = Host().field_rows(batch, FIELDS)
    assert row == ["web", "1.2", True, "docker"]


def test_what_is_learnt_counts_for_what_waits_in_the_batch(tmp_path: Path) -> None:
    path = tmp_path / "docker.sock"
    with servers.api(path, servers.docker(running=False)):
        source, batch = ContainerSource(Threads(f"/docker/{servers.ID}"), given(DockerRuntime(path))), Batch()
        source.snapshot(batch)
        batch.append("close", time=1, tid=1, params=[0, 3])
        eventually(lambda: told(source, batch), 5)
        source.close()
    assert [event["name"] for event in batch.to_dicts()] == ["asyncevent", "thread_snapshot", "close"]
    assert Host().field_rows(batch, FIELDS) == [["web", "1.2", True, "docker"]]


def test_what_runs_already_is_told_and_what_is_gone_is_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "docker.sock"
    answers, batch = servers.docker(), Batch()
    with servers.api(path, answers):
        source = ContainerSource(Threads(), given(DockerRuntime(path)))
        inquiry = source._inquiries[0]
        inquiry._refresh = 0.05
        eventually(lambda: told(source, batch), 5)
        inquiry.close()
        inquiry._list()
        answers["/containers/json"] = []
        inquiry._list()
        assert len(told(source, batch)) == 1
        inquiry._list()
        names = [event["params"]["name"] for event in batch.to_dicts()]
        source.read(batch, 100)
        assert [event["params"]["name"] for event in batch.to_dicts()] == [*names, "container_removed"]
        source.close()


def test_what_is_lost_is_told_again(tmp_path: Path) -> None:
    path = tmp_path / "docker.sock"
    with servers.api(path, servers.docker()):
        source = ContainerSource(Threads(), given(DockerRuntime(path)))
        eventually(lambda: told(source, Batch()), 5)
        source.retell()
        (again,) = eventually(lambda: told(source, Batch()), 5)
        assert again["name"] == "web"
        source.close()


def test_a_runtime_that_starts_later_is_found(tmp_path: Path) -> None:
    find = partial(sockets.found, [f"docker:{tmp_path}/*.sock"])
    source = ContainerSource(Threads(), find, look=0.05)
    assert told(source, Batch()) == []
    with servers.api(tmp_path / "docker.sock", servers.docker()):
        (container,) = eventually(lambda: told(source, Batch()), 5)
    assert container["name"] == "web"
    source.close()


def test_engines_without_a_socket_are_named_by_their_path() -> None:
    source, batch = ContainerSource(Threads("/machine.slice/machine-web.scope", "/lxc.payload.box"), given()), Batch()
    source.read(batch, 10)
    assert [(container["id"], container["type"]) for container in told(source, batch)] == [("web", 12), ("box", 1)]
    source.close()


def test_reading_never_waits_for_a_runtime_and_the_queue_is_bounded(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "docker.sock"

    def silent(connection: socket.socket) -> None:
        connection.recv(1)

    with servers.raw(path, silent):
        cgroups = [f"/docker/{number:012x}{number:052x}" for number in range(200)]
        source = ContainerSource(Threads(*cgroups), given(DockerRuntime(path, timeout=1.5)), pending=50)
        begun = time.monotonic()
        assert source.read(Batch(), 1000) == 200
        assert time.monotonic() - begun < 1
        eventually(lambda: source.counters()["failures"] >= 2, 15)
        assert source.counters()["dropped"] >= 150
        source.close()
    assert len([record for record in caplog.records if "does not answer" in record.message]) == 1


def test_ids_are_told_once() -> None:
    ids, batch = ContainerIds(), Batch()
    for cgroup in (
        "/",
        f"/docker/{servers.ID}",
        f"/docker/{servers.ID}",
        "/",
        f"/system.slice/docker-{servers.ID}.scope",
    ):
        containers.thread(batch, 1, cgroup)
    assert ids.look(batch) == [(servers.ID[:12].encode(), servers.ID.encode(), None)]
    assert ids.look(batch) == []
    assert ContainerIds().look(batch, 4) == [(servers.ID[:12].encode(), servers.ID.encode(), None)]


def test_an_event_is_cut_to_its_limit() -> None:
    labels = {str(number): "\u00fc" * 4096 for number in range(256)} | {
        "app": "web",
        "io.kubernetes.pod.name": "p" * 30_000,
    }
    data = encoded({"id": "a", "labels": labels, "cni_json": "x" * 9000, "name": "web"})
    assert len(data) <= 65537
    told = json.loads(data[:-1])["container"]
    assert (told["id"], told["name"], "cni_json" in told) == ("a", "web", False)
    assert {"app", "io.kubernetes.pod.name"} <= told["labels"].keys()
    assert len(told["labels"]) < 10


def test_one_container_that_cannot_be_told_does_not_hold_up_the_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, answers = tmp_path / "docker.sock", servers.docker()
    poison = "f" * 64
    answers["/containers/json"] = [{"Id": poison}, *answers["/containers/json"]]
    answers[f"/containers/{poison}/json"] = {"Id": poison, "Config": {"Labels": {"x": "y" * (5 << 20)}}}
    with servers.api(path, answers):
        source = ContainerSource(Threads(), given(DockerRuntime(path)))
        (container,) = eventually(lambda: told(source, Batch()), 5)
        assert container["name"] == "web"
        eventually(lambda: source.counters()["failures"], 5)
        time.sleep(0.3)
        assert source.counters()["failures"] == 1
        source._inquiries[0]._list()
        assert not source._inquiries[0]._pending, "it is not asked for again"
        source.close()
    assert len([record for record in caplog.records if "stays without name" in record.message]) == 1
