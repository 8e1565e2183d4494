"""Networks of a fleet in one machine: each kind of process in a network namespace of its own, with wires to be cut.

A wire is a pair of veth devices between a namespace and the bridge of a network; the machine itself is on each bridge,
too. Needs root and `ip`.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tiercel.errors import TiercelError

# Kafka is reached by one network and the store by another: what is cut off from one still has the other.
KAFKA, STORE = "kafka", "store"
WIRES: Mapping[str, Sequence[str]] = {KAFKA: (KAFKA, "hosts", "worker", "sink"), STORE: (STORE, "sink")}
# 198.18.0.0/15 is for measurements, and nobody's. Two networks of each process of ours.
_FIRST, _PAIRS = (198, 18), 256


def why_not() -> str | None:
    """Why there can be none on this machine."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    return None if shutil.which("ip") and shutil.which("nsenter") else "network namespaces need ip and nsenter"


class Network:
    """The namespaces, as a context manager."""

    def __init__(self) -> None:
        self._mark = f"tc{os.getpid()}"
        self._kinds = sorted({kind for kinds in WIRES.values() for kind in kinds})

    def __enter__(self) -> "Network":
        try:
            for kind in self._kinds:
                _ip("netns", "add", self._space(kind))
                _ip("-n", self._space(kind), "link", "set", "lo", "up")
            for number, (network, kinds) in enumerate(WIRES.items()):
                bridge = f"{self._mark}b{number}"
                _ip("link", "add", bridge, "type", "bridge")
                _ip("addr", "add", f"{_address(number, 1)}/24", "dev", bridge)
                _ip("link", "set", bridge, "up")
                for kind in kinds:
                    wire, end = self._wire(kind, network), f"eth{number}"
                    _ip("link", "add", wire, "type", "veth", "peer", "name", end, "netns", self._space(kind))
                    _ip("link", "set", wire, "master", bridge, "up")
                    _ip("-n", self._space(kind), "addr", "add", f"{self.address(kind, network)}/24", "dev", end)
                    _ip("-n", self._space(kind), "link", "set", end, "up")
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Take all of it away, wires with their namespaces."""
        for kind in self._kinds:
            if Path(f"/run/netns/{self._space(kind)}").exists():
                with suppress(TiercelError):
                    _ip("netns", "del", self._space(kind))
        for number in range(len(WIRES)):
            with suppress(TiercelError):
                _ip("link", "del", f"{self._mark}b{number}")

    def address(self, kind: str, network: str) -> str:
        """Of a kind of process in a network."""
        return _address(list(WIRES).index(network), 2 + list(WIRES[network]).index(kind))

    def inside(self, kind: str) -> list[str]:
        """What a command begins with that runs in the namespace of a kind; the process is the command's own."""
        return ["nsenter", f"--net=/run/netns/{self._space(kind)}"]

    @contextmanager
    def cut(self, kind: str, network: str) -> Iterator[None]:
        """Nothing comes through this wire: nobody is told, as where a cable is pulled."""
        _ip("link", "set", self._wire(kind, network), "down")
        try:
            yield
        finally:
            _ip("link", "set", self._wire(kind, network), "up")

    def _space(self, kind: str) -> str:
        return f"{self._mark}-{kind}"

    def _wire(self, kind: str, network: str) -> str:
        return f"{self._mark}w{list(WIRES).index(network)}{list(WIRES[network]).index(kind)}"


def _address(number: int, last: int) -> str:
    """In the network of this number."""
    place = os.getpid() % _PAIRS * 2 + number
    return f"{_FIRST[0]}.{_FIRST[1] + place // 256}.{place % 256}.{last}"


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise TiercelError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")
