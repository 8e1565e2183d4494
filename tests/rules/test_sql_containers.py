"""Container fields in history: what a runtime told late answers for events that came before it, too."""

from collections.abc import Iterator
from typing import Any

import pytest

from tiercel import store
from tiercel._engine import Batch, encode_raw
from tiercel.joints.base import Message
from tiercel.processors.worker import Worker
from tiercel.rules import sql
from tiercel.rules.parse import parse
from tiercel.schemas import avro
from tiercel.sinks.clickhouse import ClickHouseSink
from tiercel.testing import containers
from tiercel.testing.chdb_http import ChdbServer

ID = "27794335214c55a9f43dff8b00c77c22166ca97c4d9dfb6744818a0c3ecdb299"
TOLD = {
    "id": ID[:12],
    "full_id": ID,
    "type": 0,
    "name": "web",
    "image": "nginx:1",
    "imageid": "ab",
    "imagerepo": "nginx",
    "imagetag": "1",
    "privileged": True,
    "ip": "10.0.0.2",
    "pod_sandbox_id": "5a" * 32,
    "labels": {"app": "it's", "empty": "", "annotation.x": "y", "io.kubernetes.pod.name": "pod-1"},
    "Mounts": [{"Source": "/etc", "Destination": "/mnt", "Mode": "ro", "RW": False, "Propagation": "rprivate"}],
}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with ChdbServer(tmp_path_factory.mktemp("chdb")) as server:
        connected = store.connect(server.dsn)
        worker, sink = Worker(None), ClickHouseSink(connected, "test")
        sink.assign({0})
        batch = Batch()
        containers.thread(batch, 10, f"/docker/{ID}")
        containers.thread(batch, 11, "/user.slice")
        for tid in (10, 11):
            batch.append("close", time=5, tid=tid, params=[0, 3])
        containers.told(batch, 6, TOLD)
        header = {"host_id": "h", "host": "h", "boot_id": "b", "run": 1, "produced": 0, "delivered": 0, "lost": []}
        raw = avro.frame("raw_batch", encode_raw(batch, 0, len(batch), header | {"first_seq": 1}))
        outputs = worker.handle(0, 0, b"h", raw)
        sink.write(Message(output.topic, 0, 0, b"h", output.value) for output in outputs)
        yield connected


@pytest.mark.parametrize(
    ("condition", "tids"),
    [
        ("container.name = web", [10]),
        ("container.name = host", [11]),
        ("container.name exists", [10, 11]),
        ("toupper(container.name) in (WEB, HOST)", [10, 11]),
        ("container.image.repository = nginx and container.privileged = true", [10]),
        ("container.full_id startswith 27794335214c55", [10]),
        ("container.type = docker", [10]),
        ("container.mounts = /etc:/mnt:ro:false:rprivate", [10]),
        ("container.mount.dest[0] = /mnt", [10]),
        ("container.mount[1] exists", []),
        ('container.label[app] = "it\'s"', [10]),
        ("container.label[none] exists", []),
        ('container.labels = "app:it\'s, empty"', [10]),
        ("k8s.pod.name = pod-1", [10]),
        ("k8s.pod.sandbox_id = 5a5a5a5a5a5a", [10]),
        ("k8s.pod.ip exists", []),
        ("not container.privileged = true", [11]),
    ],
)
def test_containers_are_joined(client: Any, condition: str, tids: list[int]) -> None:
    query = sql.compile(parse(condition))
    text = f"SELECT tid FROM events WHERE type = 'close' AND ({query.text}) ORDER BY tid"
    assert [row[0] for row in client.query(text, parameters=query.parameters).result_rows] == tids
