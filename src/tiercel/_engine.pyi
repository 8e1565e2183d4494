"""The engine: the per-event hot path, in Rust. Whole batches in, whole batches out; the GIL is released meanwhile."""

from collections.abc import Sequence
from typing import Any, Literal, final

@final
class Batch:
    """Events of one host in order, from a source or built by hand."""

    def __new__(cls) -> Batch: ...
    def __len__(self) -> int: ...
    @property
    def first_time(self) -> int:
        """UTC ns of the first event; 0 if there is none."""

    @property
    def last_time(self) -> int:
        """UTC ns of the last event; 0 if there is none."""

    @property
    def kernel_events(self) -> int:
        """How many events the kernel produced: those that are not what a host tells about itself."""

    @property
    def data_bytes(self) -> int:
        """Bytes of parameters held."""

    def append(self, name: str, *, time: int, tid: int, cpu: int = 0, params: Sequence[Any]) -> None:
        """Append an event; None is no value.

        An address is (family, ip, port), (1, path) or (family,); a tuple (family, sip, sport, dip, dport),
        (1, source, destination, path) or (family,); a descriptor list [(fd, events), …]; a dynamic value (row of its
        list of types, value); arguments and environments a list of texts. Bytes are taken as they are, but for text.
        """

    def extend(self, other: Batch, start: int = 0, stop: int | None = None) -> None:
        """Append events of another batch."""

    def put_first(self, other: Batch) -> None:
        """Put the events of another batch before this one's, told no later than its first; the other is empty then."""

    def truncate(self, len: int) -> None:
        """Forget the events from the `len`-th on."""

    def clear(self) -> None:
        """Forget all events, keep the memory."""

    def to_dicts(self) -> list[dict[str, Any]]:
        """`name`, `time`, `tid`, `cpu` and `params` of each event: for tests and tools, never the hot path."""

    def encoded(self) -> list[tuple[int, int, int, int, list[bytes]]]:
        """`(code, time, tid, cpu, parameters)` of each event as captures hold them; for tools, as `to_dicts`."""

def amplify(batch: Batch, round: int, span: int) -> Batch:
    """The same acts by other processes, on other files and connections, `round` times `span` ns later.

    Round 0 is unchanged.
    """

@final
class CaptureReader:
    """Reads a .scap capture that is pushed in as plain bytes.

    The lists at its start come first, as the events by which a host tells its state; those have the time 0 and
    batches of their own. Events of old captures come as current ones.
    """

    def __new__(cls) -> CaptureReader: ...
    def feed(self, data: bytes) -> None:
        """Push the next bytes."""

    def finish(self) -> None:
        """No more bytes will come: from now on `next` raises if the end is missing.

        ValueError at once if nothing is whole.
        """

    def next(self, limit: int) -> Batch | None:
        """Up to `limit` events; None if more bytes are needed, or at the end.

        ValueError says what is wrong, and where.
        """

    @property
    def machine(self) -> dict[str, Any] | None:
        """hostname, num_cpus, memory_bytes, max_pid, boot_ts (ns), flags; None as long as it is not known."""

    @property
    def skipped(self) -> int:
        """Events of types that nobody knows, left out."""

@final
class Clauses:
    """Many conditions apart: which of them hold, and the values of their operands. For explanations of rules.

    A plan as of RuleSet that matches all: each of its rules is a clause. ValueError if it is wrong.
    """

    def __new__(cls, plan: str) -> Clauses: ...
    def holding(self, host: Host, batch: Batch, *, hostname: str = "") -> list[tuple[int, list[int]]]:
        """The next events of a host: of each on which some clause holds its number and those clauses."""

    def on(
        self, host: Host, batch: Batch, numbers: list[int], *, hostname: str = ""
    ) -> list[tuple[list[int], list[Any]]]:
        """The next events of a host: of those with these numbers, which ascend, the clauses that hold and the value of
        each operand of the plan.
        """

    def try_event(self, event: str, fields: dict[str, Any]) -> tuple[list[int], list[Any]]:
        """The same of an event told by its fields."""

@final
class Columns:
    """Rows for the tables of the store, as Arrow IPC streams."""

    @property
    def events(self) -> bytes: ...
    @property
    def processes(self) -> bytes: ...
    @property
    def containers(self) -> bytes: ...
    @property
    def ledger(self) -> bytes: ...
    @property
    def event_count(self) -> int:
        """Rows of `events`."""

@final
class ContainerIds:
    """Which containers there are, by the control groups of clones, execs and listed threads. Bounded."""

    def __new__(cls) -> ContainerIds: ...
    def look(self, batch: Batch, start: int = 0) -> list[tuple[bytes, bytes, int | None]]:
        """Containers of the events from `start` on that were not told before.

        Each: the id that events have, all its digits, and the number of its engine where no runtime can be asked.
        """

def alert_columns(bodies: list[bytes], origin: str) -> bytes:
    """Rows for the table alerts, as an Arrow IPC stream; ValueError names the body that is broken.

    `origin` names what the raw offsets count in.
    """

def decode_raw(body: bytes) -> tuple[dict[str, Any], Batch]:
    """Header and events of a RawBatch; ValueError if the body is none."""

def encode_raw(batch: Batch, start: int, stop: int, header: dict[str, Any]) -> bytes:
    """The Avro body of a RawBatch of events `start..stop`.

    `header` has host_id, host, boot_id, run, first_seq, produced, delivered, lost [(stage, reason, count)] and
    optionally time (else that of the first event).
    """

def event_columns(bodies: list[bytes], origin: str) -> Columns:
    """Rows for the tables events, processes, containers and ledger; ValueError names the broken EventBatch body.

    `origin` names what the raw offsets count in.
    """

def event_table() -> list[tuple[int, str, list[str]]]:
    """`(code, name, parameter names)` of every event, in table order."""

def field_table() -> list[str]:
    """Names of the fields, in table order."""

def header_of(body: bytes, kind: Literal["raw", "enriched"] = "raw") -> dict[str, Any]:
    """The leading fields of a body, events not looked at; an enriched one also has `count`."""

def checksum(data: bytes) -> int:
    """xxh3 of 64 bits."""

@final
class Redactor:
    """Takes out of batches what must not leave the host: values of environment variables, payloads, secrets in command
    lines. `***` stands for a value that was there, nothing for a payload.

    `env`: names of variables whose values stay, `*` standing for any text; `payloads`: names of events whose payloads
    stay, or `all`; `patterns`: regular expressions for command lines, where a NUL follows each argument: the first
    group of each goes, or the whole where it has none. ValueError says what is wrong with one.
    """

    def __new__(cls, env: list[str], payloads: list[str], patterns: list[str]) -> Redactor: ...
    def redact(self, batch: Batch) -> None:
        """Make all events of the batch what may leave."""

    @property
    def counts(self) -> tuple[int, int, int]:
        """Values of variables, payloads and places in command lines taken out so far."""

@final
class RingReader:
    """The rings of the live probe, one a CPU, read as one stream in order of time."""

    def __new__(cls, fds: list[int], ring_bytes: int) -> RingReader: ...
    def drain(self, batch: Batch, *, until: int, clock_offset: int, limit: int) -> int:
        """Append up to `limit` events no later than `until` (ns of CLOCK_BOOTTIME); `clock_offset` makes them UTC."""
    def questions(self) -> list[tuple[int, int, int, bool, int]]:
        """Tasks to describe before events that were drained since the last call: (index of the event in its batch,
        thread, its process, whether all of the process is meant, time of the event by CLOCK_BOOTTIME).
        """

    @property
    def bad_records(self) -> int:
        """Records skipped because they contradict themselves or the table."""
    def fill(self) -> list[int]:
        """Bytes waiting in each ring."""
    def close(self) -> None: ...

@final
class RuleSet:
    """A compiled rule set; the plan is the JSON of tiercel.rules.plan. ValueError if it is wrong.

    Without `remember` nothing is kept from one event to the next: slow, with the same alerts; for tests that compare.
    """

    def __new__(cls, plan: str, *, remember: bool = True) -> RuleSet: ...
    @property
    def version(self) -> str: ...
    @property
    def names(self) -> list[str]: ...
    def measure(self) -> None:
        """Count and time tests from now on."""

    def profile(self) -> dict[str, list[tuple[int, int, int]]]:
        """(times, of these with success, ns) since `measure`; empty before.

        `tests` by node of the plan, those answered together sharing the time; `rules` by rule: how often only its own
        tests were left; `events`: one entry, the events that any rule may match.
        """

    def try_event(self, event: str, fields: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
        """What the rules say of an event told by its fields: (rule, message, output_fields) of each that matches."""

@final
class Format:
    """A compiled output string, as `sysdig -p` takes it; ValueError if a field in it does not exist."""

    def __new__(cls, text: str) -> Format: ...
    @property
    def names(self) -> list[str]: ...

def regex_error(pattern: str) -> str | None:
    """What is wrong with a regular expression, in one line."""

@final
class Host:
    """Everything the engine knows of one host: its state, as its events change it. Tables are bounded."""

    def __new__(
        cls,
        *,
        max_threads: int = 262144,
        max_fds: int = 4096,
        max_users: int = 262144,
        max_containers: int = 8192,
        max_orphans: int = 262144,
        max_exits: int = 8192,
        max_throttled: int = 8192,
        max_bytes: int = 1073741824,
    ) -> Host: ...
    def process(self, raw: bytes, rules: RuleSet | None, *, partition: int, offset: int) -> Outcome:
        """Enrich and match the body of a RawBatch; ValueError if it is none, and then nothing has changed."""

    def replay(self, batch: Batch, rules: RuleSet | None, *, header: dict[str, Any]) -> list[bytes]:
        """Alerts (Avro bodies) for events of a capture, numbered from 1 over all batches."""

    def finish(self) -> list[bytes]:
        """Nothing more comes: alerts (Avro bodies) with the counts of throttled rules that none has carried yet."""

    def lines(
        self,
        batch: Batch,
        format: Format,
        condition: RuleSet | None = None,
        *,
        hostname: str = "",
    ) -> list[str | None]:
        """The line of each kernel event; None where the condition does not hold or the format leaves it out."""

    def field_rows(
        self, batch: Batch, fields: list[str], condition: RuleSet | None = None, *, hostname: str = ""
    ) -> list[list[Any]]:
        """Values of the fields on each kernel event for which the condition holds, as JSON has them."""

    def describe(self, tid: int) -> dict[str, Any] | None:
        """What is known of a thread at this moment, None if nothing is; for questions and tests, never per event.

        tid, pid, ptid (the thread that forked its process), vtid, vpid, sid, pgid, vpgid; comm, exe, exepath,
        args, cwd, root, cgroups, container; uid, gid, loginuid (-1: none), tty, fdlimit, flags,
        cap_inheritable, cap_permitted, cap_effective; clone_ts (UTC ns); dead, reaper; threads and children
        (tids); fds: by number as text, each with type, name, cloexec, dev, ino and of sockets l4proto, role,
        connected, source, destination.
        Bytes that are no UTF-8 are replaced.
        """

    def save(self) -> bytes:
        """The whole state, packed, with version and checksum."""

    def load(self, saved: bytes) -> None:
        """Go on as the host that was saved would have, with the limits of this one.

        ValueError if it is no saved host, or one of a newer version; then nothing has changed.
        """

    @property
    def counters(self) -> dict[str, int]:
        """Sizes of the tables, and what their limits and unannounced threads have cost."""

@final
class Outcome:
    """What became of one raw batch."""

    @property
    def enriched(self) -> bytes:
        """Avro body of the EventBatch."""

    @property
    def alerts(self) -> list[bytes]:
        """Avro bodies of the alerts, in order."""

    @property
    def first_seq(self) -> int: ...
    @property
    def count(self) -> int:
        """Numbers in the raw batch."""

    @property
    def events(self) -> int:
        """Events in the enriched batch: those of kernel origin."""

    @property
    def evicted(self) -> int:
        """Threads, descriptors, users and containers that the limits of the host took during this batch."""

    @property
    def delivered(self) -> int: ...
