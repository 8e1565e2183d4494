"""Schemas and framing: fingerprints as fastavro has them, and every version reads every other."""

import io
import json
from itertools import product
from pathlib import Path
from typing import Any

import fastavro
import pytest
from fastavro import schema as fastavro_schema
from fastavro.utils import generate_one

from tiercel.errors import SchemaError
from tiercel.schemas import avro

HERE = Path(avro.__file__).parent
RELEASES = sorted(path.name for path in (HERE / "released").iterdir())


def texts(name: str) -> dict[str, str]:
    """All versions of a schema, by release."""
    return {r: (HERE / "released" / r / f"{name}.avsc").read_text() for r in RELEASES} | {"now": avro.schema_json(name)}


def written(schema: str) -> tuple[Any, bytes]:
    record = generate_one(json.loads(schema))
    out = io.BytesIO()
    fastavro.schemaless_writer(out, json.loads(schema), record)
    return record, out.getvalue()


@pytest.mark.parametrize("name", avro.NAMES)
def test_the_fingerprint_is_fastavros(name: str) -> None:
    text = avro.schema_json(name)
    form = fastavro_schema.to_parsing_canonical_form(json.loads(text))
    assert avro.canonical_form(json.loads(text)) == form
    expected = fastavro_schema.fingerprint(form, "CRC-64-AVRO")
    assert avro.fingerprint(name).to_bytes(8, "little").hex() == expected


@pytest.mark.parametrize("name", avro.NAMES)
def test_every_version_reads_every_other(name: str) -> None:
    for (_, writer), (_, reader) in product(texts(name).items(), repeat=2):
        _, body = written(writer)
        fastavro.schemaless_reader(io.BytesIO(body), json.loads(writer), json.loads(reader))


@pytest.mark.parametrize("name", avro.NAMES)
def test_a_message_comes_back_from_either_framing(name: str) -> None:
    record, body = written(avro.schema_json(name))
    single, confluent = avro.frame(name, body), avro.frame(name, body, registry_id=7)
    assert avro.unframe(single) == (avro.fingerprint(name), body)
    key, rest = avro.unframe(confluent)
    assert isinstance(key, avro.RegistryId)
    assert (key, rest) == (7, body)
    told = {avro.RegistryId(7): avro.schema_json(name)}
    assert avro.decode(name, single) == avro.decode(name, confluent, told) == record
    assert avro.body_of(name, single) == avro.body_of(name, confluent, told) == body


def test_what_another_version_wrote_is_translated() -> None:
    newer = json.loads(avro.schema_json("alert"))
    newer["fields"].append({"name": "severity", "type": "int", "default": 3})
    text = json.dumps(newer)
    record, body = written(text)
    key = avro.fingerprint_of(text)
    message = b"\xc3\x01" + key.to_bytes(8, "little") + body
    with pytest.raises(SchemaError, match="nobody told the schema with fingerprint"):
        avro.body_of("alert", message)
    del record["severity"]
    assert avro.decode("alert", message, {key: text}) == record
    mine = avro.body_of("alert", message, {key: text})
    assert avro.decode("alert", avro.frame("alert", mine)) == record


@pytest.mark.parametrize("message", [b"", b"\xc3", b"\xc3\x01\0\0", b"\0\0\0", b"{}"])
def test_other_bytes_are_refused(message: bytes) -> None:
    with pytest.raises(SchemaError, match="neither of the framings"):
        avro.unframe(message)


def test_a_broken_body_is_one_sentence() -> None:
    message = avro.frame("alert", b"\x04a")
    with pytest.raises(SchemaError, match="a message is not what its schema says"):
        avro.decode("alert", message)


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(SchemaError, match="no schema is called events"):
        avro.schema_json("events")
