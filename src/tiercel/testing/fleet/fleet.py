"""Kafka, a store, generators of hosts, workers and sinks, each a process of this machine, as a context manager."""

import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from tiercel import store
from tiercel.errors import TiercelError
from tiercel.joints import kafka as joint
from tiercel.schemas import topics
from tiercel.testing.chdb_http import ChdbServer
from tiercel.testing.fleet import truth
from tiercel.testing.fleet.generator import end_file
from tiercel.testing.fleet.judge import Verdict, judge
from tiercel.testing.fleet.network import KAFKA, STORE, Network
from tiercel.testing.fleet.plan import Plan
from tiercel.testing.fleet.processes import Member, Processes
from tiercel.testing.fleet.recording import recording
from tiercel.testing.kafka_server import KafkaServer


class Fleet:
    """Runs from `with` on but for its hosts, which `begin` starts. `rules`: arguments of the workers.

    `spools`: the folder of the hosts' spools; None: they have none, and wait for Kafka. `network`: where each kind of
    process has a place of its own; None: all are on loopback.
    """

    def __init__(
        self,
        folder: Path,
        plan: Plan,
        *,
        workers: int = 2,
        sinks: int = 1,
        generators: int = 1,
        partitions: int = 6,
        rules: tuple[str, ...] = (),
        spools: Path | None = None,
        network: Network | None = None,
    ) -> None:
        self.folder, self.plan, self.rules = folder.absolute(), plan, rules
        self._workers, self._sinks, self._generators, self._partitions = workers, sinks, generators, partitions
        self.spools, self.network = spools, network
        self._stack = ExitStack()
        self.kafka: KafkaServer
        self.engine: ChdbServer
        self.store: Client
        self.processes: Processes

    def __enter__(self) -> "Fleet":
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            if self.network is not None:
                self._stack.enter_context(self.network)
            host, inside = self._place(KAFKA)
            self.kafka = self._stack.enter_context(KafkaServer(host=host, inside=inside))
            topics.create({"bootstrap.servers": self.kafka.brokers}, partitions=self._partitions)
            host, inside = self._place(STORE)
            self.engine = self._stack.enter_context(ChdbServer(self.folder / "store", host=host, inside=inside))
            self.store = store.connect(self.engine.dsn)
            environment = {
                "TIERCEL_KAFKA_BROKERS": self.kafka.brokers,
                "TIERCEL_KAFKA_PARTITIONS": str(self._partitions),
                "TIERCEL_STORE_DSN": self.engine.dsn,
                "PYTHONUNBUFFERED": "1",
            }
            self.processes = Processes(self.folder, environment, lambda kind: self._place(kind)[1])
            self._stack.callback(self.processes.close)
            command = [sys.executable, "-m", "tiercel"]
            for number in range(self._workers):
                self.processes.start(f"worker-{number}", [*command, "process", *self.rules])
            for number in range(self._sinks):
                self.processes.start(f"sink-{number}", [*command, "sink"])
            self._wait_for("partitions assigned")
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def begin(self) -> None:
        """Start the hosts."""
        hosts = self.plan.hosts
        for number in range(self._generators):
            part, plan = self.plan.lives_of(hosts[number :: self._generators]), self.folder / f"plan-{number}.json"
            part.save(plan)
            arguments = [str(plan), str(self._truth(number)), self.kafka.brokers]
            arguments += [str(self.spools)] if self.spools is not None else []
            self.processes.start(
                f"hosts-{number}", [sys.executable, "-m", "tiercel.testing.fleet.generator", *arguments]
            )

    def end(self) -> None:
        """Let the lives of all hosts end now."""
        for number in range(self._generators):
            end_file(self._truth(number)).touch()

    def _place(self, kind: str) -> tuple[str, list[str]]:
        """Where processes of a kind listen, and what their commands begin with."""
        if self.network is None:
            return "127.0.0.1", []
        return self.network.address(kind, STORE if kind == STORE else KAFKA), self.network.inside(kind)

    def _truth(self, number: int) -> Path:
        return self.folder / f"truth-{number}"

    def runs(self) -> list[truth.Run]:
        """What was produced so far."""
        return truth.read(self._truth(number) for number in range(self._generators))

    def events_stored(self) -> int:
        return int(self._ask("SELECT count() FROM events"))

    def accounted(self) -> int:
        """Events that are stored or told to be lost."""
        return self.events_stored() + int(self._ask("SELECT sum(count) FROM ledger WHERE kind = 'lost'"))

    def lost(self) -> dict[tuple[str, str], int]:
        """What the ledger tells to be lost, by stage and reason."""
        question = "SELECT stage, reason, sum(count) FROM ledger WHERE kind = 'lost' GROUP BY ALL"
        return {(stage, reason): int(count) for stage, reason, count in self.store.query(question).result_rows}

    def alerts_stored(self) -> int:
        return int(self._ask("SELECT uniqExact(id) FROM alerts"))

    def _ask(self, question: str) -> int:
        try:
            return int(self.store.query(question).result_rows[0][0])
        except Exception as error:
            if "UNKNOWN_TABLE" in str(error):
                return 0
            raise

    def produced(self) -> int:
        """Events of kernel origin so far."""
        return sum(map(self._kernel, self.runs()))

    def all_produced(self) -> bool:
        """Whether every host has come to its end."""
        return all(member.ended for member in self.processes.members.values() if member.kind == "hosts")

    def lags(self) -> dict[str, int]:
        """Messages that workers and sinks have not committed."""
        client = {"bootstrap.servers": self.kafka.brokers}
        return {
            "worker": joint.behind(client, "tiercel-worker", [topics.RAW]),
            "sink": joint.behind(client, "tiercel-sink", [topics.EVENTS, topics.ALERTS]),
        }

    def wait_until_kept(self, timeout: float) -> None:
        """Until snapshots of all hosts cover what is there now: a worker that is started anew has much to restore."""
        client, deadline = {"bootstrap.servers": self.kafka.brokers}, time.monotonic() + timeout
        wanted = joint.ends(client, topics.RAW, range(self._partitions))
        while True:
            # Kafka gives offsets as acknowledged that no snapshot is missing for.
            done = joint.committed(client, "tiercel-worker", topics.RAW)
            late = [part for part, end in wanted.items() if done.get(part, 0) < end]
            if not late:
                return
            if time.monotonic() > deadline:
                raise TiercelError(f"partitions {late} are not kept after {timeout:.0f} s; {self.tell()}")
            time.sleep(0.2)

    def wait_for(self, runs: list[truth.Run], timeout: float) -> float:
        """Until all events of these runs are stored or told to be lost; seconds that it took. TiercelError: time is up.

        As `runs` told them at some moment: a host's events are stored in order, so their number tells how far it is.
        """
        begun = time.monotonic()
        wanted = {(run.host_id, run.boot_id, run.first): self._kernel(run) for run in runs}
        while late := self._late(wanted):
            if time.monotonic() - begun > timeout:
                raise TiercelError(f"{late} of {len(runs)} runs are not stored after {timeout:.0f} s; {self.tell()}")
            time.sleep(0.1)
        return time.monotonic() - begun

    def _late(self, wanted: dict[tuple[str, str, int], int]) -> int:
        """How many runs are not that far."""
        try:
            rows = self.store.query(
                "SELECT host_id, boot_id, run, sum(n) FROM (SELECT host_id, boot_id, run, 1 AS n FROM events UNION ALL"
                " SELECT host_id, boot_id, run, count FROM ledger WHERE kind = 'lost') GROUP BY ALL"
            ).result_rows
        except ClickHouseError:  # no tables yet, or no way to it
            return len(wanted)
        found = {(host, boot, int(run)): int(count) for host, boot, run, count in rows}
        return sum(found.get(name, 0) < count for name, count in wanted.items())

    def _kernel(self, run: truth.Run) -> int:
        life = next(life for life in self.plan.lives if (life.host_id, life.boot_id) == (run.host_id, run.boot_id))
        return recording(life.recording).kernel(run.start, run.stop)

    def wait_until_done(self, timeout: float) -> None:
        """Until all lives are over and all of it has arrived."""
        deadline = time.monotonic() + timeout
        while not self.all_produced():
            if time.monotonic() > deadline:
                raise TiercelError(f"the hosts are not done after {timeout:.0f} s; {self.tell()}")
            time.sleep(0.1)
        self.wait_for(self.runs(), max(10.0, deadline - time.monotonic()))

    def judge(self) -> Verdict:
        """Hold the store against the truth."""
        return judge(self.plan, self.runs(), self.store)

    def audit(self) -> subprocess.CompletedProcess[str]:
        """What the product says itself."""
        command = [sys.executable, "-m", "tiercel", "audit", "--dsn", self.engine.dsn]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def tell(self) -> str:
        """The last words of each process."""
        return "; ".join(f"{m.name} (start {m.starts}): {_last_line(m)}" for m in self.processes.members.values())

    def _wait_for(self, text: str, timeout: float = 90.0) -> None:
        deadline = time.monotonic() + timeout
        workers = self.processes.of("worker")
        while not all(text in m.log.read_text(errors="replace") for m in workers):
            if time.monotonic() > deadline:
                raise TiercelError(f"the workers are not ready after {timeout:.0f} s; {self.tell()}")
            time.sleep(0.1)


def _last_line(member: Member) -> str:
    lines = member.log.read_text(errors="replace").strip().splitlines()
    return lines[-1][:200] if lines else "no output"
