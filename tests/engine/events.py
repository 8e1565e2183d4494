"""Events made by hypothesis after the table: parameters as `Batch.append` takes them, and as Avro carries them."""

import socket
from dataclasses import dataclass
from functools import cache
from typing import Any

from hypothesis import strategies as st

from tiercel.schemas import generated

EVENTS = {row[1]: row for row in generated.EVENTS}
DYNS = {
    "sockopt_dynamic_param": ("bytebuf", "errno", "uint32", "uint64", "reltime"),
    "ptrace_dynamic_param": ("uint64", "sigtype"),
    "keyctl_dynamic_param": ("int64", "charbuf"),
}
WIDTHS = {
    **dict.fromkeys(("uint8", "flags8", "enumflags8", "sigtype"), (1, False)),
    **dict.fromkeys(("uint16", "flags16", "enumflags16", "syscallid", "port"), (2, False)),
    **dict.fromkeys(("uint32", "flags32", "enumflags32", "uid", "gid", "mode", "sigset"), (4, False)),
    **dict.fromkeys(("uint64", "reltime", "abstime"), (8, False)),
    **dict.fromkeys(("int16",), (2, True)),
    **dict.fromkeys(("int32", "fd32", "pid32"), (4, True)),
    **dict.fromkeys(("int64", "errno", "fd", "pid"), (8, True)),
}
PORTS = st.integers(0, 65535)
POINTERS = st.integers(0, 2**64 - 1)


@dataclass(frozen=True)
class Param:
    """One parameter: what `append` takes (and `to_dicts` gives), and the Avro field and value that carry it."""

    given: Any
    field: str = "values"
    carried: Any = None


def _signed(number: int) -> int:
    return number - 2**64 if number >= 2**63 else number


def _ips(length: int) -> st.SearchStrategy[bytes]:
    """Addresses that everyone writes alike: not IPv4 in IPv6."""
    return st.binary(min_size=length, max_size=length).filter(lambda ip: length == 4 or any(ip[:10]))


def _text(text: bytes) -> str:
    return text.decode("utf-8", "surrogateescape")


def _numbers(kind: str) -> st.SearchStrategy[int]:
    width, signed = WIDTHS[kind]
    bits = 8 * width
    return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else st.integers(0, 2**bits - 1)


_TEXTS = st.one_of(st.binary(max_size=12), st.text(max_size=8).map(lambda text: text.encode("utf-8", "surrogatepass")))


def _sockaddrs() -> st.SearchStrategy[Param]:
    def inet(family: int, length: int) -> st.SearchStrategy[Param]:
        def make(ip: bytes, port: int) -> Param:
            given = (family, socket.inet_ntop(family, ip), port)
            return Param(given, "addr", {"family": family, "ip": ip, "port": port, "path": b""})

        return st.builds(make, _ips(length), PORTS)

    def unix(path: bytes) -> Param:
        return Param((1, _text(path)), "addr", {"family": 1, "ip": b"", "port": 0, "path": path})

    def other(family: int) -> Param:
        return Param((family,), "addr", {"family": family, "ip": b"", "port": 0, "path": b""})

    families = st.integers(3, 255).filter(lambda family: family != 10)
    return st.one_of(inet(2, 4), inet(10, 16), st.builds(unix, _TEXTS), st.builds(other, families))


def _tuple(family: int, ends: tuple[bytes, int, bytes, int], path: bytes = b"") -> dict[str, Any]:
    names = ("source", "source_port", "destination", "destination_port")
    return {"family": family, **dict(zip(names, ends, strict=True)), "path": path}


def _socktuples() -> st.SearchStrategy[Param]:
    def inet(family: int, length: int) -> st.SearchStrategy[Param]:
        def make(sip: bytes, sport: int, dip: bytes, dport: int) -> Param:
            given = (family, socket.inet_ntop(family, sip), sport, socket.inet_ntop(family, dip), dport)
            return Param(given, "tuple", _tuple(family, (sip, sport, dip, dport)))

        return st.builds(make, _ips(length), PORTS, _ips(length), PORTS)

    def unix(source: int, destination: int, path: bytes) -> Param:
        ends = (source.to_bytes(8, "little"), 0, destination.to_bytes(8, "little"), 0)
        return Param((1, source, destination, _text(path)), "tuple", _tuple(1, ends, path))

    other = Param((16,), "tuple", _tuple(16, (b"", 0, b"", 0)))
    return st.one_of(inet(2, 4), inet(10, 16), st.builds(unix, POINTERS, POINTERS, _TEXTS), st.just(other))


def _fdlists() -> st.SearchStrategy[Param]:
    items = st.tuples(st.integers(-(2**63), 2**63 - 1), st.integers(-(2**15), 2**15 - 1))
    return st.lists(items, max_size=4).map(
        lambda fds: Param(fds, "fds", [{"fd": fd, "events": events} for fd, events in fds])
    )


@cache
def _dyns(name: str) -> st.SearchStrategy[Param]:
    def row(index: int, kind: str) -> st.SearchStrategy[Param]:
        empty = Param((index, None), "dyns", {"type": index, "value": None})
        return st.one_of(
            st.just(empty),
            plain(kind)
            .filter(lambda p: p.given not in (None, b""))
            .map(lambda p: Param((index, p.given), "dyns", {"type": index, "value": p.carried})),
        )

    none = Param(None, "dyns", {"type": -1, "value": None})
    return st.one_of(st.just(none), *(row(index, kind) for index, kind in enumerate(DYNS[name])))


@cache
def plain(kind: str) -> st.SearchStrategy[Param]:
    """A parameter of a type that `values` holds."""
    if kind in WIDTHS:
        return _numbers(kind).map(lambda number: Param(number, carried=_signed(number)))
    if kind in ("charbuf", "fspath", "fsrelpath"):
        return _TEXTS.map(lambda text: Param(_text(text), carried=text))
    return st.binary(min_size=1, max_size=12).map(lambda data: Param(data, carried=data))


_TYPED = {"sockaddr": _sockaddrs(), "socktuple": _socktuples(), "fdlist": _fdlists()}


@cache
def _param(kind: str, dyn: str | None) -> st.SearchStrategy[Param]:
    if kind == "dyn":
        return _dyns(str(dyn))
    return st.one_of(st.just(Param(None)), _TYPED[kind] if kind in _TYPED else plain(kind))


@dataclass(frozen=True)
class MadeEvent:
    """An event of the table with its parameters, perhaps fewer than the table's."""

    name: str
    time: int
    tid: int
    cpu: int
    params: list[Param]

    def as_dict(self) -> dict[str, Any]:
        """The event as `Batch.to_dicts` tells it."""
        names = [param[0] for param in EVENTS[self.name][6]]
        params = {name: param.given for name, param in zip(names, self.params, strict=False)}
        return {"name": self.name, "time": self.time, "tid": self.tid, "cpu": self.cpu, "params": params}

    def as_avro(self, base: int) -> dict[str, Any]:
        """The event as fastavro reads it from a batch of this time."""
        record: dict[str, Any] = {
            "time": self.time - base,
            "tid": self.tid,
            "cpu": self.cpu,
            "code": EVENTS[self.name][0],
            "values": [param.carried if param.field == "values" else None for param in self.params],
            "addr": None,
            "tuple": None,
            "fds": None,
            "dyns": [param.carried for param in self.params if param.field == "dyns"],
        }
        record.update((p.field, p.carried) for p in self.params if p.field in ("addr", "tuple", "fds"))
        return record


@st.composite
def events(draw: st.DrawFn) -> MadeEvent:
    """Any event of the table."""
    name = draw(st.sampled_from(sorted(EVENTS)))
    table = EVENTS[name][6]
    count = draw(st.one_of(st.just(len(table)), st.integers(0, len(table))))
    params = [draw(_param(kind, dyn)) for _, kind, _, _, dyn, _ in table[:count]]
    time = draw(st.integers(1_795_461_320_000_000_000, 1_795_461_330_000_000_000))
    return MadeEvent(name, time, draw(st.integers(-(2**63), 2**63 - 1)), draw(st.integers(0, 65535)), params)
