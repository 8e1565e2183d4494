"""Whether a schema that somebody else wrote is one to read with: what a registry tells may be anything.

A body is read in a time and a depth that follow from its length, if each value takes at least a byte of it and no
type contains itself. Avro asks for neither: an array of a billion nulls takes six bytes, and so may a record in
itself take the stack.
"""

import json
from typing import Any

from tiercel.errors import SchemaError

MAX_BYTES = 256 << 10
_MAX_DEPTH = 32
_PRIMITIVES = frozenset(("boolean", "int", "long", "float", "double", "bytes", "string"))


def check(text: str) -> None:
    """SchemaError, with the reason, for a schema that is none, or is not to be read with."""
    if len(text) > MAX_BYTES:
        raise SchemaError(f"a writer's schema has more than {MAX_BYTES} characters")
    try:
        schema = json.loads(text)
    except (ValueError, RecursionError):
        raise SchemaError("a writer's schema is no JSON") from None
    _Check().value(schema, "", 0)


class _Check:
    """One pass over a schema; named types are known when they are whole, as a use before that contains itself."""

    def __init__(self) -> None:
        self._named: set[str] = set()

    def value(self, schema: Any, namespace: str, depth: int) -> None:
        """A type of which each value takes a byte or more."""
        if depth > _MAX_DEPTH:
            raise SchemaError(f"a writer's schema is deeper than {_MAX_DEPTH}")
        if isinstance(schema, list):
            # The number of the branch is a byte.
            for branch in schema:
                if branch not in ("null", {"type": "null"}):
                    self.value(branch, namespace, depth + 1)
            if not schema:
                raise SchemaError("a writer's schema has a union of nothing")
        elif isinstance(schema, str):
            if schema not in _PRIMITIVES and _full(schema, namespace) not in self._named:
                raise SchemaError(f"a writer's schema has {schema[:100]!r} where it is not, or not yet, a type")
        elif isinstance(schema, dict):
            self._complex(schema, namespace, depth)
        else:
            raise SchemaError("a writer's schema has something that is no type")

    def _complex(self, schema: dict[str, Any], namespace: str, depth: int) -> None:
        kind = schema.get("type")
        if kind == "array":
            self.value(schema.get("items"), namespace, depth + 1)
        elif kind == "map":
            self.value(schema.get("values"), namespace, depth + 1)
        elif kind in ("record", "enum", "fixed"):
            name, space = schema.get("name"), schema.get("namespace", namespace)
            if not isinstance(name, str) or not name or not isinstance(space, str):
                raise SchemaError(f"a writer's schema has a {kind} without a name")
            full = _full(name, space)
            if full in self._named:
                raise SchemaError(f"a writer's schema has two types {full[:100]}")
            self._body(kind, schema, full.rpartition(".")[0], depth)
            self._named.add(full)
        else:
            self.value(kind, namespace, depth + 1)

    def _body(self, kind: str, schema: dict[str, Any], namespace: str, depth: int) -> None:
        if kind == "record":
            fields = schema.get("fields")
            if not isinstance(fields, list) or not fields:
                raise SchemaError("a writer's schema has a record without fields")
            for field in fields:
                if not isinstance(field, dict) or not isinstance(field.get("name"), str):
                    raise SchemaError("a writer's schema has a field without a name")
                self.value(field.get("type"), namespace, depth + 1)
        elif kind == "enum":
            symbols = schema.get("symbols")
            if not isinstance(symbols, list) or not symbols or not all(isinstance(word, str) for word in symbols):
                raise SchemaError("a writer's schema has an enum without symbols")
        elif type(schema.get("size")) is not int or schema["size"] < 1:
            raise SchemaError("a writer's schema has a fixed of no size")


def _full(name: str, namespace: str) -> str:
    return name if "." in name or not namespace else f"{namespace}.{name}"
