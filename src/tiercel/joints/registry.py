"""A schema registry (Confluent's HTTP interface): gives ids to our schemas, and other writers' schemas by id."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any

from tiercel.errors import KafkaError
from tiercel.schemas import avro, topics

SUBJECTS = {"raw_batch": topics.RAW, "event_batch": topics.EVENTS, "alert": topics.ALERTS}


class Registry(Mapping[int, str]):
    """Schemas by id, asked for once each; `ids` are those of our own schemas by name."""

    def __init__(self, url: str, *, timeout: float = 10.0) -> None:
        if not url.startswith(("http://", "https://")):
            raise KafkaError(f"kafka.schema_registry {url!r}: must be an http:// or https:// URL")
        self._url = url.rstrip("/")
        self._timeout = timeout
        self._known: dict[int, str | None] = {}
        self.ids = {name: self._register(topic, avro.schema_json(name)) for name, topic in SUBJECTS.items()}

    def _register(self, topic: str, schema: str) -> int:
        return int(self._ask(f"/subjects/{topic}-value/versions", {"schema": schema, "schemaType": "AVRO"})["id"])

    def _ask(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        data = json.dumps(body).encode() if body is not None else None
        headers = {"Content-Type": "application/vnd.schemaregistry.v1+json"}
        request = urllib.request.Request(self._url + path, data, headers)  # noqa: S310 - checked above
        try:
            with urllib.request.urlopen(request, timeout=self._timeout) as answer:  # noqa: S310
                found: dict[str, Any] = json.load(answer)
                return found
        except urllib.error.HTTPError as error:
            reason = error.read(300).decode(errors="replace")
            raise KafkaError(f"the schema registry {self._url} refuses {path}: {error.code} {reason}") from None
        except (OSError, ValueError) as error:
            raise KafkaError(f"the schema registry {self._url} does not answer: {error}") from None

    def __getitem__(self, key: int) -> str:
        if key not in self._known:
            try:
                self._known[key] = str(self._ask(f"/schemas/ids/{int(key)}")["schema"])
            except KafkaError as error:
                if "404" not in str(error):
                    raise
                # Ids are hostile, too: what is not known stays unknown, within bounds.
                if len(self._known) < 10_000:
                    self._known[key] = None
                raise KeyError(key) from None
        schema = self._known[key]
        if schema is None:
            raise KeyError(key)
        return schema

    def __bool__(self) -> bool:
        # Not known yet is not empty.
        return True

    def __iter__(self) -> Iterator[int]:
        return iter([key for key, schema in self._known.items() if schema is not None])

    def __len__(self) -> int:
        return sum(schema is not None for schema in self._known.values())
