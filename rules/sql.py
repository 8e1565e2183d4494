"""A condition as ClickHouse SQL over schemas/clickhouse: what the engine says of an event, SQL says of its row.

Constants travel as query parameters, never as text. Each comparison is wrapped so that absence is false before
`not` sees it (Falco's rule). What has no SQL form is refused with the field and the reason; nothing is approximated.
"""

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tiercel.rules import columns as store
from tiercel.rules.check import NUMBER, check_condition, number, service
from tiercel.rules.columns import Column
from tiercel.rules.fields import resolve
from tiercel.rules.parse import ConditionError
from tiercel.rules.tree import And, Call, Check, FieldRef, MacroCall, Node, Not, Operand, Or, Text, fold, written
from tiercel.schemas import tables

Test = Callable[[str], str]

_TEXT_OPERATORS = frozenset(["contains", "icontains", "startswith", "endswith", "glob", "iglob", "regex", "pmatch"])


@dataclass(frozen=True)
class Sql:
    """A boolean expression over `events`, and the parameters that it names."""

    text: str
    parameters: dict[str, Any]


def compile(tree: Node) -> Sql:  # noqa: A001
    """The expression that is true of exactly those rows of `events` whose events satisfy the condition."""
    check_condition(tree)
    compiler = _Compiler()
    return Sql(fold(tree, compiler.node), compiler.parameters)


class _Compiler:
    def __init__(self) -> None:
        self.parameters: dict[str, Any] = {}

    def parameter(self, value: Any, kind: str) -> str:
        name = f"p{len(self.parameters)}"
        self.parameters[name] = value
        return f"{{{name}:{kind}}}"

    def node(self, node: Node, below: list[str]) -> str:
        match node:
            case And():
                return f"({' AND '.join(below)})"
            case Or():
                return f"({' OR '.join(below)})"
            case Not():
                return f"(NOT {below[0]})"
            case Check():
                return self.check(node)
            case MacroCall():
                raise ConditionError(f"{node.name} is no field, and there is no macro of that name", node.at)

    def check(self, check: Check) -> str:
        """One comparison: a test of the event's own columns, or of the columns of its process."""
        left, field = self.operand(check.left)
        if isinstance(check.right, Call):
            right, _ = self.operand(check.right)
            pairs = [(a, b) for a in left for b in right if a.table == b.table]
            if not pairs:
                names = f"{written(check.left)} and {written(check.right)}"
                places = f"one is of {left[0].table}, one of {right[0].table}"
                raise ConditionError(f"{names} have no SQL form together: {places}", check.at)
            column, other = pairs[0]
            if column.on_host or other.on_host:
                raise ConditionError(f"{written(check.left)} has no SQL form here: one of many tables", check.at)
            if other.many or column.many:
                raise ConditionError(f"{written(check.left)} has no SQL form here: one of many values", check.at)
            text = self.against(check, column, other)
            return _placed(column, f"{text} AND {other.guard}" if other.guard else text)
        column = left[0]
        text = _placed(column, self.constant(check, column, field))
        if column.on_host:
            host = Column(column.on_host, "events", column.kind, guard="process != 0 AND container_id = 'host'")
            text = f"({text} OR {_placed(host, self.constant(check, host, field))})"
        return text

    def operand(self, operand: Operand) -> tuple[list[Column], tables.Field | None]:
        """The ways to write an operand; the field that it is, if it is one."""
        match operand:
            case FieldRef():
                known = resolve(operand)
                found = store.columns(known.field, known.argument)
                if isinstance(found, str):
                    raise ConditionError(f"{written(operand)} has no SQL form: it {found}", operand.at)
                return found, known.field
            case Call(name="val"):
                return self.operand(operand.arguments[0])
            case Call(name="tolower" | "toupper" | "basename" | "len"):
                below, _ = self.operand(operand.arguments[0])
                return [_applied(operand.name, column) for column in below], None
            case Text():
                text = self.text(operand)
                return [Column(text, table, "text") for table in ("events", "processes", "containers")], None
            case _:
                raise ConditionError(f"{written(operand)} has no SQL form", operand.at)

    def constant(self, check: Check, column: Column, field: tables.Field | None) -> str:
        """A comparison with constants, as a test of the column."""
        if check.operator == "exists":
            if column.kind in ("ip", "port", "net") and column.many:
                return "fd_type IS NOT NULL"
            return f"notEmpty({column.text})" if column.many else f"{column.text} IS NOT NULL"
        values = check.right if isinstance(check.right, tuple) else (check.right,)
        constants = [value for value in values if isinstance(value, Text)]
        if check.operator in ("in", "intersects"):
            tests = [self.among(column, constants, field, check)] if constants else [lambda _: "0"]
        elif column.kind != "text" and check.operator in _TEXT_OPERATORS:
            raise ConditionError(f"{written(check.left)}: the operator {check.operator} wants text", check.at)
        elif check.operator == "pmatch":
            pattern = self.parameter("|".join(_path_pattern(c.text) for c in constants) or "[^\\s\\S]", "String")
            tests = [lambda x: f"match({x}, {pattern})"]
        else:
            tests = [self.single(column, check, constant, field) for constant in constants]
        if check.modifier == "oneof":
            return _any(column, lambda x: f"({' + '.join(f'ifNull({test(x)}, 0)' for test in tests) or '0'}) = 1")
        join = " AND " if check.modifier == "allof" else " OR "
        if check.operator == "!=" and column.many and column.kind in ("ip", "net", "port"):
            equal = _any(column, lambda x: join.join(f"NOT ({test(x)})" for test in tests))
            return f"notEmpty({column.text}) AND NOT ({equal})"
        if len(tests) == 1:
            return _any(column, tests[0])
        return _any(column, lambda x: join.join(f"({test(x)})" for test in tests) or "0")

    def single(self, column: Column, check: Check, constant: Text, field: tables.Field | None) -> Test:
        """The test of a value against one constant."""
        operator = "=" if check.operator == "==" else check.operator
        if column.kind == "net":
            first, last = (self.parameter(str(a), "IPv6") for a in _network(constant, check))
            inside: Test = lambda x: f"({x} >= {first} AND {x} <= {last})"  # noqa: E731
            return inside if operator == "=" else lambda x: f"NOT {inside(x)}"
        if operator in ("=", "!=", "<", "<=", ">", ">="):
            value = self.value(column, constant, field, check)
            return lambda x: f"{x} {operator} {value}"
        if operator == "regex":
            pattern = self.parameter(f"^(?-s:{constant.text})$", "String")
            return lambda x: f"match({x}, {pattern})"
        if operator in ("glob", "iglob"):
            flags = "si" if operator == "iglob" else "s"
            pattern = self.parameter(f"^(?{flags}:{_glob(constant.text, '.')})$", "String")
            return lambda x: f"match({x}, {pattern})"
        return self.text_function(check, self.text(constant))

    def text_function(self, check: Check, value: str) -> Test:
        match check.operator:
            case "contains":
                return lambda x: f"position({x}, {value}) > 0"
            case "icontains":
                return lambda x: f"position(lower({x}), lower({value})) > 0"
            case "startswith":
                return lambda x: f"startsWith({x}, {value})"
            case "endswith":
                return lambda x: f"endsWith({x}, {value})"
        raise ConditionError(
            f"{written(check.left)} {check.operator} has no SQL form: buffers are not stored", check.at
        )

    def among(self, column: Column, constants: list[Text], field: tables.Field | None, check: Check) -> Test:
        """Membership: `IN` for one value (it may use an index), `has` within an array."""
        if column.kind == "net":
            one = Check(check.left, "=", None, None, check.at)
            tests = [self.single(column, one, constant, field) for constant in constants]
            return lambda x: " OR ".join(test(x) for test in tests)
        if column.kind == "text" and all(_is_utf8(c.text) for c in constants):
            array = self.parameter([c.text for c in constants], "Array(String)")
        else:
            array = f"[{', '.join(self.value(column, constant, field, check) for constant in constants)}]"
        return lambda x: f"has({array}, {x})" if column.many else f"{x} IN {array}"

    def value(self, column: Column, constant: Text, field: tables.Field | None, check: Check) -> str:
        """A constant as a parameter of the column's type."""
        text = constant.text
        match column.kind:
            case "text":
                return self.text(constant)
            case "bool":
                if text not in ("true", "false"):
                    raise ConditionError(f"{written(check.left)}: {text!r} is neither true nor false", constant.at)
                return self.parameter(int(text == "true"), "UInt8")
            case "ip" | "net":
                return self.parameter(str(_address(constant, check)), "IPv6")
            case "port":
                port = number(constant, "port") if NUMBER.fullmatch(text) else service(constant)
                return self.parameter(port, "Int64")
            case "int":
                value = number(constant, field.type if field else "int64")
                return self.parameter(value, "UInt64" if value >= 1 << 63 else "Int64")

    def text(self, constant: Text) -> str:
        if _is_utf8(constant.text):
            return self.parameter(constant.text, "String")
        return f"unhex({self.parameter(constant.text.encode('utf-8', 'surrogateescape').hex(), 'String')})"

    def against(self, check: Check, column: Column, other: Column) -> str:
        """A comparison of two values of the same row."""
        operator = "=" if check.operator == "==" else check.operator
        if operator in ("in", "intersects"):
            operator = "="
        if operator in ("=", "!=", "<", "<=", ">", ">="):
            return f"{column.text} {operator} {other.text}"
        return self.text_function(check, other.text)(column.text)


def _placed(column: Column, test: str) -> str:
    """The test of an event: never NULL; through the table of processes or containers where the column is there."""
    if column.table == "processes":
        return f"((host_id, boot_id, process) IN (SELECT host_id, boot_id, id FROM processes WHERE ifNull({test}, 0)))"  # noqa: S608 -- constants are parameters
    if column.table == "containers":
        # FINAL: what was told last counts.
        told = f"SELECT host_id, boot_id, id FROM containers FINAL WHERE ifNull({test}, 0)"  # noqa: S608 -- constants are parameters
        return f"(process != 0 AND (host_id, boot_id, container_id) IN ({told}))"
    return f"({column.guard} AND ifNull({test}, 0))" if column.guard else f"ifNull({test}, 0)"


def _any(column: Column, test: Test) -> str:
    return f"arrayExists(x -> {test('x')}, {column.text})" if column.many else f"({test(column.text)})"


def _applied(function: str, column: Column) -> Column:
    """A transformer over a column."""
    sql = {
        "tolower": "lower({})",
        "toupper": "upper({})",
        "basename": "substringIndex({}, '/', -1)",
        "len": "length({})",
    }[function]
    text = f"arrayMap(y -> {sql.format('y')}, {column.text})" if column.many else sql.format(column.text)
    host = sql.format(column.on_host) if column.on_host else ""
    return column._replace(text=text, on_host=host, kind="int" if function == "len" else column.kind)


def _is_utf8(text: str) -> bool:
    return not any("\ud800" <= c <= "\udfff" for c in text)


def _mapped(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> ipaddress.IPv6Address:
    if isinstance(address, ipaddress.IPv4Address):
        return ipaddress.IPv6Address(b"\0" * 10 + b"\xff\xff" + address.packed)
    return address


def _address(constant: Text, check: Check) -> ipaddress.IPv6Address:
    try:
        return _mapped(ipaddress.ip_address(constant.text))
    except ValueError:
        raise ConditionError(f"{written(check.left)}: {constant.text!r} is no address", constant.at) from None


def _network(constant: Text, check: Check) -> tuple[ipaddress.IPv6Address, ipaddress.IPv6Address]:
    """First and last address; IPv4 as the store has it, ::ffff:a.b.c.d."""
    try:
        network = ipaddress.ip_network(constant.text, strict=False)
    except ValueError:
        raise ConditionError(f"{written(check.left)}: {constant.text!r} is no network", constant.at) from None
    return _mapped(network[0]), _mapped(network[-1])


def _glob(pattern: str, any_character: str) -> str:
    """fnmatch without flags as a regular expression; `*` and `?` stand for `any_character`."""
    out, at = [], 0
    while at < len(pattern):
        character = pattern[at]
        end = pattern.find("]", at + 2 + (pattern[at + 1 : at + 2] in "!^")) if character == "[" else -1
        if character == "*":
            out.append(f"{any_character}*")
        elif character == "?":
            out.append(any_character)
        elif end > 0:
            inside = pattern[at + 1 : end]
            negated = inside[:1] in ("!", "^")
            body = re.sub(r"([\\\[\]^&~|])", r"\\\1", inside[1:] if negated else inside)
            out.append(f"[{'^' if negated else ''}{body}]")
            at = end
        elif character == "\\" and at + 1 < len(pattern):
            at += 1
            out.append(re.escape(pattern[at]))
        else:
            out.append(re.escape(character))
        at += 1
    return "".join(out)


def _path_pattern(path: str) -> str:
    """A path as a prefix by components; empty components do not count, and a component may be a glob."""
    parts = [part for part in path.split("/") if part]
    return (
        "^/*"
        + "/+".join(_glob(part, "[^/]") if set(part) & set("?*[") else re.escape(part) for part in parts)
        + "(?:/|$)"
        if parts
        else "^"
    )
