"""Apache Kafka without containers: its Maven artifacts under the machine's Java, one KRaft node on loopback.

Used by the services fixture where no Docker engine answers, and by `make cluster`.
"""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from tiercel.errors import KafkaError

VERSION = "4.1.0"

_POM = f"""<?xml version="1.0" encoding="UTF-8"?>
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>tiercel.testing</groupId>
  <artifactId>kafka</artifactId>
  <version>1</version>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>{VERSION}</version></dependency>
    <dependency><groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId><version>2.24.3</version></dependency>
  </dependencies>
</project>
"""

_LOGGING = """Configuration:
  status: error
  Appenders:
    Console:
      name: out
      PatternLayout: {pattern: "%d %p %m (%c)%n"}
  Loggers:
    Root: {level: WARN, AppenderRef: [{ref: out}]}
"""

# Small and quick to start: one process, C1 compiler only, few threads. Not a configuration for anything but tests.
_SETTINGS = """process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://{host}:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://{host}:{port}
controller.listener.names=CONTROLLER
log.dirs={directory}/data
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
num.network.threads=2
num.io.threads=4
log.cleaner.dedupe.buffer.size=16777216
log.cleaner.threads=1
message.max.bytes=4194304
replica.fetch.max.bytes=4194304
"""


def jars() -> Path:
    """The folder of Kafka's jars, fetched with Maven the first time. KafkaError says what is missing."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tiercel" / f"kafka-{VERSION}"
    if (cache / "complete").exists():
        return cache / "lib"
    if shutil.which("java") is None or shutil.which("mvn") is None:
        raise KafkaError("Kafka for tests needs Java 17 and Maven: apt-get install default-jre-headless maven")
    cache.mkdir(parents=True, exist_ok=True)
    (cache / "pom.xml").write_text(_POM)
    command = [
        "mvn",
        "-q",
        "-B",
        "-f",
        str(cache / "pom.xml"),
        "dependency:copy-dependencies",
        f"-DoutputDirectory={cache / 'lib'}",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = next((line for line in done.stdout.splitlines() if "ERROR" in line), "mvn failed")
        raise KafkaError(f"Kafka's jars could not be fetched with Maven: {reason}")
    (cache / "complete").touch()
    return cache / "lib"


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class KafkaServer:
    """The broker as a context manager; `brokers` is what clients take. Without a directory its data goes with it.

    `host` is where it listens, `inside` what its command begins with, where that is not loopback of this machine.
    """

    def __init__(
        self,
        directory: Path | None = None,
        *,
        port: int = 0,
        heap_mb: int = 384,
        extra: str = "",
        lasting: bool = False,
        host: str = "127.0.0.1",
        inside: Sequence[str] = (),
    ) -> None:
        # Lines of `extra` win over those of the settings; {port} and {controller} stand for the ports. `lasting`: it is
        # to run for minutes under load, so that the better compiler pays.
        self._temporary = directory is None
        self.directory = directory or Path(tempfile.mkdtemp(prefix="tiercel-kafka-"))
        self.port = port or free_port()
        self._heap_mb, self._extra, self._lasting = heap_mb, extra, lasting
        self._host, self._inside = host, inside
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def brokers(self) -> str:
        return f"{self._host}:{self.port}"

    def __enter__(self) -> "KafkaServer":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        if self._temporary:
            shutil.rmtree(self.directory, ignore_errors=True)

    def start(self, timeout: float = 90.0) -> None:
        """Start, and wait until it takes requests; a stopped server starts again with the data it had."""
        library = jars()
        data = self.directory / "data"
        data.mkdir(parents=True, exist_ok=True)
        if not (data / "meta.properties").exists():
            # What the storage tool would write, without a second Java start.
            cluster = urlsafe_b64encode(secrets.token_bytes(16)).decode().rstrip("=")
            (data / "meta.properties").write_text(f"version=1\ncluster.id={cluster}\nnode.id=1\n")
        (self.directory / "log4j2.yaml").write_text(_LOGGING)
        settings = self.directory / "server.properties"
        settings.write_text(
            (_SETTINGS + self._extra).format(
                host=self._host, port=self.port, controller=free_port(), directory=self.directory
            )
        )
        java = ["java", f"-Xmx{self._heap_mb}m", "-XX:+UseSerialGC", "-Xshare:auto"]
        if not self._lasting:
            java.append("-XX:TieredStopAtLevel=1")
        with (self.directory / "kafka.log").open("ab") as out:
            self.process = subprocess.Popen(
                [
                    *self._inside,
                    *java,
                    f"-Dlog4j2.configurationFile={self.directory / 'log4j2.yaml'}",
                    "-cp",
                    f"{library}/*",
                    "kafka.Kafka",
                    str(settings),
                ],
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        deadline = time.monotonic() + timeout
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise KafkaError(f"Kafka did not start; see {self.directory / 'kafka.log'}")
            time.sleep(0.1)

    def _answers(self) -> bool:
        with socket.socket() as attempt:
            if attempt.connect_ex((self._host, self.port)):
                return False
        try:
            return bool(AdminClient({"bootstrap.servers": self.brokers, "log_level": 0}).list_topics(timeout=5).brokers)
        except KafkaException:
            return False

    def stop(self, how: int = signal.SIGKILL) -> None:
        """Stop it; by default at once, as its data is thrown away or may be recovered."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait()
            self.process = None
