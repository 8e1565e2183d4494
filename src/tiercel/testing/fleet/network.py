"""Network namespaces for the processes of a fleet, each with a cable to one bridge, which can be pulled."""

import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager


class Network:
    """A bridge of this machine and what is plugged into it, as a context manager. Needs root and iproute2."""

    def __init__(self) -> None:
        # Of the range for benchmarks, which nothing else uses.
        self._subnet = f"198.18.{secrets.randbelow(256)}"
        self._prefix = f"t{secrets.token_hex(3)}"
        self._places: dict[str, int] = {}

    def __enter__(self) -> "Network":
        _ip("link", "add", self._bridge, "type", "bridge")
        _ip("addr", "add", f"{self._subnet}.1/24", "dev", self._bridge)
        _ip("link", "set", self._bridge, "up")
        return self

    def __exit__(self, *_: object) -> None:
        for name in self._places:
            _ip("netns", "del", self._namespace(name), check=False)
        _ip("link", "del", self._bridge, check=False)

    def add(self, name: str) -> tuple[str, ...]:
        """A namespace; the words that run a command in it."""
        number = self._places[name] = len(self._places) + 2
        space, cable = self._namespace(name), self._cable(name)
        _ip("netns", "add", space)
        _ip("link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", space)
        _ip("link", "set", cable, "master", self._bridge, "up")
        _ip("-n", space, "addr", "add", f"{self._subnet}.{number}/24", "dev", "eth0")
        _ip("-n", space, "link", "set", "eth0", "up")
        _ip("-n", space, "link", "set", "lo", "up")
        return ("nsenter", f"--net=/run/netns/{space}", "--")

    def address(self, name: str) -> str:
        """By which the others reach it."""
        return f"{self._subnet}.{self._places[name]}"

    @contextmanager
    def cut(self, name: str) -> Iterator[None]:
        """Its cable is pulled: nobody is told, and connections stay as they are."""
        _ip("link", "set", self._cable(name), "down")
        try:
            yield
        finally:
            _ip("link", "set", self._cable(name), "up")

    @property
    def _bridge(self) -> str:
        return f"{self._prefix}-br"

    def _namespace(self, name: str) -> str:
        return f"{self._prefix}-{name}"

    def _cable(self, name: str) -> str:
        return f"{self._prefix}-{self._places[name]}"


def _ip(*words: str, check: bool = True) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise OSError(f"ip {' '.join(words)}: {done.stderr.strip()}")
