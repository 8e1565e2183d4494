"""A real schema registry without containers: Apicurio Registry from its Maven artifact under the machine's Java.

It speaks Confluent's HTTP interface. Used by the fixture `registry` of `services`.
"""

import os
import shutil
import signal
import subprocess
import tarfile
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType

from tiercel.errors import KafkaError
from tiercel.testing.kafka_server import free_port

# The newest whose classes Java 17 loads and whose parent is to be had.
VERSION = "2.6.13.Final"

_POM = f"""<?xml version="1.0" encoding="UTF-8"?>
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>tiercel.testing</groupId>
  <artifactId>registry</artifactId>
  <version>1</version>
  <dependencies>
    <dependency>
      <groupId>io.apicurio</groupId><artifactId>apicurio-registry-app</artifactId><version>{VERSION}</version>
      <type>tar.gz</type><classifier>all</classifier>
      <exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion></exclusions>
    </dependency>
  </dependencies>
</project>
"""


def jars() -> Path:
    """The folder of the registry's jars, fetched with Maven the first time. KafkaError says what is missing."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tiercel" / f"registry-{VERSION}"
    if (cache / "complete").exists():
        return cache / "app"
    if shutil.which("java") is None or shutil.which("mvn") is None:
        raise KafkaError("the registry for tests needs Java 17 and Maven: apt-get install default-jre-headless maven")
    cache.mkdir(parents=True, exist_ok=True)
    (cache / "pom.xml").write_text(_POM)
    fetched = cache / "fetched"
    command = ["mvn", "-q", "-B", "-f", str(cache / "pom.xml"), "dependency:copy-dependencies"]
    done = subprocess.run([*command, f"-DoutputDirectory={fetched}"], capture_output=True, text=True, check=False)
    archive = next(fetched.glob("*.tar.gz"), None)
    if done.returncode or archive is None:
        reason = next((line for line in done.stdout.splitlines() if "ERROR" in line), "mvn failed")
        raise KafkaError(f"the registry's archive could not be fetched with Maven: {reason}")
    with tarfile.open(archive) as packed:
        packed.extractall(cache / "app", filter="data")
    shutil.rmtree(fetched)
    (cache / "complete").touch()
    return cache / "app"


class RegistryServer:
    """The registry as a context manager; `url` is what `kafka.schema_registry` takes. Its schemas go with it."""

    def __init__(self, *, port: int = 0, heap_mb: int = 256) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="tiercel-registry-"))
        self.port = port or free_port()
        self.started_s = 0.0
        self._heap_mb = heap_mb
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/apis/ccompat/v7"

    def __enter__(self) -> "RegistryServer":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def start(self, timeout: float = 90.0) -> None:
        """Start, and wait until it takes requests; one that was stopped starts again with the schemas it had."""
        app, began = jars(), time.monotonic()
        runner = next(app.glob("*-runner.jar"))
        settings = {
            "quarkus.http.host": "127.0.0.1",
            "quarkus.http.port": self.port,
            "quarkus.log.level": "WARN",
            # On disk, so that ids stay what they are when it is stopped and started.
            "quarkus.datasource.jdbc.url": f"jdbc:h2:file:{self.directory / 'schemas'}",
        }
        java = ["java", f"-Xmx{self._heap_mb}m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"]
        with (self.directory / "registry.log").open("ab") as out:
            self.process = subprocess.Popen(
                [
                    *java,
                    *(f"-D{key}={value}" for key, value in settings.items()),
                    "-cp",
                    f"{runner}:{app / 'lib'}/*",
                    "io.quarkus.runner.GeneratedMain",
                ],
                cwd=self.directory,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() - began > timeout:
                last = (self.directory / "registry.log").read_text(errors="replace").strip().splitlines()[-1:]
                self.stop()
                raise KafkaError(f"the schema registry did not start: {''.join(last) or 'it said nothing'}")
            time.sleep(0.1)
        self.started_s = time.monotonic() - began

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/subjects", timeout=5):  # noqa: S310 - loopback
                return True
        except (OSError, urllib.error.HTTPError):
            return False

    def stop(self, how: int = signal.SIGTERM) -> None:
        """Stop it; killed, it may forget what it was told last."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait()
            self.process = None
