"""The engine and SQL say the same of every event: generated conditions over a recording, in both."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tiercel import store
from tiercel._engine import Batch, Host, RuleSet, encode_raw
from tiercel.joints.base import Message
from tiercel.local import bundled_capture
from tiercel.processors.worker import Worker
from tiercel.recording import Capture
from tiercel.rules import columns, sql
from tiercel.rules.parse import ConditionError, parse
from tiercel.rules.plan import condition_plan
from tiercel.schemas import avro, tables
from tiercel.sinks.clickhouse import ClickHouseSink
from tiercel.testing.chdb_http import ChdbServer

HEADER: dict[str, Any] = {
    "host_id": "h",
    "host": "h",
    "boot_id": "b",
    "run": 1,
    "produced": 0,
    "delivered": 0,
    "lost": [],
}
WORDS = [
    "",
    "a",
    "/",
    "/etc",
    "cat",
    "sh",
    "127.0.0.1",
    "10.0.0.0/8",
    "0",
    "1",
    "-1",
    "2",
    "100",
    "true",
    "false",
    "<NA>",
]


FIELDS = sorted({name for name in (*columns.EVENTS, *columns.PROCESSES) if name in tables.fields()})


class Values(dict[str, set[str]]):
    """Values of fields, by field. Hypothesis prints what strategies are made of, and this is long."""

    def __repr__(self) -> str:
        return f"<values of {len(self)} fields>"


class World:
    """A recording, stored; and its values to make conditions of."""

    def __init__(self, path: Path, client: Any) -> None:
        self.client = client
        self.batches: list[tuple[Batch, bool]] = []
        worker, sink, number = Worker(None, numbered=False), ClickHouseSink(client, "test"), 1
        sink.assign({0})
        host = Host()
        shown = {n: f for n, f in tables.fields().items() if f.arg != "required" and "filter_only" not in f.flags}
        names = list(shown)
        self.values = Values({name: set() for name in tables.fields()})
        for offset, batch in enumerate(Capture(path)):
            lists = batch.last_time == 0
            self.batches.append((batch, lists))
            header = HEADER | {"first_seq": 0 if lists else number}
            number += 0 if lists else len(batch)
            raw = avro.frame("raw_batch", encode_raw(batch, 0, len(batch), header))
            outputs = worker.handle(0, offset, b"h", raw)
            sink.write(Message(output.topic, 0, offset, b"h", output.value) for output in outputs)
            for row in host.field_rows(batch, names, hostname=HEADER["host"]):
                for name, value in zip(names, row, strict=True):
                    if isinstance(value, (str, int)) and len(self.values[name]) < 40:
                        self.values[name].add(str(value).lower() if isinstance(value, bool) else str(value))

        for end in "cslr":
            self.values["fd.ip"] |= self.values[f"fd.{end}ip"]
            self.values["fd.port"] |= self.values[f"fd.{end}port"]
            self.values["fd.proto"] |= self.values[f"fd.{end}port"]
            self.values[f"fd.{end}net"] = {f"{ip}/{bits}" for ip in self.values[f"fd.{end}ip"] for bits in (8, 32)}
            self.values["fd.net"] |= self.values[f"fd.{end}net"]

    def engine(self, condition: str) -> set[int]:
        rules, host, found = RuleSet(condition_plan(parse(condition))), Host(), set()
        for batch, _ in self.batches:
            found |= {row[0] for row in host.field_rows(batch, ["evt.num"], rules, hostname=HEADER["host"])}
        return found

    def sql(self, condition: str) -> set[int]:
        query = sql.compile(parse(condition))
        rows = self.client.query(f"SELECT seq FROM events WHERE {query.text}", parameters=query.parameters).result_rows
        return {row[0] for row in rows}

    def sql_of_each(self, conditions: list[str]) -> list[set[int]]:
        """One query for all: each has its share of the time that a query takes."""
        found, parameters = [], {}
        for number, condition in enumerate(conditions):
            query = sql.compile(parse(condition))
            found.append(f"groupArrayIf(seq, {query.text.replace('{p', f'{{c{number}p')})")
            parameters |= {f"c{number}{name}": value for name, value in query.parameters.items()}
        (row,) = self.client.query(f"SELECT {', '.join(found)} FROM events", parameters=parameters).result_rows
        return [set(numbers) for numbers in row]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    path = bundled_capture()
    with ChdbServer(tmp_path_factory.mktemp("chdb")) as server:
        yield World(path, store.connect(server.dsn))


def _quoted(text: str) -> str:
    return '"' + "".join(c if c.isprintable() and c not in '"\\' else f"\\x{ord(c):02x}" for c in text) + '"'


def _kind(name: str) -> str:
    found = columns.columns(tables.fields()[name], None)
    assert not isinstance(found, str)
    return found[0].kind


def _operators(kind: str) -> list[str]:
    operators = ["exists", "=", "!=", "in"]
    if kind in ("text", "int", "port"):
        operators += ["<", ">="]
    if kind == "text":
        operators += ["contains", "icontains", "startswith", "endswith", "glob", "pmatch"]
    return operators


def _constant(operator: str, kind: str, value: str) -> str:
    if operator in ("in", "pmatch"):
        return f"({_quoted(value)})"
    if operator in ("<", ">="):
        return str(len(value)) if kind == "text" else value  # the grammar has numbers there
    return _quoted(value)


@st.composite
def _checks(draw: st.DrawFn, values: dict[str, set[str]]) -> str:
    name = draw(st.sampled_from(FIELDS))
    kind = _kind(name)
    constant = st.sampled_from([*sorted(values[name]), *WORDS]).filter(lambda v: all(32 <= ord(c) < 127 for c in v))
    operator = draw(st.sampled_from(_operators(kind)))
    if operator == "exists":
        return f"{name} exists"
    if operator in ("in", "pmatch"):
        return f"{name} {operator} ({', '.join(_quoted(draw(constant)) for _ in range(draw(st.integers(1, 3))))})"
    value = draw(constant)
    if operator in ("contains", "startswith", "endswith"):
        value = value[: draw(st.integers(0, 8))]
    return f"{name} {operator} {_constant(operator, kind, value)}"


def _conditions(values: dict[str, set[str]]) -> st.SearchStrategy[str]:
    return st.recursive(
        _checks(values),
        lambda below: st.one_of(
            below.map(lambda c: f"not ({c})"),
            st.tuples(below, st.sampled_from(["and", "or"]), below).map(lambda t: f"({t[0]}) {t[1]} ({t[2]})"),
        ),
        max_leaves=4,
    )


@pytest.mark.parametrize("name", FIELDS)
def test_engine_and_sql_agree_on_every_field(world: World, name: str) -> None:
    kind = _kind(name)
    other = {"text": "zz", "ip": "192.0.2.1", "net": "10.0.0.0/8", "bool": "true"}.get(kind, "1")
    # A constant has at most 255 bytes.
    seen = [value[:255] for value in sorted(world.values[name]) if all(32 <= ord(c) < 127 for c in value)]
    values = [*seen[:2], other, *(["", "<NA>"] if kind == "text" else ["false"] if kind == "bool" else [])]
    conditions = [f"{name} exists"]
    for operator in _operators(kind)[1:]:
        for value in values:
            conditions.append(f"{name} {operator} " + _constant(operator, kind, value))
    expected = {}
    for condition in conditions:
        try:
            expected[condition] = world.engine(condition)
        except (ConditionError, ValueError):
            # evt.type takes names of events alone.
            assert name in ("evt.type", "syscall.type"), condition
    found = dict(zip(expected, world.sql_of_each(list(expected)), strict=True))
    assert found == expected, {c: (len(found[c]), len(expected[c])) for c in expected if found[c] != expected[c]}


@settings(max_examples=300, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_engine_and_sql_agree(world: World, data: st.DataObject) -> None:
    condition = data.draw(_conditions(world.values))
    try:
        expected = world.engine(condition)
    except (ConditionError, ValueError):
        return
    assert world.sql(condition) == expected, condition


def test_guessed_facts_are_told_by_both(tmp_path: Path) -> None:
    batch = Batch()

    def getuid(time: int, tid: int) -> None:
        batch.append("getuid", time=time, tid=tid, params=[0])

    batch.append("thread_snapshot", time=100, tid=7, params=[7, 1, 7, 7, 7, 7, 7, "sh", "sh", "/bin/sh"])
    for time, tid in ((50, 7), (150, 7), (160, 9)):  # before it was told of, after it, never
        getuid(time, tid)
    batch.append("thread_guessed", time=165, tid=7, params=[1])
    getuid(170, 7)
    with ChdbServer(tmp_path / "chdb") as server:
        client = store.connect(server.dsn)
        sink = ClickHouseSink(client, "test")
        sink.assign({0})
        raw = avro.frame("raw_batch", encode_raw(batch, 0, len(batch), HEADER | {"first_seq": 0}))
        sink.write(
            Message(out.topic, 0, 0, b"h", out.value) for out in Worker(None, numbered=False).handle(0, 0, b"h", raw)
        )
        for condition, expected in (
            ("proc.is_guessed = true", {50, 160, 170}),
            ("proc.is_guessed = false", {150}),
            ("proc.is_guessed exists and not proc.is_guessed = true", {150}),
            ("proc.is_guessed = true and proc.name = sh", {50, 170}),
        ):
            rules = RuleSet(condition_plan(parse(condition)))
            assert {row[0] for row in Host().field_rows(batch, ["evt.rawtime"], rules)} == expected
            query = sql.compile(parse(condition))
            text = f"SELECT toUnixTimestamp64Nano(ts) FROM events WHERE {query.text}"
            assert {row[0] for row in client.query(text, parameters=query.parameters).result_rows} == expected
        query = "SELECT name, guessed FROM processes ORDER BY since, name, guessed"
        assert set(client.query(query).result_rows) == {("sh", True), ("sh", False), ("<NA>", True)}
