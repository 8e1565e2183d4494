"""Releases of the schemas: what scripts/schemas.py refuses, and that each version's readers read the others' bytes."""

import importlib.util
import io
import json
import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import fastavro
import pytest

from tiercel._engine import alert_columns, decode_raw, encode_raw, event_columns, header_of
from tiercel.joints.registry import Registry
from tiercel.local import bundled_capture
from tiercel.processors.worker import Worker
from tiercel.recording import Capture
from tiercel.rules.sets import compiled, read
from tiercel.schemas import avro, topics
from tiercel.testing.registry_server import RegistryServer

ROOT = Path(__file__).parent.parent.parent
SCHEMAS = ROOT / "schemas"
RELEASES = sorted(path.name for path in (SCHEMAS / "released").iterdir())


def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("schemas_script", ROOT / "scripts" / "schemas.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the schemas, to be changed."""
    for path in [*SCHEMAS.glob("*.avsc"), *SCHEMAS.glob("released/*/*.avsc")]:
        copy = tmp_path / path.relative_to(SCHEMAS)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    return tmp_path


def change(folder: Path, how: str) -> None:
    """Change the alert's schema."""
    path = folder / "alert.avsc"
    schema = json.loads(path.read_text())
    fields = {field["name"]: field for field in schema["fields"]}
    value: list[Any] = fields["output_fields"]["type"]["items"]["fields"][1]["type"]
    match how:
        case "a field without a default":
            schema["fields"].append({"name": "added", "type": "int"})
        case "a field gone":
            schema["fields"].remove(fields["rule"])
        case "another type":
            fields["partition"]["type"] = "string"
        case "a narrower type":
            fields["seq"]["type"] = "int"
        case "a wider type":
            fields["partition"]["type"] = "long"
        case "a branch more":
            value.append("bytes")
        case "a branch gone":
            value.remove("double")
        case "another name":
            schema["name"] = "Alarm"
        case "a type in itself":
            value.append({"type": "array", "items": "OutputField"})
        case "a field with a default":
            schema["fields"].append({"name": "added", "type": ["null", "string"], "default": None})
        case "other words":
            fields["rule"]["doc"] = "The rule."
    path.write_text(json.dumps(schema))


BAD = ["a field without a default", "a field gone", "another type", "a narrower type", "a wider type", "a branch more"]
BAD += ["a branch gone", "another name", "a type in itself"]
GOOD = ["a field with a default", "other words"]


@pytest.mark.parametrize("how", BAD)
def test_a_change_that_somebody_cannot_read_is_refused(
    folder: Path, how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    change(folder, how)
    assert script().main(["--freeze", "9.9"], folder) == 1
    said = capsys.readouterr().err
    assert said.startswith("alert.avsc: ")
    assert not (folder / "released" / "9.9").exists()


@pytest.mark.parametrize("how", GOOD)
def test_a_change_that_all_read_is_frozen_and_held_to(folder: Path, how: str) -> None:
    change(folder, how)
    assert script().main(["--freeze", "9.9"], folder) == 0
    for name in avro.NAMES:
        frozen = (folder / "released" / "9.9" / f"{name}.avsc").read_text()
        assert frozen == (folder / f"{name}.avsc").read_text()
    # What is released is not written again; and what it brought does not go.
    assert script().main(["--freeze", "9.9"], folder) == 1
    shutil.copy(SCHEMAS / "alert.avsc", folder)
    assert script().main(["--check"], folder) == 0


@pytest.mark.services
@pytest.mark.parametrize("how", [*BAD[:-1], *GOOD])
def test_a_registry_refuses_the_same(folder: Path, how: str, registry: RegistryServer) -> None:
    Registry(registry.url, guard=True)
    change(folder, how)
    found = list(script().registry_faults(registry.url, folder))
    # Of these Apicurio knows nothing, though readers of before cannot read them: the script alone holds them back.
    assert bool(found) == (how in BAD) or how in ("another name", "a branch more"), found


def test_a_registry_that_is_away_is_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert script().main(["--registry", "http://127.0.0.1:9"], folder) == 1
    assert "does not answer" in capsys.readouterr().err


def test_what_is_no_version_is_not_frozen(folder: Path) -> None:
    assert script().main(["--freeze", "../next"], folder) == 1


RULE = """
- rule: reads
  desc: d
  condition: evt.type in (open, openat)
  output: "%fd.name by %proc.name pid=%proc.pid"
  priority: NOTICE
  throttle: {per: [proc.name], burst: 2, every: 100ms}
"""


@pytest.fixture(scope="module")
def bodies(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[bytes]]:
    """What the engine writes now, of each schema."""
    file = tmp_path_factory.mktemp("rules") / "rules.yaml"
    file.write_text(RULE)
    worker, found, first = Worker(compiled(read([file])).rules), {name: list[bytes]() for name in avro.NAMES}, 1
    head = {"host_id": "h", "host": "h", "boot_id": "b", "run": 1, "produced": 0, "delivered": 0, "lost": []}
    for offset, batch in enumerate(Capture(bundled_capture())):
        body = encode_raw(batch, 0, len(batch), {**head, "first_seq": first, "lost": [("ring", "ring_full_1", 3)]})
        first += len(batch)
        found["raw_batch"].append(body)
        for output in worker.handle(0, offset, b"h", avro.frame("raw_batch", body)):
            name = "alert" if output.topic == topics.ALERTS else "event_batch"
            found[name].append(avro.unframe(output.value)[1])
    assert all(found.values())
    return found


def as_read(body: bytes, writer: str, reader: str) -> dict[str, Any]:
    parsed = [fastavro.parse_schema(json.loads(text)) for text in (writer, reader)]
    found = fastavro.schemaless_reader(io.BytesIO(body), *parsed)
    assert isinstance(found, dict)
    return found


def as_engine_reads(name: str, body: bytes) -> Any:
    match name:
        case "raw_batch":
            header, batch = decode_raw(body)
            return header_of(body), encode_raw(batch, 0, len(batch), header)
        case "event_batch":
            columns = event_columns([body], "o")
            return columns.event_count, columns.events, columns.ledger, header_of(body, "enriched")
        case _:
            return alert_columns([body], "o")


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("name", avro.NAMES)
def test_a_release_and_this_version_read_each_other(name: str, release: str, bodies: dict[str, list[bytes]]) -> None:
    now, then = avro.schema_json(name), (SCHEMAS / "released" / release / f"{name}.avsc").read_text()
    written, read_then = fastavro.parse_schema(json.loads(then)), 0
    for body in bodies[name]:
        # What its reader, which has never seen a newer schema, makes of this version's bytes.
        old = as_read(body, now, then)
        ours = as_read(body, now, now)
        assert {key: ours[key] for key in old if not isinstance(old[key], list)} == {
            key: value for key, value in old.items() if not isinstance(value, list)
        }
        # What it would have written, as this version's engine reads it, and as fastavro does.
        out = io.BytesIO()
        fastavro.schemaless_writer(out, written, old)
        key = avro.fingerprint_of(then)
        message = b"\xc3\x01" + key.to_bytes(8, "little") + out.getvalue()
        translated = avro.body_of(name, message)
        assert as_read(translated, now, then) == old
        assert avro.decode(name, message) == as_read(translated, now, now)
        assert as_engine_reads(name, translated)
        if as_read(translated, now, now) == ours:
            assert as_engine_reads(name, translated) == as_engine_reads(name, body)
            read_then += 1
    assert read_then or then != now
