"""Writes capture files of the current format: a batch in, the bytes of a .scap file out. For recordings and tests.

The events by which a host tells its state become the lists at the start of the file, wherever they stand.
"""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tiercel._engine import Batch
from tiercel.schemas import tables

_SECTION, _MACHINE, _PROCESSES, _FILES, _INTERFACES, _USERS = 0x0A0D0D0A, 0x201, 0x215, 0x218, 0x219, 0x220
_EVENT, _LARGE_EVENT = 0x216, 0x221
_MOST_EVENT_BYTES = 1 << 16
_EVENTS = {event.code: event for event in tables.events()}
_PLAIN_FILE, _OPEN_FILE = 1, 16  # the second has flags and device
_WRITABLE, _UPPER_LAYER, _MEMFD, _LOWER_LAYER = 1, 2, 4, 8

Row = tuple[int, int, int, int, list[bytes]]


@dataclass(frozen=True)
class Machine:
    """What a capture tells of its machine; the boot time in UTC ns."""

    hostname: str = "localhost"
    cpus: int = 1
    memory_bytes: int = 0
    max_pid: int = 32768
    boot_time: int = 0


def capture(batch: Batch, machine: Machine | None = None) -> bytes:
    """The batch as a capture file, uncompressed. Start times of listed threads have no place in the format.

    ValueError if an event is larger than the format allows.
    """
    return b"".join(_blocks(batch.encoded(), machine or Machine()))


def _blocks(rows: list[Row], machine: Machine) -> Iterator[bytes]:
    yield _block(_SECTION, struct.pack("<IHHQ", 0x1A2B3C4D, 1, 2, 2**64 - 1))
    host = machine.hostname.encode()[:127]
    numbers = (machine.boot_time, 0, 0, 0)
    yield _block(
        _MACHINE, struct.pack("<IQQ128s4Q", machine.cpus, machine.memory_bytes, machine.max_pid, host, *numbers)
    )
    listed = {name: [row for row in rows if _name(row) == name] for name in ("thread_snapshot", "interface_snapshot")}
    users = [row for row in rows if _is_user(row)]
    files: dict[int, list[bytes]] = {}
    for row in rows:
        if _name(row) == "fd_snapshot":
            files.setdefault(row[2], []).append(_file(row[4]))
    yield from _list(_INTERFACES, map(_interface, listed["interface_snapshot"]))
    yield from _list(_USERS, map(_user, users))
    yield from _list(_PROCESSES, map(_process, listed["thread_snapshot"]))
    for tid, entries in files.items():
        yield _block(_FILES, struct.pack("<q", tid) + b"".join(entries))
    for row in rows:
        if not _name(row).endswith("_snapshot") and not _is_user(row):
            yield _event(row)


def _name(row: Row) -> str:
    return _EVENTS[row[0]].name


def _is_user(row: Row) -> bool:
    """Users and groups of the host itself; those of containers are events."""
    return _name(row) in {"useradded", "groupadded"} and not _text(row[4][-1])


def _block(kind: int, body: bytes) -> bytes:
    body += bytes(-len(body) % 4)
    length = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + length + body + length


def _list(kind: int, entries: Iterable[bytes]) -> Iterator[bytes]:
    if body := b"".join(entries):
        yield _block(kind, body)


def _text(param: bytes) -> bytes:
    return param.removesuffix(b"\0")


def _string(param: bytes) -> bytes:
    return struct.pack("<H", len(param)) + param


def _entry(*parts: bytes) -> bytes:
    """Its length, which counts itself, and the parts."""
    body = b"".join(parts)
    return struct.pack("<I", len(body) + 4) + body


def _user(row: Row) -> bytes:
    params = row[4]
    texts = [_string(_text(param)) for param in params[1:-1]]
    if _name(row) == "groupadded":
        return _entry(b"\1", params[0], *texts)
    return _entry(b"\0", *params[:2], *texts[1:])


def _interface(row: Row) -> bytes:
    name, address, netmask, broadcast = row[4]
    size = len(address)
    masks = netmask.ljust(size, b"\0") + broadcast.ljust(size, b"\0")
    head = struct.pack("<HH", 1 if size == 4 else 2, len(_text(name)))
    body = head + address + masks + bytes(8) + _text(name)
    return struct.pack("<I", len(body)) + body


def _process(row: Row) -> bytes:
    names = [param.name for param in _EVENTS[row[0]].params]
    known = dict(zip(names, row[4], strict=False))

    def wide(*wanted: str) -> bytes:
        return b"".join(known.get(name, b"").ljust(8, b"\0") for name in wanted)

    def short(*wanted: str) -> bytes:
        return b"".join(known.get(name, b"").ljust(4, b"\0") for name in wanted)

    def texts(*wanted: str) -> bytes:
        return b"".join(_string(_text(known.get(name, b""))) for name in wanted)

    def buffer(name: str) -> bytes:
        return _string(known.get(name, b""))

    exe_flags = int.from_bytes(known.get("exe_flags", b""), "little")

    def flag(bit: int) -> bytes:
        return b"\1" if exe_flags & bit else b"\0"

    return _entry(
        struct.pack("<q", row[2]),
        wide("pid", "ptid", "sid", "vpgid"),
        texts("comm", "exe", "exepath"),
        buffer("args"),
        texts("cwd"),
        wide("fdlimit"),
        short("flags", "uid", "gid", "vm_size", "vm_rss", "vm_swap"),
        wide("pgft_maj", "pgft_min"),
        buffer("env"),
        wide("vtid", "vpid"),
        buffer("cgroups"),
        texts("root"),
        wide("pidns_init_start_ts"),
        short("tty", "loginuid"),
        flag(_WRITABLE),
        wide("cap_inheritable", "cap_permitted", "cap_effective"),
        flag(_UPPER_LAYER),
        wide("exe_ino", "exe_ino_ctime", "exe_ino_mtime"),
        flag(_MEMFD),
        flag(_LOWER_LAYER),
        wide("pgid"),
    )


def _file(params: list[bytes]) -> bytes:
    fd, kind, name, flags, dev, ino, l4, ends, address = params
    number, text, protocol = kind[0], _text(name), l4 or b"\0"
    if number == _PLAIN_FILE and flags:
        number = _OPEN_FILE
    match number:
        case 3 | 4:
            size = 4 if number == 3 else 16
            source, sport, destination, dport = struct.unpack(f"<{size}s2s{size}s2s", ends[1:])
            payload = source + destination + sport + dport + protocol
        case 5 | 6:
            payload = address[1:] + protocol
        case 8:
            payload = ends[1:17].ljust(16, b"\0") + _string(text or _text(ends[17:]))
        case 16:
            payload = flags.ljust(4, b"\0") + _string(text) + dev
        case _:
            payload = _string(text)
    return _entry(fd, ino.ljust(8, b"\0"), bytes([number]), payload)


def _event(row: Row) -> bytes:
    code, time, tid, cpu, params = row
    large = "large_payload" in _EVENTS[code].flags
    if not large and 28 + sum(len(param) + 2 for param in params) > _MOST_EVENT_BYTES:
        raise ValueError(f"a {_name(row)} event of so many bytes does not fit into a capture")
    lengths = struct.pack(f"<{len(params)}{'I' if large else 'H'}", *map(len, params))
    data = b"".join(params)
    head = struct.pack("<HQqIHI", cpu, time, tid, 26 + len(lengths) + len(data), code, len(params))
    body = head + lengths + data
    return _block(_LARGE_EVENT if large else _EVENT, body)
