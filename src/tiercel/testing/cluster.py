"""`make cluster`: real Kafka, a collector, a Faust worker and a sink as processes of this machine, until Ctrl-C.

Run as `python -m tiercel.testing.cluster`; its folder is .run/cluster. Nothing survives it but the store.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import tiercel.schemas
from tiercel.errors import KafkaError, TiercelError
from tiercel.joints import kafka as joint
from tiercel.schemas import topics
from tiercel.testing.kafka_server import KafkaServer, free_port

PARTITIONS = 3
# In the order of the stream: the consumer group of each, and what it reads.
_STAGES: tuple[tuple[str, str | None, list[str]], ...] = (
    ("collect", None, []),
    ("process", "tiercel-worker", [topics.RAW]),
    ("sink", "tiercel-sink", [topics.EVENTS, topics.ALERTS]),
)

_HINTS = """
Watch the alerts, in another terminal:

  {tiercel} alerts --follow --dsn unix://{socket}
  {tiercel} hunt 'fd.name = /etc/shadow' --dsn unix://{socket}
  kcat -b {brokers} -t tiercel.alerts -f '%p %o %k %S bytes\\n'

or with ten lines of Python and the schema alone (pip install confluent-kafka fastavro cramjam):

  import io, json, fastavro, confluent_kafka
  schema = fastavro.parse_schema(json.load(open("{schema}")))
  settings = {{"bootstrap.servers": "{brokers}", "group.id": "me", "auto.offset.reset": "earliest"}}
  consumer = confluent_kafka.Consumer(settings)
  consumer.subscribe(["tiercel.alerts"])
  while True:
      message = consumer.poll(1.0)
      if message and not message.error():
          alert = fastavro.schemaless_reader(io.BytesIO(message.value()[10:]), schema)
          print(alert["time"], alert["rule"], alert["message"])

Logs are in {directory}. Ctrl-C ends all of it.
"""


class Cluster:
    """The processes, as a context manager.

    `collect` and `process` are further arguments of those stages; None: that stage is not started, and without
    `process` no sink either.
    """

    def __init__(
        self,
        directory: Path,
        *,
        collect: list[str] | None = None,
        process: list[str] | None = None,
        dsn: str | None = None,
        port: int = 0,
        environment: dict[str, str] | None = None,
        lasting: bool = False,
    ) -> None:
        self.directory = directory.absolute()
        self.socket = self.directory / "api.sock"
        self._collect, self._process = collect, process
        self._dsn = dsn or f"chdb://{self.directory / 'store'}"
        self._port, self._lasting = port, lasting
        self._environment = environment or {}
        self._stack = ExitStack()
        self.kafka: KafkaServer
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        # Where each stage, as last started, tells of itself: /metrics, /healthz, /readyz.
        self.ports: dict[str, int] = {}

    def __enter__(self) -> "Cluster":
        self.directory.mkdir(parents=True, exist_ok=True)
        try:
            # Kafka begins anew each time, and so do offsets: the store tells topics apart by their id.
            self.kafka = self._stack.enter_context(KafkaServer(port=self._port, lasting=self._lasting))
            self._stack.callback(self._stop)
            topics.create({"bootstrap.servers": self.kafka.brokers}, partitions=PARTITIONS)
            if self._process is not None:
                self.start("process", *self._process)
                self._wait_for("process", "partitions assigned")
                self.start("sink")
                self._wait_for("sink", "partitions assigned")
            if self._collect is not None:
                self.start("collect", *self._collect)
                self._wait_for("collect", "collector started")
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def start(self, stage: str, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a stage (again); its log goes on in the cluster's folder."""
        self.ports[stage] = free_port()
        environment = {
            **os.environ,
            "TIERCEL_KAFKA_BROKERS": self.kafka.brokers,
            "TIERCEL_KAFKA_PARTITIONS": str(PARTITIONS),
            "TIERCEL_STORE_DSN": self._dsn,
            "TIERCEL_API_SOCKET": str(self.socket),
            "TIERCEL_COLLECTOR_SPOOL": str(self.directory / "spool"),
            "TIERCEL_OPERATIONS_LISTEN": f"127.0.0.1:{self.ports[stage]}",
            "PYTHONUNBUFFERED": "1",
            **self._environment,
        }
        with self.log(stage).open("ab") as out:
            self.processes[stage] = subprocess.Popen(
                [sys.executable, "-m", "tiercel", stage, *arguments],
                stdout=out,
                stderr=out,
                env=environment,
                # Ctrl-C is for the cluster alone, which ends its stages one after the other.
                process_group=0,
            )
        return self.processes[stage]

    def log(self, stage: str) -> Path:
        """The log of a stage."""
        return self.directory / f"{stage}.log"

    def check(self) -> None:
        """TiercelError if a stage has ended by itself."""
        for stage, process in self.processes.items():
            if process.poll() is not None:
                lines = self.log(stage).read_text(errors="replace").strip().splitlines() or ["no output"]
                raise TiercelError(f"tiercel {stage} ended with status {process.returncode}: {lines[-1]}")

    def stop(self, stage: str, how: int = signal.SIGTERM, timeout: float = 15.0) -> int:
        """End one stage and return its exit status."""
        process = self.processes[stage]
        process.send_signal(how)
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
        status = process.wait()
        del self.processes[stage]
        return status

    def _wait_for(self, stage: str, text: str, timeout: float = 60.0) -> None:
        deadline = time.monotonic() + timeout
        while text not in self.log(stage).read_text(errors="replace"):
            self.check()
            if time.monotonic() > deadline:
                raise KafkaError(f"tiercel {stage} is not ready after {timeout:.0f} s; see {self.log(stage)}")
            time.sleep(0.1)

    def _stop(self) -> None:
        # In the order of the stream, each when it has done what came before, so that what was collected still arrives.
        try:
            for stage, group, inputs in _STAGES:
                if stage in self.processes:
                    if group is not None and self.processes[stage].poll() is None:
                        self._wait_until_done(group, inputs)
                    self.stop(stage)
        finally:  # a second Ctrl-C: none may be left behind
            for process in self.processes.values():
                process.kill()
                process.wait()

    def _wait_until_done(self, group: str, inputs: list[str], timeout: float = 15.0) -> None:
        client = {"bootstrap.servers": self.kafka.brokers}
        deadline = time.monotonic() + timeout
        with suppress(KafkaError):
            while time.monotonic() < deadline and joint.behind(client, group, inputs):
                time.sleep(0.2)


def main() -> int:
    """Run a cluster until interrupted."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--directory", type=Path, default=Path(".run/cluster"))
    parser.add_argument("--port", type=int, default=9092, help="of Kafka")
    parser.add_argument("--capture", type=Path, help="play this capture instead of the live probe")
    options = parser.parse_args()
    live = options.capture is None and os.geteuid() == 0 and Path("/sys/kernel/btf/vmlinux").exists()
    if not live and options.capture is None:
        print("tiercel cluster: no root or no BTF here, so name a capture with --capture FILE", file=sys.stderr)
        return 1
    collect = [] if live else ["--capture", str(options.capture), "--rate", "1000", "--repeat"]
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    for log in options.directory.glob("*.log"):
        log.unlink()
    try:
        print("starting Kafka, worker, sink and collector …", flush=True)
        with Cluster(options.directory, collect=collect, process=[], port=options.port) as cluster:
            schema = Path(tiercel.schemas.__file__).parent / "alert.avsc"
            tiercel_command = Path(sys.executable).parent / "tiercel"
            print(
                _HINTS.format(
                    tiercel=tiercel_command,
                    socket=cluster.socket,
                    brokers=cluster.kafka.brokers,
                    schema=schema,
                    directory=cluster.directory,
                ),
                flush=True,
            )
            while True:
                time.sleep(1)
                cluster.check()
    except KeyboardInterrupt:
        return 0
    except TiercelError as error:
        print(f"tiercel cluster: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
