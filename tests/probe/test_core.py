"""The loader and what holds for all programs together."""

import ast
import ctypes
import os
import re
import subprocess
import sys
import threading
import time
import tomllib
from pathlib import Path

import pytest

from tiercel._engine import Batch, RingReader
from tiercel.errors import ProbeError
from tiercel.probe import core, pinned
from tiercel.probe.core import DATA_PATH, HOOKS, NUMBERS, OBJECT, Probe
from tiercel.schemas import generated

from .conftest import Tracer, syscall

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PROGRAMS = {path.name.removesuffix(".bpf.c") for path in (ROOT / "probe/syscalls").glob("*.bpf.c")}


def drain(probe: Probe, reader: RingReader) -> Batch:
    batch = Batch()
    while reader.drain(batch, until=2**63, clock_offset=0, limit=100_000):
        pass
    return batch


def test_every_program_is_compiled_in_and_named_after_a_call() -> None:
    main = (ROOT / "probe/tiercel.bpf.c").read_text()
    assert set(re.findall(r'"syscalls/(\w+)\.bpf\.c"', main)) == PROGRAMS
    assert NUMBERS.keys() >= PROGRAMS


def words_of(test: Path) -> set[str]:
    """Every string in a test file, and in the tests whose functions it uses."""
    tree = ast.parse(test.read_text())
    words = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    used = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level == 1}
    return words.union(*(words_of(HERE / f"{name}.py") for name in used if str(name).startswith("test_")))


# The scheduler's hooks are seen in the events of the calls that come to them.
SEEN_IN = {"announce": "clone3", "exec": "execve"}


@pytest.mark.parametrize("source", sorted((ROOT / "probe").glob("*/*.bpf.c")), ids=lambda path: path.name)
def test_every_program_has_a_test_that_names_each_parameter(source: Path) -> None:
    name = source.name.removesuffix(".bpf.c")
    test = HERE / f"test_{SEEN_IN.get(name, name)}.py"
    assert test.exists(), f"{source.name} has no tests/probe/{test.name}"
    assert "pytestmark = pytest.mark.bpf" in test.read_text()
    events = set(re.findall(r"(?:RECORD|FIXED)\(\w+, (\w+)\)", source.read_text())) or {"CLONE3"}
    for row in generated.EVENTS:
        if row[1].upper() in events:
            missing = {param[0] for param in row[6]} - words_of(test)
            assert not missing, f"tests/probe/{test.name} never looks at {sorted(missing)}"
            events.remove(row[1].upper())
    assert not events


def test_every_call_that_changes_state_has_a_program() -> None:
    rows = tomllib.loads((ROOT / "schemas/syscalls.toml").read_text())["syscall"]
    assert {row["name"] for row in rows if row.get("state")} <= PROGRAMS


@pytest.mark.bpf
def test_every_program_is_loaded(live_probe: Probe) -> None:
    assert live_probe.programs == PROGRAMS


@pytest.mark.bpf
def test_a_call_without_a_program_is_a_generic_event(trace: Tracer) -> None:
    trace.probe.set_wanted({"getpgrp"})
    try:
        params = trace.one("syscall", lambda: syscall("getpgrp"))
    finally:
        trace.probe.set_wanted(trace.probe.programs | {"procexit"})
    capture_id = next(row[2] for row in generated.SYSCALLS if row[1] == "getpgrp")
    assert params == {"ID": capture_id, "nativeID": NUMBERS["getpgrp"]}


@pytest.mark.bpf
def test_a_new_kernel_is_noticed_without_a_program(trace: Tracer) -> None:
    trace.probe.set_wanted(trace.probe.default_wanted())
    try:
        params = trace.one("syscall", lambda: syscall("kexec_load", 0, 0, 0, 1 << 40))  # no such flag: it does nothing
    finally:
        trace.probe.set_wanted(trace.probe.programs | {"procexit"})
    assert params["nativeID"] == NUMBERS["kexec_load"]


@pytest.mark.bpf
def test_only_the_wanted_calls_are_traced(trace: Tracer) -> None:
    trace.probe.set_wanted({"getuid"})
    try:
        events = trace.everything(lambda: (os.getuid(), os.getgid()))
    finally:
        trace.probe.set_wanted(trace.probe.programs | {"procexit"})
    assert {e["name"] for e in events} == {"getuid"}


@pytest.mark.bpf
def test_produced_is_delivered_plus_dropped() -> None:
    with Probe.load({"getuid"}, ring_bytes=4096) as probe:
        reader = RingReader(probe.ring_fds, probe.ring_bytes)
        for _ in range(1000):
            os.getuid()
        probe.set_wanted(set())
        delivered = len(drain(probe, reader))
        dropped = probe.drops()
        assert probe.produced() == delivered + sum(dropped.values()) >= 1000
        assert dropped["ring_full_other"] > 0
        assert reader.bad_records == 0
        reader.close()


@pytest.mark.bpf
def test_counters_that_stay_pinned_are_read_if_they_are_of_this_version(monkeypatch: pytest.MonkeyPatch) -> None:
    with Probe.load({"getuid"}, ring_bytes=4096) as probe:
        os.getuid()
        probe.set_wanted(set())
        now = time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 100
        assert pinned.Pinned().produced(now) == probe.produced() > 0

        class Other(core.PerCpu):
            _fields_ = (("more", ctypes.c_uint64),)

        monkeypatch.setattr(pinned, "PerCpu", Other)
        assert pinned.Pinned().produced(now) == 0


@pytest.mark.bpf
def test_a_registered_group_is_left_out_where_it_delivers_events() -> None:
    with Probe.load({"write", "getuid"}, ring_bytes=1 << 20, exclude_tgids=[os.getpid()]) as probe:
        reader = RingReader(probe.ring_fds, probe.ring_bytes)
        with Path(os.devnull).open("wb", buffering=0) as null:
            null.write(b"x")
        os.getuid()
        subprocess.run(["/bin/sh", "-c", "echo x >/dev/null"], check=True)
        probe.set_wanted(set())
        events = drain(probe, reader).to_dicts()
        mine = {e["name"] for e in events if e["tid"] == threading.get_native_id()}
        assert mine == {"getuid"}
        assert [e for e in events if e["name"] == "write" and e["tid"] != threading.get_native_id()]
        assert probe.counters()["excluded"] >= 1
        reader.close()


def test_data_path_leaves_exec_ptrace_and_connect_traced() -> None:
    assert not DATA_PATH & {"execve", "execveat", "ptrace", "connect", "openat", "unlink", "clone"}
    assert NUMBERS.keys() >= DATA_PATH


@pytest.mark.bpf
@pytest.mark.parametrize("cast", [True, False])
def test_kernels_without_raw_casts_tell_the_same(trace: Tracer, monkeypatch: pytest.MonkeyPatch, cast: bool) -> None:
    """Their memory is read by a helper (raw), or all of the kernel's is (cast)."""
    real = Probe._open

    def older(probe: Probe, has_cast: bool, raw: bool, helper: bool, *marks: bool) -> None:
        if raw:
            raise OSError(22, "as the verifier would")
        real(probe, has_cast and cast, raw, helper, *marks)

    monkeypatch.setattr(Probe, "_open", older)
    with Probe.load({"execve", "vfork", "connect"}, ring_bytes=1 << 20) as probe:
        reader = RingReader(probe.ring_fds, probe.ring_bytes)
        program = "import socket; socket.socket().connect_ex(('127.0.0.1', 1))"
        theirs = trace.everything(lambda: subprocess.run([sys.executable, "-c", program], check=True))
        mine = drain(probe, reader).to_dicts()
        reader.close()
    # Others on this machine connect, too.
    tids = {e["tid"] for e in theirs if e["name"] == "connect"} & {e["tid"] for e in theirs if e["name"] == "execve"}
    assert len(tids) == 1
    for name in ("execve", "connect", "vfork"):
        ours = [e["params"] for e in mine if e["name"] == name and e["tid"] in tids]
        assert ours == [e["params"] for e in theirs if e["name"] == name and e["tid"] in tids] != []


@pytest.mark.bpf
def test_where_the_verifier_refuses_marks_the_probe_loads_without(
    trace: Tracer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real = Probe._open

    def refuses(probe: Probe, cast: bool, raw: bool, helper: bool, marks: bool) -> None:
        if marks:
            raise OSError(22, "as the verifier would")
        real(probe, cast, raw, helper, marks)

    monkeypatch.setattr(Probe, "_open", refuses)
    with Probe.load({"getuid", "clone3", "execve"}, ring_bytes=1 << 20) as probe:
        reader = RingReader(probe.ring_fds, probe.ring_bytes)
        subprocess.run(["/bin/true"], check=True)
        os.getuid()
        probe.mark_known(os.getpid())
        assert (probe.asks, probe.knows(os.getpid())) == (False, False)
        assert len(drain(probe, reader)) >= 2
        assert reader.questions() == []
        reader.close()
    assert "only without self-healing" in caplog.text


@pytest.mark.bpf
def test_a_task_asks_once_and_again_when_all_is_forgotten() -> None:
    with Probe.load({"getuid"}, ring_bytes=1 << 20) as probe:
        reader = RingReader(probe.ring_fds, probe.ring_bytes)

        def asked() -> list[tuple[int, bool]]:
            os.getuid()
            batch = drain(probe, reader)
            mine = [(index, whole) for index, _, pid, whole, _ in reader.questions() if pid == os.getpid()]
            assert all(batch.to_dicts()[index]["tid"] == os.getpid() for index, _ in mine)
            return mine

        assert [whole for _, whole in asked()] == [True]
        assert asked() == []
        probe.forget()
        assert not probe.knows(os.getpid())
        assert [whole for _, whole in asked()] == [True]
        probe.forget()
        probe.mark_known(os.getpid())
        assert (asked(), probe.knows(os.getpid())) == ([], True)
        reader.close()


@pytest.mark.bpf
def test_an_unknown_name_is_refused(live_probe: Probe) -> None:
    with pytest.raises(ProbeError, match="no system call of this machine is called 'opnat'"):
        live_probe.set_wanted({"opnat"})


def test_a_missing_object_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core, "OBJECT", Path("/nonexistent/tiercel.bpf.o"))
    with pytest.raises(ProbeError, match="run `make probe`"):
        Probe.load(set())


def test_the_layouts_are_those_of_the_object() -> None:
    if not OBJECT.exists():
        pytest.skip("the probe is not built")
    dump = subprocess.run(
        ["bpftool", "btf", "dump", "file", str(OBJECT)], capture_output=True, text=True, check=True
    ).stdout
    for name, layout in (
        ("counters", core._Counters),
        ("switches", core._Switches),
        ("mark", core._Mark),
        ("per_cpu", core.PerCpu),
    ):
        found = re.search(rf"STRUCT '{name}' size=(\d+) vlen=(\d+)\n((?:\t.*\n)+)", dump)
        assert found
        members = re.findall(r"'(\w+)' type_id=\d+ bits_offset=(\d+)", found[3])
        assert [(m, int(o) // 8) for m, o in members] == [
            (field[0], getattr(layout, field[0]).offset) for field in layout._fields_
        ]
    header = re.search(r"STRUCT 'record_header' size=32 vlen=7\n((?:\t.*\n)+)", dump)
    assert header
    assert re.findall(r"'(\w+)' type_id=\d+ bits_offset=(\d+)", header[1]) == [
        ("ts", "0"), ("tid", "64"), ("len", "128"), ("code", "160"), ("nparams", "176"),
        ("cpu", "192"), ("asks", "224"),
    ]  # fmt: skip
    assert set(HOOKS) <= set(re.findall(r"FUNC '(\w+)'", dump))
