"""The schema registry: a real one that answers, and made-up ones that are hostile, slow or away."""

import http.server
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from tiercel.errors import KafkaError, RegistryAwayError, SchemaError
from tiercel.joints import registry as joint
from tiercel.joints.registry import LEVEL, SUBJECTS, Registry, Told, patiently
from tiercel.schemas import avro, topics
from tiercel.testing import builders
from tiercel.testing.kafka_server import free_port
from tiercel.testing.registry_server import RegistryServer

Id = avro.RegistryId


def newer(name: str = "alert", **field: Any) -> str:
    """Our schema with a field more."""
    schema = json.loads(avro.schema_json(name))
    schema["fields"].append({"name": "added", "type": "int", "default": 0, **field})
    return json.dumps(schema)


@pytest.mark.services
class TestReal:
    def test_ids_are_given_and_schemas_told(self, registry: RegistryServer) -> None:
        ours = Registry(registry.url, guard=True)
        assert ours.ids.keys() == SUBJECTS.keys()
        assert Registry(registry.url).ids == ours.ids
        for name, number in ours.ids.items():
            assert avro.fingerprint_of(ours[Id(number)]) == avro.fingerprint(name)
            body = builders.alert("a")[10:] if name == "alert" else b"body"
            assert avro.body_of(name, avro.frame(name, body, number), ours) == body
        assert {Id(number) for number in ours.ids.values()} == set(ours)
        assert ours[Id(ours.ids["alert"])] == Told(ours)[Id(ours.ids["alert"])]

    def test_its_subjects_take_only_what_reads_and_is_read_by_all_before(self, registry: RegistryServer) -> None:
        ours = Registry(registry.url, guard=True)
        assert {ours.level(f"{topic}-value") for topic in SUBJECTS.values()} == {LEVEL}
        for name, topic in SUBJECTS.items():
            schema = json.loads(avro.schema_json(name))
            schema["fields"].append({"name": "added", "type": "int"})
            assert "added" in (ours.incompatible(name, json.dumps(schema)) or "")
            with pytest.raises(KafkaError, match=r"refuses .*: 409 .*added"):
                ours._register(topic, json.dumps(schema), guard=False)
            del schema["fields"][0]
            assert ours.incompatible(name, json.dumps(schema))
            assert ours.incompatible(name, newer(name)) is None

    def test_unknown_ids_are_asked_for_once_and_anew_later(
        self, registry: RegistryServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ours = Registry(registry.url, ["alert"])
        asked: list[str] = []
        real = ours._ask
        monkeypatch.setattr(ours, "_ask", lambda path, *rest: asked.append(path) or real(path, *rest))
        for number in (0, 999_999, 1 << 31, (1 << 32) - 1):
            for _ in range(3):
                assert Id(number) not in ours
        # A fingerprint is no id, and no registry has ids that do not fit 31 bits.
        assert avro.fingerprint("alert") not in ours
        assert 999_999 not in ours
        assert asked == ["/schemas/ids/0", "/schemas/ids/999999"]
        monkeypatch.setattr(joint, "UNKNOWN_S", 0.0)
        assert Id(0) not in ours
        assert len(asked) == 3
        monkeypatch.setattr(joint, "MAX_UNKNOWN", 5)
        for number in range(800_000, 800_010):
            assert Id(number) not in ours
        assert len(ours._unknown) == 5

    def test_what_was_told_is_known_while_it_is_away(self) -> None:
        with RegistryServer() as server:
            ours = Registry(server.url, guard=True)
            number = ours.ids["alert"]
            message = avro.frame("alert", builders.alert("a")[10:], number)
            reader = Registry(server.url, ())
            assert avro.decode("alert", message, reader)["id"] == "a"
            fresh = Registry(server.url, (), timeout=1.0)
            server.stop()
            assert avro.decode("alert", message, reader)["id"] == "a"
            with pytest.raises(RegistryAwayError, match="does not answer"):
                avro.decode("alert", message, fresh)
            with pytest.raises(SchemaError, match="nobody told the schema with registry id"):
                avro.decode("alert", message, Told(fresh))
            assert not fresh.knows(Id(number))
            server.start()
            assert patiently(lambda: fresh.get(Id(number)), time.sleep)
            assert Registry(server.url).ids == ours.ids


Answer = tuple[int, bytes]


@dataclass
class Fake:
    """A registry that answers with whatever `answer` gives for method and path."""

    url: str
    asked: list[str] = field(default_factory=list)


@contextmanager
def fake(answer: Callable[[http.server.BaseHTTPRequestHandler], Answer | None]) -> Iterator[Fake]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do(self) -> None:
            made.asked.append(f"{self.command} {self.path}")
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            given = answer(self)
            if given is not None:
                self.send_response(given[0])
                self.send_header("Location", f"{made.url}/elsewhere")
                self.end_headers()
                self.wfile.write(given[1])

        do_GET = do_POST = do_PUT = do  # noqa: N815

        def log_message(self, *_: object) -> None: ...

    class Server(http.server.ThreadingHTTPServer):
        daemon_threads, block_on_close = True, False

        def handle_error(self, *_: object) -> None: ...  # whoever asked has gone

    with Server(("127.0.0.1", 0), Handler) as server:
        made = Fake(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield made
        finally:
            server.shutdown()
            thread.join()


def says(body: bytes, code: int = 200) -> Callable[[Any], Answer]:
    return lambda _: (code, body)


@pytest.mark.parametrize("given", [b'"1"', b"1.0", b"true", b"null", b"-1", b"4294967296", b"[1]"])
def test_an_id_that_is_none_is_refused(given: bytes) -> None:
    with fake(says(b'{"id": ' + given + b"}")) as server, pytest.raises(KafkaError, match="no id but"):
        Registry(server.url)


@pytest.mark.parametrize(
    ("code", "body"),
    [
        (200, b"x" * (joint.MAX_ANSWER + 1)),
        (200, b"<html>please log in</html>"),
        (200, b"[" * 200_000),
        (200, b"[]"),
        (200, b"\xff\xfe"),
        (302, b""),
        (401, b"who are you"),
        (429, b""),
        (500, b"x" * (joint.MAX_ANSWER * 4)),
        (503, b""),
    ],
)
def test_what_is_no_answer_may_be_one_later(code: int, body: bytes) -> None:
    with fake(says(body, code)) as server:
        ours = Registry(server.url, ())
        with pytest.raises(RegistryAwayError) as caught:
            _ = ours[Id(7)]
        assert len(str(caught.value)) < 500
        assert "\n" not in str(caught.value)
        # It was asked itself, and nobody else.
        assert server.asked == ["GET /schemas/ids/7"]
        assert not ours.knows(Id(7))


@pytest.mark.parametrize("body", [b"{}", b'{"schema": 5}', b'{"schema": null}', b'{"error_code": "40403"}'])
@pytest.mark.parametrize("code", [200, 404, 422])
def test_no_schema_is_an_unknown_id(code: int, body: bytes) -> None:
    with fake(says(body, code)) as server:
        ours = Registry(server.url, ())
        assert Id(7) not in ours
        assert Id(7) not in ours
        assert len(server.asked) == 1


def test_a_byte_now_and_then_does_not_hold_the_reader() -> None:
    def drip(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        for _ in range(100):
            handler.wfile.write(b" ")
            time.sleep(0.05)

    with fake(drip) as server:
        began = time.monotonic()
        with pytest.raises(RegistryAwayError, match="takes too long"):
            _ = Registry(server.url, (), timeout=0.3)[Id(1)]
        assert time.monotonic() - began < 2


def test_schemas_are_kept_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joint, "MAX_KNOWN", 3)
    with fake(lambda h: (200, json.dumps({"schema": h.path}).encode())) as server:
        ours = Registry(server.url, ())
        for number in (1, 2, 3, 1, 4):
            assert ours[Id(number)] == f"/schemas/ids/{number}"
        assert set(ours) == {1, 3, 4}
        monkeypatch.setattr(joint, "MAX_KNOWN_BYTES", 20)
        assert Id(5) in ours
        assert set(ours) == {5}


def test_one_that_may_not_set_the_level_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    def answer(handler: http.server.BaseHTTPRequestHandler) -> Answer:
        if handler.command == "PUT":
            return 403, b"not you"
        return 200, b'{"compatibilityLevel": "BACKWARD"}' if "config" in handler.path else b'{"id": 5}'

    with fake(answer) as server:
        assert Registry(server.url, ["alert"], guard=True).ids == {"alert": 5}
    assert f"subject={topics.ALERTS}-value does not ask for {LEVEL}" in caplog.text


def test_the_level_that_is_there_is_not_set_again() -> None:
    told = json.dumps({"compatibilityLevel": LEVEL}).encode()
    with fake(lambda h: (200, told if "config" in h.path else b'{"id": 5}')) as server:
        Registry(server.url, ["alert"], guard=True)
        assert not [one for one in server.asked if one.startswith("PUT")]


@pytest.mark.parametrize("url", ["file:///etc/passwd", "registry:8081", "http://", "ftp://x/", ""])
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(KafkaError, match="must be an http"):
        Registry(url, ())


def test_a_password_in_the_url_is_not_told() -> None:
    with pytest.raises(RegistryAwayError) as caught:
        Registry(f"http://me:secret@127.0.0.1:{free_port()}", ["alert"])
    assert "secret" not in str(caught.value)


BOMBS = {
    "an array of nothing": {"type": "array", "items": "null"},
    "a record without fields": {"type": "array", "items": {"type": "record", "name": "R", "fields": []}},
    "a fixed of no size": {"type": "fixed", "name": "F", "size": 0},
    "a type in itself": {"type": "record", "name": "R", "fields": [{"name": "r", "type": ["null", "R"]}]},
    "an unknown type": "Nowhere",
    "a number": 5,
    "a union of nothing": [],
    "no items": {"type": "array"},
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS.keys())
def test_a_schema_that_nothing_should_be_read_with(bomb: Any) -> None:
    text = newer(type=bomb, default=None)
    # Six bytes that say: a billion billion of them.
    body = builders.alert("a")[10:] + b"\xfe\xff\xff\xff\xff\xff\xff\xff\x7f\x00"
    message = avro.frame("alert", body, 7)
    for decode in (avro.decode, avro.body_of):
        with pytest.raises(SchemaError, match="a writer's schema has"):
            decode("alert", message, {Id(7): text})


OTHER = {"type": "record", "name": "Other", "fields": [{"name": "x", "type": "int"}]}
NONE = ["", "{}", "[]", '"string"', "[" * 100_000, "null", '{"type": {"type": {"type": "int"}}}', "x" * (300 << 10)]


@pytest.mark.parametrize("text", [*NONE, json.dumps(OTHER)])
def test_a_schema_that_is_none_or_anothers(text: str) -> None:
    message = avro.frame("alert", builders.alert("a")[10:], 7)
    with pytest.raises(SchemaError) as caught:
        avro.body_of("alert", message, {Id(7): text})
    assert len(str(caught.value)) < 500


def test_values_of_another_kind_are_one_sentence() -> None:
    schema = json.loads(newer(default=0))
    schema["fields"][1]["type"] = {"type": "long", "logicalType": "timestamp-millis"}
    message = avro.frame("alert", builders.alert("a")[10:] + b"\0", 7)
    with pytest.raises(SchemaError, match="a message"):
        avro.body_of("alert", message, {Id(7): json.dumps(schema)})
