"""The one configuration: defaults, then a YAML file, then the environment (TIERCEL_<GROUP>_<KEY>), then flags.

Commands call `load`; stages take a group (`settings.kafka`) or plain arguments and never read the environment.
"""

import os
import re
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from tiercel.errors import ConfigError

PREFIX = "TIERCEL_"
# Tables of the store whose rows may expire.
RETAINED = ("events", "alerts", "ledger", "raw")
FILE_VARIABLE = "TIERCEL_CONFIG"


def config_file() -> Path:
    """Where the configuration file is looked for when nothing names one."""
    home = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    own = home / "tiercel" / "tiercel.yaml"
    system = Path("/etc/tiercel/tiercel.yaml")
    return own if own.exists() and not system.exists() else system


def state_dir() -> Path:
    """/var/lib/tiercel for root, else $XDG_STATE_HOME/tiercel."""
    if os.geteuid() == 0:
        return Path("/var/lib/tiercel")
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "tiercel"


def runtime_dir() -> Path:
    """/run/tiercel for root, else $XDG_RUNTIME_DIR/tiercel, else the state directory."""
    if os.geteuid() == 0:
        return Path("/run/tiercel")
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    return Path(runtime) / "tiercel" if runtime else state_dir()


def machine_id() -> str:
    """The host's machine-id, or its name where it has none."""
    try:
        return Path("/etc/machine-id").read_text(encoding="ascii").strip() or socket.gethostname()
    except OSError:
        return socket.gethostname()


def _split(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _read_yaml(value: object) -> object:
    """A list as YAML in a text, as the environment and options give it; one entry is a list of one."""
    if isinstance(value, str):
        try:
            value = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise ValueError(f"not YAML: {' '.join(str(error).split())}") from None
    return [] if value is None else value if isinstance(value, list) else [value]


def _lower(value: object) -> object:
    word = value.lower() if isinstance(value, str) else value
    return "informational" if word == "info" else word


Words = Annotated[list[str], BeforeValidator(_split)]


def _priority(value: object) -> object:
    return {"info": "informational"}.get(value.lower(), value.lower()) if isinstance(value, str) else value


Priority = Annotated[
    Literal["emergency", "alert", "critical", "error", "warning", "notice", "informational", "debug"],
    BeforeValidator(_priority),
]
# fmt: off
Facility = Literal[
    "user", "daemon", "auth", "authpriv",
    "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
]
# fmt: on


def _headers(value: object) -> object:
    """From lines `Name: value`, as an environment variable has them, or from a map, as YAML does."""
    if isinstance(value, str):
        lines = [line.partition(":") for line in value.splitlines() if line.strip()]
        if not all(colon for _, colon, _ in lines):
            raise ValueError("write `Name: value`, one header a line")
        value = {name.strip(): text.strip() for name, _, text in lines}
    if isinstance(value, dict):
        for name, text in value.items():
            if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", str(name)):
                raise ValueError(f"{str(name)!r} is no name of a header")
            if str(name).lower() in {"content-length", "content-type", "transfer-encoding"}:
                raise ValueError(f"{name} is set by tiercel itself")
            shown = text.get_secret_value() if isinstance(text, SecretStr) else text
            if not isinstance(shown, str) or not re.fullmatch(r"[ -~]*", shown):
                raise ValueError(f"the value of {name} must be text of printable ASCII")
    return value


def _syslog_address(value: str) -> str:
    network = re.fullmatch(r"(?:udp|tcp)://(?:\[[0-9a-fA-F:.]+\]|[^\s:/\[\]]+):([0-9]{1,5})", value)
    if not value.startswith("/") and not (network and 0 < int(network[1]) < 65_536):
        raise ValueError(f"{value!r} is no path, udp://host:port or tcp://host:port")
    return value


LOOPBACK = ("127.0.0.1", "::1", "localhost")


def _listen_address(value: str) -> str:
    network = re.fullmatch(r"(?:\[[0-9a-fA-F:.]+\]|[^\s:/\[\]]+):([0-9]{1,5})", value)
    if value not in ("", "off") and not value.startswith("/") and not (network and int(network[1]) < 65_536):
        raise ValueError(f"{value!r} is no host:port, no path and not `off`")
    return value


Headers = Annotated[dict[str, SecretStr], BeforeValidator(_headers)]


_HOURS = {"h": 1, "d": 24, "w": 7 * 24, "y": 365 * 24}


def _retention(value: object) -> object:
    """Table → hours, 0 being for ever; from a map of texts such as 90d, or such a map as YAML in a text."""
    if isinstance(value, str):
        try:
            value = yaml.safe_load(value) or {}
        except yaml.YAMLError as error:
            raise ValueError(f"not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(value, dict):
        raise ValueError("must say for each table how long, such as {events: 90d}")
    found = {}
    for table, text in value.items():
        if table not in RETAINED:
            raise ValueError(f"{table!r} does not expire; tables that can: {', '.join(RETAINED)}")
        told = re.fullmatch(r"([0-9]{1,5})([hdwy])", str(text).strip().lower())
        if str(text).strip().lower() in ("none", "0"):
            found[table] = 0
        elif told and 0 < int(told[1]) * _HOURS[told[2]] <= 50 * _HOURS["y"]:
            found[table] = int(told[1]) * _HOURS[told[2]]
        else:
            raise ValueError(f"{table}: {text!r} is no time such as 12h, 90d, 4w, 1y (at most 50y), or none")
    return found


class Group(BaseModel):
    """A group of keys; a key that it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Host(Group):
    """Who this host is."""

    id: str = Field(default_factory=machine_id, description="Key of everything this host sends; default: machine-id.")
    name: str = Field(default_factory=socket.gethostname, description="Name for display; default: the host name.")


class KafkaClient(Group):
    """How to reach brokers."""

    brokers: str = Field("localhost:9092", description="Bootstrap brokers, host:port, comma separated.")
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="As Kafka's security.protocol."
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "SCRAM-SHA-512", description="As Kafka's sasl.mechanism."
    )
    sasl_username: str = Field("", description="As Kafka's sasl.username.")
    sasl_password: SecretStr = Field(SecretStr(""), description="As Kafka's sasl.password; best set by environment.")
    ssl_ca_location: str = Field("", description="File of the certificate authority; empty: the system's.")
    ssl_certificate_location: str = Field("", description="File of the client's certificate.")
    ssl_key_location: str = Field("", description="File of the client's private key.")

    def client(self) -> dict[str, str | int]:
        """The same as settings of librdkafka, without those left empty."""
        settings = {
            "bootstrap.servers": self.brokers,
            "security.protocol": self.security_protocol,
            "ssl.ca.location": self.ssl_ca_location,
            "ssl.certificate.location": self.ssl_certificate_location,
            "ssl.key.location": self.ssl_key_location,
        }
        if self.security_protocol.startswith("SASL"):
            settings |= {
                "sasl.mechanism": self.sasl_mechanism,
                "sasl.username": self.sasl_username,
                "sasl.password": self.sasl_password.get_secret_value(),
            }
        return {key: value for key, value in settings.items() if value}


class Kafka(KafkaClient):
    """How to reach the brokers."""

    schema_registry: str = Field(
        "", description="URL of a schema registry; empty: messages carry Avro fingerprints, schemas travel on a topic."
    )
    partitions: int = Field(
        12, ge=1, description="Partitions of topics that tiercel makes; fixed from then on: a host stays on its own."
    )
    replication: int = Field(1, ge=1, description="Replicas of topics that tiercel makes.")


# What is secret in command lines, if nothing else is said. No pattern spans more than an option and its argument.
SECRETS = (
    r"(?i)(?:^|\x00)-{1,2}[a-z0-9_-]*(?:password|passwd|passphrase|pwd|secret|token|api-?key|access-?key|credentials?)"
    r"[=\x00]([^\x00]+)",
    r"(?i)(?:^|[\x00\s;&?])[a-z0-9_]*(?:password|passwd|pwd|secret|token|api_?key|access_?key)[a-z0-9_]*=([^\x00\s&;]+)",
    r"[A-Za-z][A-Za-z0-9+.-]{0,30}://[^/\x00\s:@]*:([^/\x00\s@]+)@",
    r"(?i)authorization:\s*(?:bearer|basic|token)?\s*([^\x00\s]+)",
    r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",
    r"\bgh[pousr]_[A-Za-z0-9]{20,}",
)


class Collector(Group):
    """What is drained from the kernel, and how it is cut into messages."""

    linger_ms: int = Field(100, ge=1, le=60_000, description="Longest time an event waits for its batch to fill.")
    batch_events: int = Field(1000, ge=1, le=100_000, description="Most events of a batch.")
    batch_bytes: int = Field(512 * 1024, ge=16 * 1024, description="Most bytes of a batch, before compression.")
    ring_bytes: int = Field(
        8 * 1024 * 1024,
        ge=64 * 1024,
        description="Size of each CPU's ring buffer; a power of two. When it fills, events are left out by class, too.",
    )
    budget_events: int = Field(
        0,
        ge=0,
        le=10**10,
        description="Most events that the kernel delivers in a second, of all CPUs together; what is more is left out "
        "by class, reads and writes first, and counted. 0: any, as what is given up is for a person to decide.",
    )
    budget_bytes: int = Field(
        0, ge=0, le=10**10, description="The same in bytes of events; the data of reads and writes goes first. 0: any."
    )
    wanted: Words = Field([], description="Names of the events to trace; empty: all that tiercel knows.")
    containers: bool = Field(True, description="Whether container runtimes are asked for what they know.")
    container_sockets: Words = Field(
        [],
        description="Sockets of runtimes, docker:PATH, podman:PATH or cri:PATH; empty: root's usual ones that exist.",
    )
    max_pending_containers: int = Field(
        4096, ge=16, description="Most containers that wait for a runtime's answer; what is more is counted."
    )
    heal_ms: int = Field(
        200,
        ge=0,
        le=1000,
        description="Most milliseconds of each second for describing processes whose beginning was lost; 0: none.",
    )
    spool: Path = Field(
        default_factory=lambda: state_dir() / "spool",
        description="Folder in which batches lie until Kafka has them; one collector each.",
    )
    spool_bytes: int = Field(
        1 << 30,
        ge=0,
        description="Most bytes of the spool. When it is full no more events are taken, and counted as lost: what was "
        "taken first is kept. 0: no spool.",
    )
    spool_age_s: int = Field(
        86_400, ge=1, description="Seconds after which what waits in the spool is given up, and counted as lost."
    )
    env: Words = Field(
        ["LD_PRELOAD", "LD_LIBRARY_PATH", "LD_AUDIT"],
        description="Environment variables whose values leave this host, `*` standing for any text; of the others only "
        "the names do.",
    )
    payloads: Words = Field(
        [],
        description="Events whose payloads (what was read, written, sent or received) leave this host, by name, or "
        "`all`; of the others only the length does.",
    )
    redact: Annotated[list[str], BeforeValidator(_read_yaml)] = Field(
        default_factory=lambda: list(SECRETS),
        description="Regular expressions of what is secret in command lines, in which a NUL (`\\x00`) follows each "
        "argument: the first group of a match leaves this host as `***`, or all of it. Default: passwords, tokens and "
        "keys behind options, in URLs and in assignments. `[]`: nothing.",
    )
    user: str = Field(
        "", description="User as whom the collector runs once the probe is loaded; empty: the one who started it."
    )
    drop_privileges: bool = Field(
        True, description="Whether capabilities that are not needed any more are given up once the probe is loaded."
    )


class Chosen(Group):
    """Rules by name, `*` standing for any text, or by tag."""

    rule: str | None = None
    tag: str | None = None

    @model_validator(mode="after")
    def _some(self) -> Self:
        if self.rule is None and self.tag is None:
            raise ValueError("needs `rule` or `tag`")
        return self


class Selection(Group):
    """Switches rules on or off: `{disable: {rule: "*"}}`, `{enable: {tag: network}}`."""

    enable: Chosen | None = None
    disable: Chosen | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.enable is None) == (self.disable is None):
            raise ValueError("needs either `enable` or `disable`")
        return self

    @property
    def what(self) -> Chosen:
        """Which rules it concerns."""
        what = self.enable or self.disable
        assert what is not None
        return what


class Match(Group):
    """Rules that have this source, this name and all of these tags."""

    source: str | None = None
    rule: str | None = None
    tags: list[str] = []


class AppendOutput(Group):
    """What the alerts of some rules carry besides; a text alone is `extra_output` for all rules."""

    match: Match = Match()
    extra_output: str | None = None
    extra_fields: list[str | dict[str, str]] = []
    suggested_output: bool = False

    @model_validator(mode="before")
    @classmethod
    def _text(cls, value: object) -> object:
        return {"extra_output": value} if isinstance(value, str) else value


class RuleOptions(Group):
    """What decides, beside the rule files, which alerts there are and what they say. Part of a rule set's version."""

    matching: Literal["first", "all"] = Field(
        "first", description="Whether only the first rule that matches an event fires, or every one."
    )
    select: Annotated[list[Selection], BeforeValidator(_read_yaml)] = Field(
        [],
        description="Switches rules on and off, in order, as Falco's `rules`: a list of `{enable: …}` and "
        "`{disable: …}` with `{rule: NAME}`, where `*` stands for any text, or `{tag: TAG}`.",
    )
    priority: Annotated[
        Literal["emergency", "alert", "critical", "error", "warning", "notice", "informational", "debug"],
        BeforeValidator(_lower),
    ] = Field("debug", description="Only rules at least this urgent, as Falco's `priority`.")
    append_output: Annotated[list[AppendOutput], BeforeValidator(_read_yaml)] = Field(
        [],
        description="Adds to alerts, as Falco's `append_output`: a list of `{match: {source, rule, tags}, "
        "extra_output, extra_fields: [FIELD or {KEY: FORMAT}], suggested_output}`.",
    )
    buffer_format_base64: bool = Field(False, description="Whether alerts show buffers as base64 instead of text.")
    throttle_burst: int = Field(
        0,
        ge=0,
        le=1_000_000,
        description="Most alerts of a rule on a host that pass in throttle_every_s, for rules without a throttle of "
        "their own; the others are counted. 0: all pass.",
    )
    throttle_every_s: int = Field(60, ge=1, le=86_400, description="Seconds in which throttle_burst alerts pass.")


class Worker(RuleOptions):
    """How raw events are enriched and matched."""

    rules: Words = Field([], description="Rule files or directories; empty: the rules that come with tiercel.")
    max_throttled: int = Field(
        8192, ge=16, description="Most windows of throttled rules open for a host; one that goes tells its count."
    )
    max_threads: int = Field(262_144, ge=1024, description="Most threads remembered for a host.")
    max_fds: int = Field(4096, ge=64, description="Most descriptors remembered for a process.")
    max_users: int = Field(262_144, ge=64, description="Most users, and most groups, remembered for a host.")
    max_containers: int = Field(8192, ge=64, description="Most containers remembered for a host.")
    max_orphans: int = Field(262_144, ge=64, description="Most processes of a host that wait for an unknown parent.")
    max_exits: int = Field(8192, ge=64, description="Most exits of a host remembered against late reports of clones.")
    max_bytes: int = Field(
        1 << 30, ge=1 << 20, description="Most bytes of memory that the state of a host takes, strings included."
    )
    snapshot_interval: float = Field(
        10.0,
        ge=0.1,
        le=3600,
        description="Seconds after which the state of a host that sends is written to Kafka again: what is done again "
        "after a crash, at most.",
    )

    def limits(self) -> dict[str, int]:
        """The limits of a host, as the engine takes them."""
        tables = ("threads", "fds", "users", "containers", "orphans", "exits", "throttled", "bytes")
        return {f"max_{name}": getattr(self, f"max_{name}") for name in tables}


class Store(Group):
    """Where events and alerts are kept."""

    dsn: str = Field(
        default_factory=lambda: f"chdb://{state_dir() / 'store'}",
        description="chdb:///directory, clickhouse://user:password@host:port/database or https://…; default: chDB.",
    )
    retention: Annotated[dict[str, int], BeforeValidator(_retention)] = Field(
        {},
        description="How long rows are kept, by table: events, alerts, ledger and raw, as in `{events: 90d}`; "
        "h, d, w or y, and `none` for ever. The sink sets it as TTL when it starts. A table that is not named stays as "
        "it is; positions, processes and containers never expire.",
    )


class Sink(Group):
    """How events and alerts are put into the store. Memory of a sink is a small multiple of batch_bytes."""

    linger_ms: int = Field(
        100, ge=1, le=60_000, description="Shortest time for which an insert gathers messages, when it is quiet."
    )
    inserts_per_minute: int = Field(
        60,
        ge=1,
        le=6000,
        description="Most inserts that are not full, in the long run; a few more after a quiet time. Fewer make larger "
        "parts and less work for ClickHouse, and a longer wait.",
    )
    batch_bytes: int = Field(
        16 << 20, ge=64 << 10, le=256 << 20, description="Bytes of messages at which an insert is full."
    )
    batch_rows: int = Field(500_000, ge=1000, description="Events, about, at which an insert is full.")
    raw: bool = Field(
        False, description="Whether raw batches are stored, too, in the table `raw`; give it a `store.retention`."
    )
    insert_timeout_s: int = Field(30, ge=5, le=120, description="Longest time that an insert into a table may take.")
    retry_max_s: int = Field(
        30, ge=1, le=600, description="Longest wait between two tries while the store takes nothing."
    )


class AlertSink(Group):
    """What all sinks of alerts have."""

    enabled: bool = Field(False, description="Whether alerts go there.")
    priority: Priority = Field("debug", description="Least urgent priority that goes there.")
    queue: int = Field(
        10_000, ge=1, le=1_000_000, description="Most alerts that wait; when it is full, new ones are dropped, counted."
    )


class Stdout(AlertSink):
    """Alerts to the standard output of `tiercel up` and `tiercel forward`."""

    enabled: bool = Field(True, description="Whether alerts are printed.")
    format: Literal["text", "json"] = Field("text", description="Falco's line, or Falco's JSON.")


class File(AlertSink):
    """Alerts to a file, opened anew on SIGHUP and SIGUSR1 and when it was renamed."""

    path: Path = Field(Path("/var/log/tiercel/alerts.log"), description="The file; made with mode 0600.")
    format: Literal["text", "json"] = Field("json", description="Falco's line, or Falco's JSON.")


class Syslog(AlertSink):
    """Alerts to syslog, with the priority of the rule."""

    address: Annotated[str, AfterValidator(_syslog_address)] = Field(
        "/dev/log",
        description="Path of a Unix datagram socket, udp://host:port or tcp://host:port.",
    )
    protocol: Literal["rfc3164", "rfc5424"] = Field("rfc3164", description="Form of a message's head.")
    facility: Facility = Field("user", description="Syslog facility.")
    format: Literal["text", "json"] = Field("text", description="Falco's line, or Falco's JSON.")
    max_bytes: int = Field(8192, ge=512, le=65_000, description="Longest message; a longer one is cut and says so.")
    timeout_ms: int = Field(5000, ge=10, le=600_000, description="Longest time of a try to connect or to send.")


class Webhook(AlertSink):
    """Alerts as HTTP POSTs of Falco's JSON, as Falcosidekick takes them."""

    url: SecretStr = Field(SecretStr(""), description="http:// or https:// URL; never shown, as it may hold a token.")
    headers: Headers = Field({}, description="Headers to send along, `Name: value`, one a line; never shown.")
    user_agent: str = Field("tiercel", pattern=r"^[ -~]+$", description="The header User-Agent.")
    timeout_ms: int = Field(10_000, ge=10, le=600_000, description="Longest time of a try, until its answer is there.")
    attempts: int = Field(8, ge=1, le=1000, description="Most tries of an alert that the server fails to take.")
    ca_file: str = Field("", description="File of the certificate authorities to trust; empty: the system's.")
    certificate_file: str = Field("", description="File of the client's certificate, for servers that ask for one.")
    key_file: str = Field("", description="File of its private key; empty: it stands in the same file.")
    insecure: bool = Field(False, description="Take any certificate of the server: only for trying out.")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.enabled and not re.match(r"https?://[^/\s]", self.url.get_secret_value()):
            raise ValueError("webhook.url must be an http:// or https:// URL")
        return self


class AlertKafka(KafkaClient, AlertSink):
    """Alerts as JSON to a topic of any Kafka, the key being the host's id."""

    brokers: str = Field("", description="Bootstrap brokers, host:port, comma separated.")
    topic: str = Field("", description="The topic, which must exist; not one of tiercel's own.")
    timeout_ms: int = Field(10_000, ge=10, le=600_000, description="How long a try waits for the broker's word.")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.enabled and not (self.brokers and self.topic):
            raise ValueError("alertkafka.brokers and alertkafka.topic must say where alerts go")
        return self


class Api(Group):
    """The API of the process that holds the store."""

    socket: Path = Field(
        default_factory=lambda: runtime_dir() / "api.sock", description="Path of its Unix socket (mode 0600)."
    )


class Operations(Group):
    """Metrics and health of each process, over HTTP."""

    listen: Annotated[str, AfterValidator(_listen_address)] = Field(
        "",
        description="host:port, the path of a Unix socket (mode 0600), or `off`; empty: 127.0.0.1 with a port for each "
        "stage (collect 9560, process 9561, sink 9562, forward 9563) if it is free, and `up` does not listen.",
    )
    hosts: Words = Field(
        [], description="Names by which it may be asked (header Host), besides loopback's and the address itself."
    )
    token: SecretStr = Field(
        SecretStr(""),
        description="What /metrics wants as `Authorization: Bearer`; must be set to listen beyond loopback.",
    )

    @model_validator(mode="after")
    def _guarded(self) -> Self:
        host = self.address[0] if self.address is not None else "localhost"
        if host not in LOOPBACK and not self.token.get_secret_value():
            raise ValueError("operations.listen is beyond loopback: set operations.token (TIERCEL_OPERATIONS_TOKEN)")
        return self

    @property
    def address(self) -> tuple[str, int] | None:
        """Host and port, if it is that."""
        host, colon, port = self.listen.rpartition(":")
        return (host.strip("[]"), int(port)) if colon and not self.listen.startswith("/") else None


class Log(Group):
    """What tiercel says about itself, on stderr."""

    level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least urgent level shown.")
    format: Literal["text", "json"] = Field("text", description="Lines for people, or one JSON object a line.")


class Settings(BaseSettings):
    """All groups. Build it with `load`, which turns every fault into one ConfigError."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="_", env_nested_max_split=1, enable_decoding=False, extra="forbid"
    )

    host: Host = Field(default_factory=Host)
    kafka: Kafka = Field(default_factory=Kafka)
    collector: Collector = Field(default_factory=Collector)
    worker: Worker = Field(default_factory=Worker)
    store: Store = Field(default_factory=Store)
    sink: Sink = Field(default_factory=Sink)
    stdout: Stdout = Field(default_factory=Stdout)
    file: File = Field(default_factory=File)
    syslog: Syslog = Field(default_factory=Syslog)
    webhook: Webhook = Field(default_factory=Webhook)
    alertkafka: AlertKafka = Field(default_factory=AlertKafka)
    api: Api = Field(default_factory=Api)
    operations: Operations = Field(default_factory=Operations)
    log: Log = Field(default_factory=Log)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags over environment over file; the file's content comes through `_File`."""
        return init_settings, _Environment(settings_cls), _File(settings_cls)


class _Environment(EnvSettingsSource):
    def _load_env_vars(self) -> Mapping[str, str | None]:
        # TIERCEL_KAFKA__BROKERS, the spelling of other pydantic programs, means TIERCEL_KAFKA_BROKERS.
        return {key.replace("__", "_").lower(): value for key, value in os.environ.items() if key.startswith(PREFIX)}


class _File(PydanticBaseSettingsSource):
    content: Mapping[str, Any] = {}

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        return self.content.get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        return dict(self.content)


def keys() -> dict[str, dict[str, str]]:
    """Group → key → what it means: the reference that `tiercel doctor --config` and the documentation render."""
    groups = ((name, field.annotation) for name, field in Settings.model_fields.items())
    return {
        name: {key: field.description or "" for key, field in group.model_fields.items()}
        for name, group in groups
        if isinstance(group, type) and issubclass(group, Group)
    }


def load(file: Path | None = None, /, **flags: Mapping[str, Any]) -> Settings:
    """Read the configuration; `flags` are groups of values that win over all else, None meaning "not given"."""
    named = file or (Path(os.environ[FILE_VARIABLE]) if os.environ.get(FILE_VARIABLE) else None)
    path = named or config_file()
    content = _read(path, required=named is not None)
    for variable in os.environ:
        group = variable.removeprefix(PREFIX).replace("__", "_").partition("_")[0].lower()
        if variable.startswith(PREFIX) and variable != FILE_VARIABLE and group not in Settings.model_fields:
            raise ConfigError(f"{variable}: no such setting (groups: {', '.join(Settings.model_fields)})")
    given = {group: {k: v for k, v in values.items() if v is not None} for group, values in flags.items()}
    _File.content = content
    try:
        return Settings(**{group: values for group, values in given.items() if values})  # type: ignore[arg-type]
    except ValidationError as error:
        raise ConfigError(_sentence(error, path, content, given)) from None
    finally:
        _File.content = {}


def _read(path: Path, *, required: bool) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        if required:
            raise ConfigError(f"{path}: no such configuration file") from None
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    if content is None:
        return {}
    if not isinstance(content, dict) or not all(isinstance(group, dict) for group in content.values()):
        raise ConfigError(f"{path}: must hold groups of keys, such as `kafka:` with `brokers:` below it")
    return content


def _sentence(error: ValidationError, path: Path, content: Mapping[str, Any], given: Mapping[str, Any]) -> str:
    """The first fault as one line: where the value came from, the key, what is wrong with it."""
    fault = error.errors()[0]
    group, key = str(fault["loc"][0]), str(fault["loc"][1]) if len(fault["loc"]) > 1 else ""
    variable = f"{PREFIX}{group}_{key}".upper()
    doubled = f"{PREFIX}{group}__{key}".upper()
    if key in given.get(group, {}):
        place = "command line: "
    elif variable in os.environ or doubled in os.environ:
        place = f"environment {variable if variable in os.environ else doubled}: "
    else:
        place = f"{path}: " if group in content else ""
    name = f"{group}.{key}" if key else group
    if len(fault["loc"]) > 2:
        name += "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in fault["loc"][2:])
        reason = "no such key" if fault["type"] == "extra_forbidden" else fault["msg"].removeprefix("Value error, ")
        return f"{place}{name}: {reason}"
    if fault["type"] == "extra_forbidden":
        return f"{place}{name}: no such key (known: {', '.join(keys().get(group, {}) if key else keys())})"
    return f"{place}{name}: {fault['msg'].removeprefix('Value error, ')}"
