"""A schema registry (Confluent's HTTP interface): gives ids to our schemas, and other writers' schemas by id.

It is hostile as far as it may be: answers are bounded in bytes and in time, redirects are not followed, and what it
tells is looked at before anything is read with it. What it does not know, and what it does, is remembered in bounds.
"""

import http.client
import json
import logging
import threading
import time
import urllib.error
import urllib.request
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import IO, Any, TypeVar
from urllib.parse import urlsplit

from tiercel.errors import KafkaError, RegistryAwayError
from tiercel.schemas import avro, topics

log = logging.getLogger(__name__)

_T = TypeVar("_T")

SUBJECTS = {"raw_batch": topics.RAW, "event_batch": topics.EVENTS, "alert": topics.ALERTS}
# Each version reads all others, whichever of collectors, workers and readers is deployed first.
LEVEL = "FULL_TRANSITIVE"

MAX_ANSWER = 1 << 20
_MAX_REASON = 300
# The largest of Confluent's ids: no registry has another.
_MAX_ID = (1 << 31) - 1
# Schemas that are kept, with those that are none of ours; ids of which it says that it knows nothing.
MAX_KNOWN = 256
MAX_KNOWN_BYTES = 16 << 20
MAX_UNKNOWN = 10_000
# A replica may hear of a schema a moment later than its readers hear of the messages.
UNKNOWN_S = 60.0
# What it says of itself rather than of what it was asked: it may say something else later.
_FOR_NOW = {407, 408, 425, 429}


class _NotFoundError(KafkaError):
    """404."""


class _ForbiddenError(RegistryAwayError):
    """401 or 403: whoever gives rights may mend it."""


class _Stays(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: they could lead anywhere."""

    def redirect_request(self, *_: Any) -> None:
        return None


class Registry(Mapping[int, str]):
    """Schemas by `avro.RegistryId`, asked for once each; `ids` are those of our own schemas by name.

    A lookup raises KeyError for an id that the registry does not know, RegistryAwayError if it cannot tell now.
    """

    def __init__(
        self, url: str, names: Iterable[str] = SUBJECTS, *, timeout: float = 10.0, guard: bool = False
    ) -> None:
        """Registers the schemas `names`; one who only reads needs none, and so needs no registry yet.

        `guard`: also see that the subjects take only schemas that are compatible with all before (`LEVEL`).
        """
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
            raise KafkaError(f"kafka.schema_registry {_shown(url)!r}: must be an http:// or https:// URL")
        self._url, self._shown = url.rstrip("/"), _shown(url)
        self._timeout = timeout
        self._open = urllib.request.build_opener(_Stays).open
        # What a worker recovers is read by another thread.
        self._lock = threading.Lock()
        self._known: OrderedDict[int, str] = OrderedDict()
        self._unknown: OrderedDict[int, float] = OrderedDict()
        self.ids = {name: self._register(SUBJECTS[name], avro.schema_json(name), guard=guard) for name in names}

    def _register(self, topic: str, schema: str, *, guard: bool) -> int:
        subject = f"{topic}-value"
        if guard:
            self._set_level(subject)
        found = self._ask(f"/subjects/{subject}/versions", {"schema": schema, "schemaType": "AVRO"}).get("id")
        if type(found) is not int or not 0 <= found <= _MAX_ID:
            raise KafkaError(f"the schema registry {self._shown} gives {subject} no id but {str(found)[:40]!r}")
        # Some forget a level that was set before there was a subject.
        if guard and self.level(subject) != LEVEL:
            self._set_level(subject)
        return found

    def level(self, subject: str) -> str | None:
        """The compatibility that the subject asks of a new version; None: not to be found out."""
        try:
            return str(self._ask(f"/config/{subject}?defaultToGlobal=true").get("compatibilityLevel"))
        except KafkaError as error:
            if isinstance(error, RegistryAwayError) and not isinstance(error, _ForbiddenError):
                raise
            return None

    def _set_level(self, subject: str) -> None:
        if self.level(subject) == LEVEL:
            return
        try:
            self._ask(f"/config/{subject}", {"compatibility": LEVEL}, method="PUT")
        except KafkaError as error:
            # It can be the administrator's alone to say.
            if isinstance(error, RegistryAwayError) and not isinstance(error, _ForbiddenError):
                raise
            log.warning("subject=%s does not ask for %s, and may not be told to: %s", subject, LEVEL, error)

    def incompatible(self, name: str, schema: str) -> str | None:
        """Why the subject of this schema would refuse such a version; None: it would not. KafkaError."""
        path = f"/compatibility/subjects/{SUBJECTS[name]}-value/versions?verbose=true"
        try:
            answer = self._ask(path, {"schema": schema, "schemaType": "AVRO"})
        except _NotFoundError:
            return None  # It would be the first.
        if answer.get("is_compatible") is True:
            return None
        return str(answer.get("messages") or answer.get("reason") or "it does not say why")[:_MAX_REASON]

    def _ask(self, path: str, body: dict[str, Any] | None = None, *, method: str | None = None) -> dict[str, Any]:
        data = json.dumps(body).encode() if body is not None else None
        headers = {"Content-Type": "application/vnd.schemaregistry.v1+json"}
        request = urllib.request.Request(self._url + path, data, headers, method=method)  # noqa: S310 - checked
        deadline = time.monotonic() + self._timeout
        try:
            with self._open(request, timeout=self._timeout) as answer:
                found = json.loads(_read(answer, deadline))
            if not isinstance(found, dict):
                raise ValueError(f"{path} is answered with no JSON object")
        except urllib.error.HTTPError as error:
            raise self._refusal(path, error, deadline) from None
        # RecursionError: JSON that is nothing but brackets; http.client's errors are no OSError.
        except (OSError, ValueError, RecursionError, http.client.HTTPException) as error:
            reason = _line(getattr(error, "reason", None) or error)
            raise RegistryAwayError(f"the schema registry {self._shown} does not answer: {reason}") from None
        return found

    def _refusal(self, path: str, error: urllib.error.HTTPError, deadline: float) -> KafkaError:
        with error:
            try:
                reason = _line(_read(error, deadline, _MAX_REASON, cut=True).decode(errors="replace"))
            except (OSError, ValueError, http.client.HTTPException):
                reason = ""
        text = f"the schema registry {self._shown} refuses {path}: {error.code} {reason}"
        if error.code == 404:
            return _NotFoundError(text)
        if error.code in (401, 403):
            return _ForbiddenError(text)
        # 3xx: a login page or a gateway in front of it.
        for_now = error.code >= 500 or error.code < 400 or error.code in _FOR_NOW
        return RegistryAwayError(text) if for_now else KafkaError(text)

    def knows(self, key: int) -> bool:
        """Whether a lookup would be answered, be it with KeyError, without asking."""
        if not isinstance(key, avro.RegistryId) or key > _MAX_ID or key in self._known:
            return True
        asked = self._unknown.get(key)
        return asked is not None and time.monotonic() - asked < UNKNOWN_S

    def __getitem__(self, key: int) -> str:
        # Fingerprints are none of its business, and would be as many questions as somebody makes up.
        if not isinstance(key, avro.RegistryId) or key > _MAX_ID:
            raise KeyError(key)
        if not self.knows(key):
            schema = self._learn(int(key))
            if schema is not None:
                return schema
        return self.told(key)

    def told(self, key: int) -> str:
        """A schema that it has told before; KeyError."""
        with self._lock:
            schema = self._known[key]
            self._known.move_to_end(key)
        return schema

    def _learn(self, key: int) -> str | None:
        try:
            schema = self._ask(f"/schemas/ids/{key}").get("schema")
        except RegistryAwayError:
            raise
        except KafkaError as error:
            log.warning("a message has an id that is none: %s", error)
            schema = None
        with self._lock:
            self._known.pop(key, None)
            self._unknown.pop(key, None)
            if isinstance(schema, str):
                self._known[key] = schema
            else:
                self._unknown[key] = time.monotonic()
            while len(self._known) > MAX_KNOWN or sum(map(len, self._known.values())) > MAX_KNOWN_BYTES:
                self._known.popitem(last=False)
            while len(self._unknown) > MAX_UNKNOWN:
                self._unknown.popitem(last=False)
        return schema if isinstance(schema, str) else None

    def __bool__(self) -> bool:
        # Not known yet is not empty.
        return True

    def __iter__(self) -> Iterator[int]:
        with self._lock:
            return iter([avro.RegistryId(key) for key in self._known])

    def __len__(self) -> int:
        return len(self._known)


class Told(Mapping[int, str]):
    """What a registry has told so far: a lookup never asks, and so never waits and never fails."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def __getitem__(self, key: int) -> str:
        if not isinstance(key, avro.RegistryId):
            raise KeyError(key)
        return self._registry.told(key)

    def __iter__(self) -> Iterator[int]:
        return iter(self._registry)

    def __len__(self) -> int:
        return len(self._registry)

    def __bool__(self) -> bool:
        return True


def patiently(ask: Callable[[], _T], wait: Callable[[float], object], longest: float = 5.0) -> _T:
    """What `ask` gives once the registry answers; `wait` is called with seconds between, and raises to give up."""
    pause = 0.25
    while True:
        try:
            answer = ask()
        except RegistryAwayError as error:
            if pause == 0.25:
                log.error("%s; waiting for it", error)
        else:
            if pause > 0.25:
                log.warning("the schema registry answers again")
            return answer
        wait(pause)
        pause = min(longest, pause * 2)


def _read(answer: IO[bytes], deadline: float, most: int = MAX_ANSWER, *, cut: bool = False) -> bytes:
    """All of it; ValueError if it is longer than `most`, unless that may be cut off, or takes past the deadline."""
    parts: list[bytes] = []
    left = most + 1
    # read1: what is there, so that one who sends a byte a second does not hold us for good.
    while left and (part := answer.read1(min(left, 1 << 16))):  # type: ignore[attr-defined]
        parts.append(part)
        left -= len(part)
        if time.monotonic() > deadline:
            raise ValueError("it takes too long")
    if not left and not cut:
        raise ValueError(f"its answer is longer than {most} bytes")
    return b"".join(parts)[:most]


def _shown(url: str) -> str:
    """The URL without what may be a password."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}" if rest else url.rpartition("@")[2]


def _line(text: object) -> str:
    return " ".join(str(text).split())[:_MAX_REASON]
