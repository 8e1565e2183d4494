"""The live probe: loads tiercel.bpf.o into the kernel, says which system calls are wanted, and reads its counters.

The collector drains `ring_fds` with `tiercel._engine.RingReader`.
"""

import contextlib
import ctypes
import logging
import os
import resource
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Self

from tiercel.errors import ProbeError
from tiercel.probe import libbpf
from tiercel.probe.lockdown import Handler
from tiercel.schemas import generated, shedding

log = logging.getLogger(__name__)

OBJECT = Path(__file__).parent / "tiercel.bpf.o"
PIN_FOLDER = Path("/sys/fs/bpf/tiercel")
SYSCALLS_MAX = 512
EXCLUDED_MAX = 8
DEFAULT_RING_BYTES = 8 << 20
BUDGET_MAX = 10**10  # the kernel multiplies it with nanoseconds
# sched_process_exit has no number; its event can be named like a system call.
PROCEXIT = "procexit"
HOOKS = ("announce", "exec", PROCEXIT, "dispatch")  # dispatch last: what it calls must stand

NUMBERS = {row[1]: row[0] for row in generated.SYSCALLS}
# What a registered thread group (the collector) does only to deliver events: reading, writing, waiting, memory.
WAITING = frozenset({
    "poll", "ppoll", "select", "pselect6", "epoll_wait", "epoll_pwait", "epoll_pwait2", "epoll_ctl", "futex",
    "nanosleep", "clock_nanosleep", "sched_yield", "mmap", "munmap", "mprotect", "madvise", "brk", "lseek", "fsync",
    "fdatasync", "getrandom",
})  # fmt: skip
DATA_PATH = WAITING | {row[1] for row in generated.SYSCALLS if row[5]}

MERE_CALLS = {"kexec_load", "kexec_file_load"}
"""Traced although they have no program of their own: rare, and that they are called says enough."""

CLASSES = tuple(name for name, _ in generated.SHEDDING)
# Of a budget: lib/maps.h has room for so many classes; a CPU pays for what it delivers in portions.
_CLASSES_ROOM, _PORTIONS = 8, 256


class _Counters(ctypes.Structure):
    """`struct counters` of lib/maps.h."""

    _fields_ = (
        ("produced", ctypes.c_uint64),
        ("ring_full", ctypes.c_uint64 * len(CLASSES)),
        ("budget", ctypes.c_uint64 * len(CLASSES)),
        *((name, ctypes.c_uint64) for name in ("no_ring", "no_scratch", "excluded", "compat", "page_fault")),
    )

    def named(self) -> dict[str, int]:
        """By name; those of a class as in shedding.reason."""
        found: dict[str, int] = {}
        for name in (field[0] for field in self._fields_):
            value = getattr(self, name)
            if isinstance(value, int):
                found[name] = value
            else:
                found |= {shedding.reason(name, label): number for label, number in zip(CLASSES, value, strict=True)}
        return found


class PerCpu(ctypes.Structure):
    """`struct per_cpu` of lib/maps.h."""

    _fields_ = (
        ("counters", _Counters),
        ("known", ctypes.c_uint64 * 3),
        ("spare", ctypes.c_uint64),
        ("owed", ctypes.c_uint64 * 2),
    )


COUNTERS = tuple(_Counters().named())


class _Mark(ctypes.Structure):
    """`struct mark` of lib/marks.h."""

    _fields_ = (
        *((name, ctypes.c_uint32) for name in ("thread", "process", "heir", "maker")),
        ("told", ctypes.c_uint64),
    )


class _Limit(ctypes.Structure):
    """`struct limit` of lib/maps.h."""

    _fields_ = (
        ("per_second", ctypes.c_uint64),
        ("keep", ctypes.c_uint64 * _CLASSES_ROOM),
        ("portion", ctypes.c_uint64),
    )

    @classmethod
    def of(cls, per_second: int, cpus: int) -> "_Limit":
        """A budget; the part of it that CPUs can have delivered without paying is the same with many CPUs."""
        keep = [per_second * sixteenths // 16 for _, sixteenths in generated.SHEDDING]
        portion = max(1, per_second // (_PORTIONS * max(1, cpus)))
        return cls(per_second, (ctypes.c_uint64 * _CLASSES_ROOM)(*keep), portion)


class _Switches(ctypes.Structure):
    """`struct switches` of lib/maps.h."""

    _fields_ = (
        ("wanted", ctypes.c_uint64 * (SYSCALLS_MAX // 64)),
        ("excluded", ctypes.c_uint32 * EXCLUDED_MAX),
        ("wanted_procexit", ctypes.c_uint32),
        ("epoch", ctypes.c_uint32),
        ("limited", ctypes.c_uint32),
        ("limits", _Limit * 2),
    )


def lockdown() -> str:
    """The kernel's lockdown state: none, integrity or confidentiality."""
    with contextlib.suppress(OSError):
        for word in Path("/sys/kernel/security/lockdown").read_text().split():
            if word.startswith("["):
                return word.strip("[]")
    return "none"


def refusal(error: OSError) -> str:
    """One sentence for what the kernel or libbpf refused: what, why, what to do."""
    text = "\n".join(libbpf.log)
    if error.errno in (1, 13) and os.geteuid() != 0:
        return (
            "the kernel refuses the probe to this user: run as root, or with CAP_BPF, CAP_PERFMON and CAP_SYS_RESOURCE"
        )
    if "failed to find valid kernel BTF" in text or error.errno == 3:
        return "the kernel has no type information (/sys/kernel/btf/vmlinux): CONFIG_DEBUG_INFO_BTF is needed"
    if error.errno == 1:
        return "the kernel refuses the probe to root: CAP_BPF or CAP_PERFMON is missing, see `tiercel doctor`"
    if error.errno in (7, 13, 22):
        noise = ("END PROG LOAD LOG", "failed to load", "processed ")
        last = next((line for line in reversed(libbpf.log) if line.strip() and not any(n in line for n in noise)), "")
        return f"the kernel's verifier refuses the probe ({error.strerror}: {last.strip()}): report it with `uname -r`"
    if error.errno == 12:
        return "the kernel has no memory for the rings: make collector.ring_bytes smaller"
    return f"the probe cannot be loaded: {error.strerror}"


def _words(names: Iterable[str]) -> list[int]:
    """System calls as the words of a bitmap."""
    words = [0] * (SYSCALLS_MAX // 64)
    for name in names:
        words[NUMBERS[name] // 64] |= 1 << NUMBERS[name] % 64
    return words


class Probe:
    """A loaded and attached probe; `close` or leaving the `with` takes it out of the kernel."""

    def __init__(self, ring_bytes: int) -> None:
        """Use `Probe.load`."""
        page = resource.getpagesize()
        self.ring_bytes = max(page, 1 << max(0, ring_bytes - 1).bit_length())
        self.ring_fds: list[int] = []
        self.programs: frozenset[str] = frozenset()
        # Whether events of tasks that nobody announced carry a question; where not, the kernel has no task storage.
        self.asks = False
        self._object = 0
        self._links: list[int] = []
        self._switches = _Switches(epoch=1)
        self._cpus = 0
        self._final = dict.fromkeys(COUNTERS, 0)

    @classmethod
    def load(
        cls,
        wanted: set[str] | None = None,
        ring_bytes: int = DEFAULT_RING_BYTES,
        exclude_tgids: Iterable[int] = (),
    ) -> Self:
        """Load and attach. `wanted` names system calls (None: all that the probe knows well, but for reads and writes);
        `ring_bytes` per CPU; thread groups in `exclude_tgids` are not traced where they deliver events.
        """
        probe = cls(ring_bytes)
        try:
            probe._load()
            probe._exclude(exclude_tgids)
            probe.set_wanted(wanted if wanted is not None else probe.default_wanted())
            for name in HOOKS:
                probe._links.append(libbpf.call("bpf_program__attach_trace", probe._program(name)))
        except OSError as error:
            probe.close()
            raise ProbeError(refusal(error)) from error
        except BaseException:
            probe.close()
            raise
        return probe

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def default_wanted(self) -> set[str]:
        """What `wanted=None` stands for."""
        return {name for name in self.programs if name not in DATA_PATH} | MERE_CALLS | {PROCEXIT}

    def set_wanted(self, names: Iterable[str]) -> None:
        """Trace these system calls from now on, and no others."""
        names = set(names)
        unknown = sorted(names - NUMBERS.keys() - {PROCEXIT})
        if unknown:
            raise ProbeError(
                f"no system call of this machine is called {unknown[0]!r}: `tiercel events` lists the names"
            )
        self._switches.wanted[:] = _words(names - {PROCEXIT})
        self._switches.wanted_procexit = PROCEXIT in names
        self._write_switches()

    def produced(self) -> int:
        """Events that the kernel side began, whether or not they fitted."""
        return self.counters()["produced"]

    def drops(self) -> dict[str, int]:
        """Events that were produced but not delivered, by reason (schemas/shedding.py)."""
        counters = self.counters()
        return {name: counters[name] for name in shedding.LOST}

    def shed(self) -> dict[str, int]:
        """What events that were delivered lack, by reason: payloads."""
        counters = self.counters()
        return {name: counters[name] for name in shedding.LACKING}

    def set_budget(self, events: int = 0, bytes: int = 0) -> None:  # noqa: A002
        """From now on let so many events and bytes of them pass in a second, on all CPUs together; 0: any."""
        online = os.cpu_count() or 1
        for row, per_second in enumerate((events, bytes)):
            if not 0 <= per_second <= BUDGET_MAX:
                raise ProbeError(f"{per_second} is no budget: from 0 to {BUDGET_MAX:,} a second can be")
            self._switches.limits[row] = _Limit.of(per_second, online)
        self._switches.limited = bool(events or bytes)
        self._write_switches()

    def counters(self) -> dict[str, int]:
        """All counters, summed over the CPUs (lib/maps.h says what each means); after `close` what they were then."""
        if not self._object:
            return self._final
        values = (PerCpu * self._cpus)()
        libbpf.call("bpf_map_lookup_elem", self._map_fd("counters_map"), ctypes.byref(ctypes.c_uint32(0)), values)
        named = [value.counters.named() for value in values]
        return {name: sum(counters[name] for counters in named) for name in COUNTERS}

    def knows(self, pid: int) -> bool:
        """Whether the collector knows this process, all of it, as far as the kernel has told or asked."""
        mark = self._mark(pid)
        return mark is not None and mark.thread == mark.process == self._switches.epoch

    def mark_known(self, pid: int) -> None:
        """From now on this process with the threads that it has is known: to be said before it is looked at, so that
        what is lost meanwhile counts.
        """
        epoch = self._switches.epoch
        self._mark(pid, _Mark(thread=epoch, process=epoch, told=time.clock_gettime_ns(time.CLOCK_BOOTTIME)))

    def forget(self) -> None:
        """All that was told may be lost: the next event of every task asks."""
        self._switches.epoch += 1
        self._write_switches()

    def _mark(self, pid: int, new: _Mark | None = None) -> _Mark | None:
        """Read or write the mark of a process's leader; None where it has none, or is gone."""
        if not self.asks:
            return None
        mark = new or _Mark()
        try:
            fd = os.pidfd_open(pid)
        except OSError:
            return None
        try:
            (libbpf.lookup if new is None else libbpf.update)(self._map_fd("marks_map"), fd, mark)
        except OSError:
            return None
        finally:
            os.close(fd)
        return mark

    def close(self) -> None:
        """Detach and unload; what is in the rings stays readable through a RingReader that has mapped them."""
        attached = bool(self._links)
        for link in self._links:
            libbpf.library().bpf_link__destroy(link)
        self._links = []
        if attached:
            self._final = self.counters()
        for fd in self.ring_fds:
            os.close(fd)
        self.ring_fds = []
        if self._object:
            libbpf.library().bpf_object__close(self._object)
            self._object = 0

    def _load(self) -> None:
        """Try what the kernel offers for reading its memory, best first, until an object loads."""
        if not OBJECT.exists():
            raise ProbeError(f"the probe is not built ({OBJECT} is missing): run `make probe`")
        try:
            libbpf.library()
        except OSError as error:
            raise ProbeError("libbpf.so.1 is missing: apt-get install libbpf1") from error
        with contextlib.suppress(ValueError, OSError):  # kernels before 5.11 count maps against it
            resource.setrlimit(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        cast = libbpf.kernel_has_function("bpf_rdonly_cast")
        helper = lockdown() != "confidentiality"
        reads = [(True, True, False)] if cast else []
        reads += [(cast, False, helper)]
        asks = [True, False] if libbpf.has_task_storage() else [False]
        ways = [(*way, ask) for ask in asks for way in reads]
        for last, way in ((way == ways[-1], way) for way in ways):
            try:
                with contextlib.nullcontext() if helper else Handler() as handler:
                    self._open(*way)
                    if handler:
                        for name in self._program_names():
                            handler.target(self._program(name))
                    libbpf.call("bpf_object__load", self._object)
                self.asks = way[-1]
                if not self.asks:
                    log.warning(
                        "the kernel takes the probe only without self-healing: `tiercel doctor` tells what lacks"
                    )
                break
            except OSError:
                if last:
                    raise
                libbpf.library().bpf_object__close(self._object)
                self._object = 0
        self._make_rings()
        self._fill_dispatch()
        self._pin()

    def _open(self, cast: bool, raw: bool, probe_kernel: bool, marks: bool) -> None:
        """Open the object and set what is fixed at load time."""
        libbpf.log.clear()
        self._object = libbpf.call("bpf_object__open_file", os.fsencode(OBJECT), None)
        self._cpus = libbpf.call("libbpf_num_possible_cpus")
        for name in ("rings_map", "scratch_map"):
            libbpf.call("bpf_map__set_max_entries", self._map(name), self._cpus)
        for name in ("marks_map", "clone_flags_map"):  # without them clone3's flags are read as they are then
            libbpf.call("bpf_map__set_autocreate", self._map(name), marks)
        capture_ids = (ctypes.c_uint16 * SYSCALLS_MAX)()
        for row in generated.SYSCALLS:
            capture_ids[row[0]] = row[2]
        self._set_targets(
            targ_cast=ctypes.c_bool(cast),
            targ_raw=ctypes.c_bool(raw),
            targ_probe_kernel=ctypes.c_bool(probe_kernel),
            targ_marks=ctypes.c_bool(marks),
            targ_data_path=(ctypes.c_uint64 * (SYSCALLS_MAX // 64))(*_words(DATA_PATH)),
            targ_capture_id=capture_ids,
        )

    def _set_targets(self, **values: "ctypes._CData") -> None:
        """Write the object's load-time knobs."""
        places = libbpf.variables(libbpf.call("bpf_object__btf", self._object), ".rodata")
        base = libbpf.call("bpf_map__initial_value", self._map(".rodata"), ctypes.byref(ctypes.c_size_t()))
        for name, value in values.items():
            offset, size = places[name]
            if size != ctypes.sizeof(value):
                raise ProbeError(f"tiercel.bpf.o is of another version ({name} has {size} bytes): run `make probe`")
            ctypes.memmove(base + offset, ctypes.byref(value), size)

    def _make_rings(self) -> None:
        rings = self._map_fd("rings_map")
        for cpu in range(self._cpus):
            fd = libbpf.call("bpf_map_create", libbpf.MAP_TYPE_RINGBUF, b"tiercel_ring", 0, 0, self.ring_bytes, None)
            self.ring_fds.append(fd)
            libbpf.update(rings, cpu, ctypes.c_uint32(fd))

    def _fill_dispatch(self) -> None:
        """Give each system call's program its place; a program has the name of its call."""
        table = self._map_fd("programs_map")
        names = {name for name in self._program_names() if name not in HOOKS}
        for name in names:
            libbpf.update(table, NUMBERS[name], ctypes.c_uint32(libbpf.call("bpf_program__fd", self._program(name))))
        self.programs = frozenset(names)

    def _exclude(self, tgids: Iterable[int]) -> None:
        tgids = list(tgids)
        if len(tgids) > EXCLUDED_MAX:
            raise ProbeError(f"{len(tgids)} thread groups to leave out: at most {EXCLUDED_MAX} can be")
        self._switches.excluded[: len(tgids)] = tgids

    def _write_switches(self) -> None:
        libbpf.update(self._map_fd(".data.switches"), 0, self._switches)

    def _pin(self) -> None:
        """Pin the counters, so that they outlive a crash; without a BPF file system they do not."""
        path = PIN_FOLDER / "counters"
        with contextlib.suppress(OSError):
            if not os.path.ismount(PIN_FOLDER.parent):
                libc = ctypes.CDLL(None, use_errno=True)
                libc.mount(b"bpf", os.fsencode(PIN_FOLDER.parent), b"bpf", 0, None)
            PIN_FOLDER.mkdir(mode=0o700, exist_ok=True)
            path.unlink(missing_ok=True)
            libbpf.call("bpf_map__pin", self._map("counters_map"), os.fsencode(path))

    def _map(self, name: str) -> int:
        return libbpf.call("bpf_object__find_map_by_name", self._object, name.encode())

    def _map_fd(self, name: str) -> int:
        return libbpf.call("bpf_map__fd", self._map(name))

    def _program(self, name: str) -> int:
        return libbpf.call("bpf_object__find_program_by_name", self._object, name.encode())

    def _program_names(self) -> Iterator[str]:
        lib, program = libbpf.library(), None
        while program := lib.bpf_object__next_program(self._object, program):
            yield lib.bpf_program__name(program).decode()
