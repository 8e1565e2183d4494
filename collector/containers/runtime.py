"""What a container runtime is to those who ask it."""

from typing import Any, Protocol

# A container with the keys that captures have.
Container = dict[str, Any]

MOST_TEXT = 4096
MOST_ITEMS = 256


class RuntimeUnreachableError(Exception):
    """The runtime does not answer, or not as it should; in one line."""


class BadAnswerError(RuntimeUnreachableError):
    """It answers, but not so that anything is known; another question may fare better."""


class Runtime(Protocol):
    """One socket. Every call ends within `timeout` seconds of construction, whatever the other side does."""

    @property
    def name(self) -> str: ...

    def ids(self) -> list[str]:
        """Full ids of the containers that run; RuntimeUnreachableError."""
        ...

    def inspect(self, container: str) -> Container | None:
        """What is known of this container, None if there is none; RuntimeUnreachableError."""
        ...

    def close(self) -> None: ...


def text(value: object) -> str:
    """A value of a runtime's answer as text that is UTF-8; what is none is empty."""
    return value[:MOST_TEXT].encode(errors="replace").decode() if isinstance(value, str) else ""


def table(value: object) -> dict[str, Any]:
    """A value of a runtime's answer as an object; what is none is empty."""
    return value if isinstance(value, dict) else {}


def items(value: object) -> list[dict[str, Any]]:
    """The objects of a list in a runtime's answer."""
    return [item for item in value if isinstance(item, dict)][:MOST_ITEMS] if isinstance(value, list) else []


def labels(value: object) -> dict[str, str]:
    """Labels, as many as are kept."""
    return {text(key): text(value) for key, value in list(table(value).items())[:MOST_ITEMS]}


def image(reference: str) -> tuple[str, str, str]:
    """Repository, tag and digest of an image's name: `host:5000/a/b:tag@sha256:…`."""
    name, _, digest = reference.partition("@")
    folder, slash, last = name.rpartition("/")
    last, _, tag = last.partition(":")
    return f"{folder}{slash}{last}", tag, digest
