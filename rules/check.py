"""Checks what a condition means: fields exist, operators fit their types, constants can be read.

`check_condition` raises ConditionError at the first fault and returns warnings; `constants` gives the
constants of a check as the engine compares them.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from dataclasses import dataclass

from tiercel import _engine
from tiercel.rules.fields import check_event_type, resolve
from tiercel.rules.parse import TRANSFORMERS, ConditionError
from tiercel.rules.tree import Call, Check, FieldRef, Items, Node, Operand, Text, fold, fold_operand, written
from tiercel.schemas import tables

TEXTS = frozenset({"charbuf", "fspath", "fsrelpath"})
BUFFERS = frozenset({"bytebuf"})
ADDRESSES = frozenset({"ipv4addr", "ipv6addr", "ipaddr"})
NETWORKS = frozenset({"ipv4net", "ipv6net", "ipnet"})
EQUALITY = frozenset({"=", "!=", "in", "intersects", "exists"})
OPERATORS = (
    (
        TEXTS,
        EQUALITY
        | {"<", "<=", ">", ">=", "contains", "icontains", "startswith", "endswith", "glob", "iglob", "regex", "pmatch"},
    ),
    (BUFFERS, EQUALITY | {"contains", "startswith", "endswith", "bcontains", "bstartswith"}),
    (ADDRESSES | NETWORKS | {"bool"}, EQUALITY),
)
NUMBER_OPERATORS = EQUALITY | {"<", "<=", ">", ">="}
OPAQUE = frozenset({"sockaddr", "socktuple", "fdlist", "sigset", "charbufarray", "charbuf_pair_array", "dyn"})
"""Types of parameters that `evt.rawarg` finds but cannot compare."""
LIST_OPERATORS = frozenset({"in", "intersects", "exists"})
UNSIGNED = {
    "uint8": 8,
    "uint16": 16,
    "uint32": 32,
    "uint64": 64,
    "port": 16,
    "reltime": 64,
    "abstime": 64,
    "flags32": 32,
}
MAX_TEXT = 255
MAX_FAULTS = 20
"""Faults of one condition that are told: each costs a search for what was meant."""
EVENT_TYPES = ("evt.type", "syscall.type")
HOST_NAMES = ("fd.cip.name", "fd.sip.name", "fd.lip.name", "fd.rip.name")
NUMBER = re.compile(r"[+-]?[0-9]+")
FRACTION = re.compile(r"[+-]?[0-9]{1,30}(?:\.[0-9]{1,30})?")

Constant = int | float | bool | str


@dataclass(frozen=True, slots=True)
class Type:
    """Type of an operand: a type of the tables, and whether there are many of it."""

    name: str
    many: bool = False

    def __str__(self) -> str:
        return f"list of {self.name}" if self.many else self.name


@dataclass(frozen=True, slots=True)
class ConditionWarning:
    """Something odd in a condition, with Falco's code."""

    code: str
    message: str
    at: int


def check_condition(tree: Node) -> list[ConditionWarning]:
    """Raise ConditionError at the first thing that makes no sense; return what is only odd."""
    errors, warnings = examine(tree)
    for error in errors:
        raise error
    return warnings


def examine(tree: Node) -> tuple[list[ConditionError], list[ConditionWarning]]:
    """What makes no sense (the first MAX_FAULTS), and what is only odd, in order of the text."""
    errors: list[ConditionError] = []
    warnings: list[ConditionWarning] = []

    def visit(node: Node, _: list[None]) -> None:
        if isinstance(node, Check) and len(errors) < MAX_FAULTS:
            try:
                warnings.extend(check_one(node))
            except ConditionError as error:
                errors.append(error)

    fold(tree, visit)
    return errors, warnings


def check_one(check: Check) -> list[ConditionWarning]:
    """As check_condition, for one comparison."""
    left = type_of(check.left)
    if isinstance(check.left, Call) and _transformed_field(check.left) in EVENT_TYPES:
        raise ConditionError(
            "evt.type and syscall.type cannot be transformed: a rule's events follow from them", check.at
        )
    _check_operator(check, left)
    if isinstance(check.right, Call):
        _check_right_operand(check, left, check.right)
    elif check.right is not None:
        constants(check)
    return _warnings(check)


def _check_operator(check: Check, left: Type) -> None:
    allowed = operators(left)
    if check.operator not in allowed:
        shown = " ".join(sorted(allowed))
        raise ConditionError(
            f"'{check.operator}' cannot compare {written(check.left)} ({left}); it knows {shown}", check.at
        )
    around = isinstance(check.left, FieldRef) and check.left.name == "evt.around"
    if around and check.operator not in ("=", "exists"):
        raise ConditionError(f"'{check.operator}' cannot compare evt.around: it knows =, with ms", check.at)
    unordered = left.name in ADDRESSES | NETWORKS
    if check.modifier and unordered and check.operator not in ("=", "!="):
        raise ConditionError(
            f"'{check.operator} {check.modifier}' cannot compare {written(check.left)} ({left})", check.at
        )


def operators(of: Type) -> frozenset[str]:
    """The operators that a type allows."""
    if of.many:
        return LIST_OPERATORS
    if of.name in OPAQUE:
        return frozenset({"exists"})
    return next((found for names, found in OPERATORS if of.name in names), NUMBER_OPERATORS)


def _warnings(check: Check) -> list[ConditionWarning]:
    out = []
    if isinstance(check.left, FieldRef) and "deprecated" in resolve(check.left).field.flags:
        out.append(
            ConditionWarning("LOAD_DEPRECATED_ITEM", f"the field {check.left.name} is deprecated", check.left.at)
        )
    texts = [check.right] if isinstance(check.right, Text) else check.right if isinstance(check.right, tuple) else []
    for text in texts:
        name = text.text.partition("(")[0]
        if text.text in tables.fields() or (name in TRANSFORMERS and text.text.endswith(")") and name != text.text):
            message = f"'{text.text}' is compared as text; write val({text.text}) for the field's value"
            out.append(ConditionWarning("LOAD_COMPILE_CONDITION", message, text.at))
        elif check.operator == "regex" and (simpler := _simpler(text.text)):
            out.append(
                ConditionWarning(
                    "LOAD_COMPILE_CONDITION", f"'{text.text}' needs no regex: {simpler} is faster", text.at
                )
            )
    return out


def _simpler(pattern: str) -> str | None:
    """The operator that does the same as a pattern of literal text and `.*` around it."""
    found = re.fullmatch(r"(\^?)(\.[*+?])?([\w <>/:-]*)(\.[*+?])?(\$?)", pattern)
    if not found:
        return None
    before, after = found[2], found[4]
    return "contains" if before and after else "endswith" if before else "startswith" if after else "="


# Types of operands


def type_of(operand: Operand) -> Type:
    """The type of an operand; ConditionError if it has none."""
    return fold_operand(operand, _type_of)


def _type_of(operand: Operand, below: list[Type]) -> Type:
    match operand:
        case FieldRef():
            resolved = resolve(operand)
            if resolved.field.type == "dyn":
                return Type(raw_type(str(resolved.argument)))
            return Type(resolved.field.type, resolved.field.list)
        case Text():
            return Type("charbuf")
        case Items():
            return Type("charbuf", many=True)
        case Call():
            return _type_of_call(operand, below)


def _type_of_call(call: Call, below: list[Type]) -> Type:
    def fail(message: str) -> ConditionError:
        return ConditionError(f"{call.name}() {message}", call.at)

    if call.name != "getopt" and call.selector is not None:
        raise fail("takes no [argument]")
    for argument in call.arguments:
        flags = resolve(argument).field.flags if isinstance(argument, FieldRef) else ()
        if "no_transformer" in flags and call.name != "val":
            raise fail(f"cannot transform {written(argument)}")
    if call.name in ("val", "tolower", "toupper", "basename", "b64", "len"):
        if len(call.arguments) != 1:
            raise fail("takes one argument")
        return _type_of_simple(call.name, below[0], fail)
    match call.name, below:
        case "join", [Type("charbuf", False), Type(_, True)]:
            return Type("charbuf")
        case "join", _:
            raise fail("takes a separator and a list")
        case "concat", [_, _, *_] if all(not part.many and part.name in TEXTS for part in below):
            return Type("charbuf")
        case "concat", _:
            raise fail("takes two or more texts")
        case "getopt", [Type(_, True), Type("charbuf", False)] if isinstance(call.arguments[1], Text):
            if call.selector is not None and len(call.selector) != 1:
                raise fail("takes one letter in [ ]")
            return Type("charbuf", many=call.selector is None)
        case _:
            raise fail("takes a list of arguments and the options as text")


def _type_of_simple(name: str, of: Type, fail: object) -> Type:
    known = TEXTS | BUFFERS
    fits = {
        "val": True,
        "len": of.many or of.name in known,
        "b64": of.name in {"charbuf", "bytebuf"},
    }.get(name, of.name in TEXTS)
    if not fits:
        raise fail(f"cannot transform a value of type {of}")  # type: ignore[operator]
    return Type("uint64") if name == "len" else of


def _check_right_operand(check: Check, left: Type, right: Call) -> None:
    if isinstance(check.left, FieldRef) and check.left.name in EVENT_TYPES:
        raise ConditionError(f"{check.left.name} can only be compared with names of events", check.at)
    if check.operator in ("pmatch", "regex", "exists") or left.name in NETWORKS:
        raise ConditionError(f"'{check.operator}' cannot compare {written(check.left)} with a field", check.at)
    inner = right.arguments[0] if right.name == "val" else None
    for operand in (check.left, inner):
        if isinstance(operand, FieldRef) and "no_rhs" in resolve(operand).field.flags:
            raise ConditionError(f"{written(operand)} cannot be compared with a field", right.at)
    found = type_of(right)
    one_in_list = check.operator in ("in", "intersects") and found.many and found.name == left.name
    if found != left and not one_in_list:
        raise ConditionError(f"{written(check.left)} is of type {left}, {written(right)} of type {found}", right.at)


# Constants


def constants(check: Check) -> list[Constant]:
    """The constants right of the operator, as the engine compares them; raises ConditionError."""
    right = (check.right,) if isinstance(check.right, Text) else check.right
    assert isinstance(right, tuple)
    if check.operator in ("bcontains", "bstartswith"):
        return [_hex(text) for text in right]
    of = type_of(check.left)
    plain = of.name in TEXTS and check.operator != "regex" and not _asks_type(check)
    if plain and all(len(text.text) <= MAX_TEXT // 4 and "\0" not in text.text for text in right):
        return [text.text for text in right]
    return [_constant(check, of, text) for text in right]


def _asks_type(check: Check) -> bool:
    return isinstance(check.left, FieldRef) and check.left.name in EVENT_TYPES


def _transformed_field(operand: Operand) -> str | None:
    """The field in transformers of one argument, however many."""
    while isinstance(operand, Call) and len(operand.arguments) == 1:
        operand = operand.arguments[0]
    return operand.name if isinstance(operand, FieldRef) else None


def _hex(text: Text) -> str:
    if not re.fullmatch(r"(?:[0-9a-fA-F]{2})+", text.text):
        raise ConditionError(f"'{text.text}' must be hex digits, two a byte", text.at)
    return bytes.fromhex(text.text).decode("utf-8", "surrogateescape")


def _constant(check: Check, of: Type, text: Text) -> Constant:
    name = of.name
    if _asks_type(check) and check.operator in ("=", "!=", "in", "intersects"):
        check_event_type(text.text, text.at)
    if name in TEXTS or name in BUFFERS or of.many:
        return _text(check, text, nul=name in BUFFERS)
    if name == "bool":
        if text.text not in ("true", "false"):
            raise ConditionError(f"'{text.text}' must be true or false", text.at)
        return text.text == "true"
    if name in ADDRESSES:
        return _address(text)
    if name in NETWORKS:
        return _network(text)
    if name == "port" and not NUMBER.fullmatch(text.text):
        return service(text)
    return fraction(text) if name == "double" else number(text, name)


def fraction(text: Text) -> float:
    """A constant of type double."""
    if not FRACTION.fullmatch(text.text):
        raise ConditionError(f"'{text.text}' is not a valid number", text.at)
    return float(text.text)


def raw_type(parameter: str) -> str:
    """Type of `evt.rawarg.<parameter>`: that of the first event which has it."""
    return next(
        (param.type for event in tables.events() for param in event.params if param.name == parameter), "charbuf"
    )


def _text(check: Check, text: Text, *, nul: bool) -> str:
    if "\0" in text.text and not nul:
        raise ConditionError("a value cannot hold a NUL byte", text.at)
    if len(text.text.encode("utf-8", "surrogateescape")) > MAX_TEXT:
        raise ConditionError(f"a value cannot be longer than {MAX_TEXT} bytes", text.at)
    if check.operator == "regex":
        pattern = text.text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        if error := _engine.regex_error(pattern):
            raise ConditionError(f"the regular expression '{pattern}' is wrong: {error}", text.at)
    return text.text


def number(text: Text, name: str) -> int:
    """A constant of an integer type; a negative one of an unsigned type wraps around, as Falco's do."""
    if not NUMBER.fullmatch(text.text):
        raise ConditionError(f"'{text.text}' is not a valid number", text.at)
    value = int(text.text[:40])
    bits = UNSIGNED.get(name, 64)
    if not -(1 << 63) <= value < 1 << 64:
        raise ConditionError(f"'{text.text}' is too large a number", text.at)
    return value % (1 << bits) if name in UNSIGNED and value < 0 else value


def service(text: Text) -> int:
    """The port of a service by its name; none is 0."""
    if not text.text:
        return 0
    for protocol in ("tcp", "udp"):
        try:
            return socket.getservbyname(text.text, protocol)
        except (OSError, ValueError):
            continue
    raise ConditionError(f"'{text.text}' is neither a port nor a service that /etc/services knows", text.at)


def _address(text: Text) -> str:
    kind = ipaddress.IPv4Address if "." in text.text else ipaddress.IPv6Address
    try:
        return str(kind(text.text))
    except ValueError as error:
        raise ConditionError(f"'{text.text}' is no IP address", text.at) from error


def _network(text: Text) -> str:
    address, slash, bits = text.text.partition("/")
    kind = ipaddress.IPv4Network if "." in address else ipaddress.IPv6Network
    try:
        if not slash or not bits.isdigit():
            raise ValueError(bits)
        return str(kind(text.text, strict=False))
    except ValueError as error:
        raise ConditionError(f"'{text.text}' is no network; write address/bits", text.at) from error
