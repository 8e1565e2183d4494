"""Real containers of a Docker engine of our own, watched by the probe: the container fields of their events."""

import json
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tiercel._engine import Batch, Host
from tiercel.collector.containers import sockets
from tiercel.collector.containers.watch import ContainerSource
from tiercel.collector.live import LiveSource
from tiercel.probe.core import Probe

from .docker import IMAGE, Docker

pytestmark = [pytest.mark.bpf, pytest.mark.timeout(900)]

FIELDS = [
    *("evt.type", "proc.name", "container.id", "container.full_id", "container.name", "container.type"),
    *("container.image", "container.image.id", "container.image.repository", "container.image.tag"),
    *("container.image.digest", "container.privileged", "container.mounts", "container.mount.dest[0]"),
    *("container.mount.source[/data*]", "container.mount.rdwr[0]", "container.label[app]", "container.labels"),
    *("container.ip", "container.host_network", "container.host_pid", "container.host_ipc", "container.cni.json"),
    *("container.start_ts", "container.duration", "k8s.pod.name", "k8s.ns.name"),
]
WANTED = {"clone", "clone3", "vfork", "fork", "execve", "execveat", "openat", "open"}


class Watched:
    """What the probe and the runtime tell meanwhile, drained by a thread as a collector does."""

    def __init__(self, docker: Docker) -> None:
        probe = Probe.load(WANTED, 16 << 20, exclude_tgids=[os.getpid()])
        self.source = ContainerSource(LiveSource(probe), partial(sockets.found, [f"docker:{docker.socket}"]))
        self.batch, self._stop = Batch(), threading.Event()
        self.slowest = 0.0
        self.source.snapshot(self.batch)
        self._thread = threading.Thread(target=self._drain)
        self._thread.start()

    def _drain(self) -> None:
        while not self._stop.is_set():
            begun = time.monotonic()
            count = self.source.read(self.batch, 1000)
            self.slowest = max(self.slowest, time.monotonic() - begun)
            if not count:
                self.source.wait(0.01)

    def rows(self, settle: float = 1.0) -> list[dict[str, Any]]:
        time.sleep(settle)
        self._stop.set()
        self._thread.join()
        return [dict(zip(FIELDS, row, strict=True)) for row in Host().field_rows(self.batch, FIELDS)]

    def told(self) -> dict[str, dict[str, Any]]:
        events = [event["params"] for event in self.batch.to_dicts() if event["name"] == "asyncevent"]
        found = [json.loads(bytes(p["data"]).rstrip(b"\0"))["container"] for p in events if p["name"] == "container"]
        return {container["full_id"]: container for container in found}


@pytest.fixture
def watched(docker: Docker) -> Iterator[Watched]:
    watching = Watched(docker)
    yield watching
    watching._stop.set()
    watching._thread.join()
    watching.source.close()


def of(rows: list[dict[str, Any]], container: str, name: str) -> list[dict[str, Any]]:
    return [row for row in rows if row["container.id"] == container[:12] and row["proc.name"] == name]


def test_each_field_of_a_container_is_what_docker_says(docker: Docker, watched: Watched, tmp_path: Path) -> None:
    mounts = ["-v", f"{tmp_path}:/mnt:ro", "-v", "/data/tiercel-box"]
    labels = ["--label", "app=web", "--label", "empty="]
    script = ["/bin/sh", "-c", "sleep 1; /bin/cat /proc/self/cgroup"]
    run = ["run", "-d", "--network=none", "--name", "box-1", *mounts, *labels, IMAGE, *script]
    container = docker(*run)
    docker("wait", container)
    truth = docker.inspect(container)
    events = of(watched.rows(), container, "cat")
    assert {event["evt.type"] for event in events} >= {"execve"}
    expected = {
        "container.id": container[:12],
        "container.full_id": container,
        "container.name": "box-1",
        "container.type": "docker",
        "container.image": IMAGE,
        "container.image.id": truth["Image"].removeprefix("sha256:"),
        "container.image.repository": "tiercel/box",
        "container.image.tag": "1.5",
        "container.image.digest": "",
        "container.privileged": False,
        "container.mount.source[/data*]": next(m["Source"] for m in truth["Mounts"] if m["Type"] == "volume"),
        "container.label[app]": "web",
        "container.labels": "app:web, empty",
        "container.ip": "",
        "container.host_network": False,
        "container.host_pid": False,
        "container.host_ipc": False,
        "container.cni.json": "",
        "k8s.pod.name": None,
        "k8s.ns.name": None,
    }
    # Docker tells them in any order, another one each time.
    mounts = {
        m["Destination"]: f"{m['Source']}:{m['Destination']}:{m['Mode']}:{str(m['RW']).lower()}:{m['Propagation']}"
        for m in truth["Mounts"]
    }
    for event in events:
        assert {name: event[name] for name in expected} == expected
        assert sorted(event["container.mounts"].split(",")) == sorted(mounts.values())
        first = mounts[event["container.mount.dest[0]"]]
        assert event["container.mounts"].startswith(first)
        assert f":{event['container.mount.rdwr[0]']}:" in first
        assert event["container.start_ts"]
        assert event["container.duration"]


def test_a_privileged_container_of_the_hosts_namespaces(docker: Docker, watched: Watched) -> None:
    shared = ["--network=host", "--pid=host", "--ipc=host"]
    command = ["create", "--privileged", *shared, IMAGE, "/bin/sh", "-c", "sleep 1; /bin/cat /dev/null"]
    container = docker(*command)
    # Where this machine has not all capabilities, it ends in runc; its events are there all the same.
    docker("start", container, check=False)
    docker("wait", container)
    rows = [row for row in watched.rows() if row["container.id"] == container[:12] and row["container.type"]]
    shown = ("container.privileged", "container.host_network", "container.host_pid", "container.host_ipc")
    if rows:
        assert {tuple(row[name] for name in shown) for row in rows} == {(True, True, True, True)}
    told = watched.told()[container]
    assert (told["privileged"], told["host_network"], told["host_pid"], told["host_ipc"]) == (True, True, True, True)


def test_many_containers_that_live_for_a_moment(
    docker: Docker, watched: Watched, request: pytest.FixtureRequest
) -> None:
    count = request.config.getoption("--containers")

    def run(number: int) -> str:
        container = docker("create", "--network=none", "--name", f"short-{number}", IMAGE, "/bin/true")
        docker("start", container)
        return container

    with ThreadPoolExecutor(4) as pool:
        started = list(pool.map(run, range(count)))
    rows = watched.rows(3.0)
    programs = {row["container.id"] for row in rows if row["evt.type"] == "execve" and row["proc.name"] == "true"}
    assert programs == {container[:12] for container in started}
    told = watched.told()
    names = {container: told[container]["name"] for container in started if container in told}
    assert names == {container: f"short-{number}" for number, container in enumerate(started)}
    print(f"{count} containers, slowest read {watched.slowest * 1000:.1f} ms, {watched.source.counters()}")
    assert watched.source.counters() == {"dropped": 0, "failures": 0}
