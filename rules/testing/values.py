"""Values of parameters as a person writes them: names of flags, errors, signals and users, addresses, data."""

from __future__ import annotations

import errno
import signal
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tiercel.rules.document import Element, Mapping, Scalar, Sequence
from tiercel.rules.testing import descriptors
from tiercel.rules.testing.form import Form, integer, meant
from tiercel.schemas import generated, tables

if TYPE_CHECKING:
    from tiercel.rules.testing.world import World

    Word = Callable[[Form, str, Element, World], int]

ERRORS = {name: -code for code, name in errno.errorcode.items()} | {"EOPNOTSUPP": -95, "EDEADLK": -35, "SUCCESS": 0}
AT_FDCWD = -100
SOCKET_TYPES = {name: int(value) for name, value in vars(socket).items() if name.startswith("SOCK_")}
IP_PROTOCOLS = {name.removeprefix("IPPROTO_").lower(): int(value) for name, value in vars(socket).items()
                if name.startswith("IPPROTO_")}  # fmt: skip
SYSCALLS: dict[str, tuple[int, int]] = {row[1]: (row[2], row[0]) for row in generated.SYSCALLS}
"""Name of a system call → its number in captures, its number for the kernel."""
SIGNALS = {sig.name: int(sig) for sig in signal.Signals}
DYNS = {
    "sockopt_dynamic_param": ("bytebuf", "errno", "uint32", "uint64", "reltime"),
    "ptrace_dynamic_param": ("uint64", "sigtype"),
    "keyctl_dynamic_param": ("int64", "charbuf"),
}


def value(form: Form, param: tables.Param, element: Element, world: World) -> Any:
    """What `Batch.append` takes for this parameter."""
    if isinstance(element, Scalar) and element.null:
        return None
    if param.type in READERS:
        return READERS[param.type](form, param, element, world)
    if param.type in ("pid", "pid32") and isinstance(element, Mapping):
        return world.pid_of(element)
    text = form.text(element, param.name)
    number = integer(text)
    if number is not None:
        return number
    if param.flags:
        return flags(form, param.flags, element)
    reader = WORDS.get(param.name if param.type == "uint32" else param.type)
    if reader is None:
        raise form.error(f"{param.name} must be a number, not {text!r}", element)
    return reader(form, text, element, world)


def _bytes(form: Form, param: tables.Param, element: Element, world: World) -> Any:
    if isinstance(element, Sequence):
        return form.texts(element, param.name)
    return form.text(element, param.name).encode("utf-8", "surrogateescape")


def _text(form: Form, param: tables.Param, element: Element, world: World) -> str:
    return form.text(element, param.name)


def _address(form: Form, param: tables.Param, element: Element, world: World) -> Any:
    return descriptors.address(descriptors.end(form, form.text(element, param.name), element))


def _tuple(form: Form, param: tables.Param, element: Element, world: World) -> Any:
    text = form.text(element, param.name)
    return descriptors.pair(form, *descriptors.ends(form, text, element), element)


def _list(form: Form, param: tables.Param, element: Element, world: World) -> Any:
    return [(world.descriptor(item), 1) for item in form.items(element, param.name)]


def _dynamic(form: Form, param: tables.Param, element: Element, world: World) -> tuple[int, Any]:
    """The first row of the parameter's types that what is written fits."""
    text, types = form.text(element, param.name), DYNS[str(param.dyn)]
    number = integer(text)
    for row, kind in enumerate(types):
        if kind in ("uint64", "int64", "uint32") and number is not None:
            return row, number
        if kind in ("sigtype", "errno") and text in (SIGNALS if kind == "sigtype" else ERRORS):
            return row, (SIGNALS if kind == "sigtype" else ERRORS)[text]
        if kind == "charbuf" and number is None:
            return row, text
    if "bytebuf" in types:
        return types.index("bytebuf"), text.encode("utf-8", "surrogateescape")
    raise form.error(f"{param.name} must be a number, not {text!r}", element)


READERS: dict[str, Callable[[Form, tables.Param, Element, World], Any]] = {
    **dict.fromkeys(("charbuf", "fspath", "fsrelpath"), _text),
    **{"bytebuf": _bytes, "sockaddr": _address, "socktuple": _tuple, "fdlist": _list, "dyn": _dynamic},
}


def _named(what: str, known: dict[str, int]) -> Word:
    def read(form: Form, text: str, at: Element, world: World) -> int:
        if text not in known:
            raise form.unknown(what, text, known, at)
        return known[text]

    return read


def _error(form: Form, text: str, at: Element, world: World) -> int:
    return _named("error", ERRORS)(form, text.removeprefix("-"), at, world)


def _descriptor(form: Form, text: str, at: Element, world: World) -> int:
    if text == "AT_FDCWD":
        return AT_FDCWD
    return ERRORS[text.removeprefix("-")] if text.removeprefix("-") in ERRORS else world.descriptor(at)


def _process(form: Form, text: str, at: Element, world: World) -> int:
    return ERRORS[text.removeprefix("-")] if text.removeprefix("-") in ERRORS else world.pid_of(at)


def _user(form: Form, text: str, at: Element, world: World) -> int:
    return world.people.user(text).uid


def _group(form: Form, text: str, at: Element, world: World) -> int:
    return world.people.group(text)


def _time(form: Form, text: str, at: Element, world: World) -> int:
    return form.duration(at, "a time")


WORDS: dict[str, Word] = {
    **dict.fromkeys(("errno", "int64"), _error),
    **dict.fromkeys(("fd", "fd32"), _descriptor),
    **dict.fromkeys(("pid", "pid32"), _process),
    **dict.fromkeys(("reltime", "abstime"), _time),
    **{"uid": _user, "gid": _group},
    **{"type": _named("socket type", SOCKET_TYPES), "proto": _named("protocol", IP_PROTOCOLS)},
    **{
        "sigtype": _named("signal", SIGNALS),
        "syscallid": _named("system call", {n: i for n, (i, _) in SYSCALLS.items()}),
    },
}
"""Words for numbers, by the type of the parameter, or where that is a mere number by its name."""


def flags(form: Form, table: str, element: Element) -> int:
    """`O_RDWR|O_CREAT` as the number that events carry."""
    known: dict[str, int] = generated.FLAGS[table]
    text = form.text(element, "flags")
    number = 0
    for name in filter(None, (part.strip() for part in text.split("|"))):
        # Some tables leave out the prefix that the kernel's headers have: MS_RDONLY is RDONLY.
        value = known.get(name, known.get(name.partition("_")[2], integer(name)))
        if value is None:
            raise form.error(f"unknown flag {name}{meant(name, known)} (of {', '.join(known)})", element)
        number |= value
    return number
