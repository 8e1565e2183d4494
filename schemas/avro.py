"""The Avro schemas of the topics, and the framing of messages: body in, message out, and back.

Written as single-object encoding (C3 01, fingerprint, body), or the Confluent way where a registry is configured; read
in either. Bodies are the engine's; fastavro is needed only by `decode` and for bodies that another version wrote.
"""

import io
import json
from collections.abc import Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from tiercel.errors import SchemaError
from tiercel.schemas.writers import check

NAMES = ("raw_batch", "event_batch", "alert")
_HERE = Path(__file__).parent
_SINGLE_OBJECT = b"\xc3\x01"
_CONFLUENT = b"\x00"
_EMPTY = 0xC15D213AA4D7A795


class RegistryId(int):
    """Id of a schema in a registry, as told apart from a fingerprint."""


@cache
def schema_json(name: str) -> str:
    """Text of the schema `raw_batch`, `event_batch` or `alert`."""
    if name not in NAMES:
        raise SchemaError(f"no schema is called {name}: there are {', '.join(NAMES)}")
    return (_HERE / f"{name}.avsc").read_text()


@cache
def fingerprint(name: str) -> int:
    """CRC-64-AVRO of the schema's canonical form."""
    return fingerprint_of(schema_json(name))


@lru_cache(256)
def fingerprint_of(schema: str) -> int:
    """CRC-64-AVRO of the canonical form of a schema given as text."""
    crc = _EMPTY
    table = _crc_table()
    for byte in canonical_form(json.loads(schema)).encode():
        crc = crc >> 8 ^ table[(crc ^ byte) & 0xFF]
    return crc


@cache
def _crc_table() -> tuple[int, ...]:
    rows = []
    for row in range(256):
        crc = row
        for _ in range(8):
            crc = crc >> 1 ^ (_EMPTY if crc & 1 else 0)
        rows.append(crc)
    return tuple(rows)


def canonical_form(schema: Any, namespace: str = "") -> str:
    """Avro's Parsing Canonical Form of a parsed schema."""
    if isinstance(schema, str):
        return json.dumps(
            schema if schema in _PRIMITIVES or "." in schema or not namespace else f"{namespace}.{schema}"
        )
    if isinstance(schema, list):
        return f"[{','.join(canonical_form(branch, namespace) for branch in schema)}]"
    kind = schema["type"]
    if not isinstance(kind, str) or kind in _PRIMITIVES:
        return canonical_form(kind, namespace)
    parts = []
    if kind in ("record", "enum", "fixed"):
        name = schema["name"]
        if "." not in name:
            namespace = schema.get("namespace", namespace)
            name = f"{namespace}.{name}" if namespace else name
        parts.append(f'"name":{json.dumps(name)}')
    parts.append(f'"type":{json.dumps(kind)}')
    if kind == "record":
        fields = (
            f'{{"name":{json.dumps(field["name"])},"type":{canonical_form(field["type"], namespace)}}}'
            for field in schema["fields"]
        )
        parts.append(f'"fields":[{",".join(fields)}]')
    elif kind == "enum":
        parts.append(f'"symbols":[{",".join(map(json.dumps, schema["symbols"]))}]')
    elif kind == "array":
        parts.append(f'"items":{canonical_form(schema["items"], namespace)}')
    elif kind == "map":
        parts.append(f'"values":{canonical_form(schema["values"], namespace)}')
    elif kind == "fixed":
        parts.append(f'"size":{schema["size"]}')
    else:
        raise SchemaError(f"Avro has no {kind}")
    return f"{{{','.join(parts)}}}"


_PRIMITIVES = frozenset(("null", "boolean", "int", "long", "float", "double", "bytes", "string"))


@cache
def _prefix(name: str) -> bytes:
    return _SINGLE_OBJECT + fingerprint(name).to_bytes(8, "little")


def frame(name: str, body: bytes, registry_id: int | None = None) -> bytes:
    """The message for a body of this schema; with a registry's id for it, framed the Confluent way."""
    if registry_id is not None:
        return _CONFLUENT + registry_id.to_bytes(4, "big") + body
    return _prefix(name) + body


def unframe(message: bytes) -> tuple[int, bytes]:
    """Fingerprint or `RegistryId` of the writer's schema, and the body."""
    if message[:2] == _SINGLE_OBJECT and len(message) >= 10:
        return int.from_bytes(message[2:10], "little"), message[10:]
    if message[:1] == _CONFLUENT and len(message) >= 5:
        return RegistryId(int.from_bytes(message[1:5], "big")), message[5:]
    raise SchemaError(
        f"a message of {len(message)} bytes begins with {message[:2].hex() or 'nothing'}, neither of the framings"
    )


@cache
def released() -> dict[int, str]:
    """Schemas of all releases, this one included, as text by fingerprint."""
    texts = [path.read_text() for path in sorted(_HERE.glob("released/*/*.avsc"))]
    return {fingerprint_of(text): text for text in [*texts, *map(schema_json, NAMES)]}


def writer_of(message: bytes) -> int:
    """Fingerprint or `RegistryId` of the writer's schema; SchemaError."""
    return unframe(message)[0]


def body_of(name: str, message: bytes, writers: Mapping[int, str] | None = None) -> bytes:
    """The body of a message as this version's engine reads it, translated if another version wrote it.

    `writers` are schemas by fingerprint or registry id, as a topic or a registry told them; the releases are known.
    SchemaError, and what a lookup in `writers` raises besides KeyError: RegistryAwayError.
    """
    key, body = unframe(message)
    if not isinstance(key, RegistryId) and key == fingerprint(name):
        return body
    record = _resolve(name, key, body, writers)
    if isinstance(record, bytes):
        return record
    out = io.BytesIO()
    try:
        _fastavro().schemaless_writer(out, _parsed(schema_json(name)), record)
    except Exception as error:  # another schema's values, as `_read` says
        raise SchemaError(f"a message does not fit this version's schema: {_reason(error)}") from error
    return out.getvalue()


def decode(name: str, message: bytes, writers: Mapping[int, str] | None = None) -> dict[str, Any]:
    """The record of a message, whatever version wrote it: for tools and tests, not for the stream."""
    key, body = unframe(message)
    record = _resolve(name, key, body, writers)
    return _read(schema_json(name), name, record) if isinstance(record, bytes) else record


@lru_cache(256)
def writers_fingerprint(schema: str) -> int:
    """Fingerprint of a schema that somebody else told; SchemaError if nothing should be read with it."""
    check(schema)
    return fingerprint_of(schema)


def _resolve(name: str, key: int, body: bytes, writers: Mapping[int, str] | None) -> bytes | dict[str, Any]:
    """The body itself where its writer had this very schema, else the record it resolves to."""
    writer = (writers or {}).get(key)
    if writer is None and not isinstance(key, RegistryId):
        writer = released().get(key)
    if writer is None:
        what = f"registry id {int(key)}" if isinstance(key, RegistryId) else f"fingerprint {key:016x}"
        raise SchemaError(f"nobody told the schema with {what}: is it on tiercel.schemas, or the registry reachable?")
    if writers_fingerprint(writer) == fingerprint(name):
        return body
    return _read(writer, name, body)


def _read(writer: str, name: str, body: bytes) -> dict[str, Any]:
    stream = io.BytesIO(body)
    try:
        record = _fastavro().schemaless_reader(stream, _parsed(writer), _parsed(schema_json(name)))
    except Exception as error:  # what comes of a schema from outside is no list
        raise SchemaError(f"a message is not what its schema says: {_reason(error)}") from error
    if stream.read(1):
        raise SchemaError("bytes follow the end of a message")
    if not isinstance(record, dict):
        raise SchemaError(f"a message of {name} is no record")
    return record


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__


def _fastavro() -> Any:
    """A collector has none and needs none."""
    import fastavro  # noqa: PLC0415

    return fastavro


@lru_cache(256)
def _parsed(schema: str) -> Any:
    return _fastavro().parse_schema(json.loads(schema))
