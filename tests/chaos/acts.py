"""What happens to a fleet. Each act ends when all that was produced up to its end is stored, and prints its time.

Nothing waits for a fixed time to have an effect: an act goes on when what it is about has happened.
"""

import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

from tiercel.commands.rules import load_set
from tiercel.config import Worker
from tiercel.joints import kafka as joint
from tiercel.processors import app
from tiercel.schemas import topics
from tiercel.testing.fleet import undisturbed
from tiercel.testing.fleet.fleet import Fleet
from tiercel.testing.fleet.network import KAFKA, STORE
from tiercel.testing.fleet.processes import Member

# However slow the machine is; how long it took is printed.
PATIENCE_S = 120.0
# Segments of a spool that waits: the first may be on its way, the last is written to.
_ENOUGH = 4
_FEWEST_ALERTS = 10
# Each kind of process at one end of a wire, and what is at the other.
WIRES = (("worker", KAFKA), ("sink", KAFKA), ("sink", STORE), ("hosts", KAFKA))

Act = Callable[[Fleet, random.Random], None]


def killed(*kinds: str) -> Act:
    """kill -9 one process of each of these kinds at once; their supervisor starts them anew."""

    def act(fleet: Fleet, chance: random.Random) -> None:
        victims = [chance.choice(_running(fleet, kind)) for kind in kinds]
        starts, begun = sum(victim.starts for victim in victims), time.monotonic()
        for victim in victims:
            fleet.processes.kill(victim)
        _until(lambda: sum(victim.starts for victim in victims) >= starts + len(victims), fleet, "nobody starts them")
        _told(f"kill -9 {', '.join(victim.name for victim in victims)}", fleet, begun)

    return act


def _running(fleet: Fleet, kind: str) -> list[Member]:
    deadline = time.monotonic() + PATIENCE_S
    # The last of each kind lives on: its memory is looked at over the whole run.
    last = max(name for name, member in fleet.processes.members.items() if member.kind == kind)
    while not (found := [member for member in fleet.processes.of(kind) if member.name != last]):
        assert time.monotonic() < deadline, f"no {kind} runs; {fleet.tell()}"
        time.sleep(0.1)
    return found


def broker_killed(fleet: Fleet, chance: random.Random) -> None:
    """kill -9 the broker; it comes back with what it had, and the recovery counts from when it answers."""
    fleet.kafka.stop()
    time.sleep(chance.uniform(0, 8))
    fleet.kafka.start()
    _told("kill -9 of the broker", fleet)


def worker_stopped(fleet: Fleet, _: random.Random) -> None:
    """A worker stands still beyond its session, and then goes on as if nothing had happened."""
    victim, begun = fleet.processes.of("worker")[0], time.monotonic()
    fleet.processes.kill(victim, signal.SIGSTOP)
    try:
        time.sleep(app.SESSION_SECONDS + 3)
        _told("a worker stands still, its session over", fleet, begun)
    finally:
        fleet.processes.kill(victim, signal.SIGCONT)
    _told("that worker goes on", fleet)


def messages_torn(fleet: Fleet, _: random.Random) -> None:
    """Messages on the raw topic that are none: each goes to quarantine."""
    client = {"bootstrap.servers": fleet.kafka.brokers}
    whole = _some_message(client)
    torn = [whole[:-7], whole[: len(whole) // 2], b"", b"\xc3\x01" + b"\xff" * 64, b"\0" * 5000]
    before = _in_quarantine(client)
    producer = joint.KafkaProducer(client)
    for number, message in enumerate(torn):
        producer.send(topics.RAW, b"nobody", message, number % 3)
    assert producer.flush(PATIENCE_S) == 0
    _until(lambda: _in_quarantine(client) - before >= len(torn), fleet, "torn messages are not in quarantine")
    _told(f"{len(torn)} torn messages", fleet)


def _in_quarantine(client: dict[str, str]) -> int:
    return sum(joint.ends(client, topics.QUARANTINE, range(joint.check(client, [topics.RAW])[topics.RAW])).values())


def _some_message(client: dict[str, str]) -> bytes:
    consumer = joint.KafkaConsumer(client, "chaos-reader", [topics.RAW])
    try:
        return next(iter(consumer)).value
    finally:
        consumer.close()


def wire_cut(kind: str, network: str, *, least: float = 2.0) -> Act:
    """Nothing comes through the wire between a kind of process and Kafka, or the store."""

    def act(fleet: Fleet, chance: random.Random) -> None:
        assert fleet.network is not None
        with fleet.network.cut(kind, network):
            time.sleep(least + chance.uniform(0, 5))
        _told(f"{kind} cut off from {network}", fleet)

    return act


def wires_cut(fleet: Fleet, _: random.Random) -> None:
    """One after the other, each while the one before is still being recovered from."""
    assert fleet.network is not None
    for kind, network in WIRES:
        with fleet.network.cut(kind, network):
            time.sleep(2)
    _told("each wire cut", fleet)


def as_if_nothing_had_happened(fleet: Fleet, _: random.Random) -> None:
    """While nothing is lost: the alerts are those of hosts, collectors and a worker that nothing happened to."""
    runs = fleet.runs()
    fleet.wait_for(runs, PATIENCE_S)
    assert fleet.lost() == {}
    expected = undisturbed.expected(fleet.plan, runs, load_set(Worker()).rules)
    assert sum(map(len, expected.values())) > _FEWEST_ALERTS

    def equal() -> bool:
        # Hosts go on meanwhile.
        sent = undisturbed.sent(fleet.kafka.brokers, fleet.runs())
        return all(sent.get(host, [])[: len(alerts)] == alerts for host, alerts in expected.items())

    _until(equal, fleet, "alerts are others than those of an undisturbed run")
    print(f"{sum(map(len, expected.values()))} alerts as if nothing had happened", flush=True)


def spools_suffer(fleet: Fleet, chance: random.Random) -> None:
    """While Kafka is away a segment is damaged on disk, a host's process is killed, and the disk fills up."""
    assert fleet.spools is not None
    logs = [member.log for member in fleet.processes.members.values() if member.kind == "hosts"]
    before, shed = fleet.lost(), _shed(logs)
    fleet.kafka.stop()
    _until(lambda: _damaged(fleet.spools, chance), fleet, "no segment has enough that waits")
    fleet.processes.kill(_running(fleet, "hosts")[0])
    _until(lambda: _shed(logs) > shed, fleet, "the disk does not fill up")
    fleet.kafka.start()
    _told("kill -9 of the broker, damage to a segment, a full disk", fleet)
    after = fleet.lost()
    new = {key: count - before.get(key, 0) for key, count in after.items() if count > before.get(key, 0)}
    print(f"    lost and told: {new}", flush=True)
    assert any(("spool", reason) in new for reason in ("disk", "full")), new
    assert ("spool", "corrupt") in new, new


def _damaged(spools: Path, chance: random.Random) -> bool:
    """Flip bytes in a segment between others: it is whole, and nobody has read it yet."""
    for folder in spools.iterdir():
        segments = sorted(folder.glob("*.segment"))
        if len(segments) < _ENOUGH:
            continue
        size = segments[-2].stat().st_size
        with segments[-2].open("r+b") as file:
            place = chance.randrange(size // 4, size // 2)
            file.seek(place)
            old = file.read(64)
            file.seek(place)
            file.write(bytes(byte ^ 0xFF for byte in old))
        return True
    return False


def _shed(logs: list[Path]) -> int:
    """How often a collector said that it had no room."""
    return sum(log.read_text(errors="replace").count("counted as lost") for log in logs)


def _until(happened: Callable[[], bool], fleet: Fleet, otherwise: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not happened():
        assert time.monotonic() < deadline, f"{otherwise}; {fleet.tell()}"
        time.sleep(0.2)


def _told(what: str, fleet: Fleet, begun: float | None = None) -> None:
    begun = begun or time.monotonic()
    fleet.wait_for(fleet.runs(), PATIENCE_S)
    print(f"{what}: recovered after {time.monotonic() - begun:.1f} s", flush=True)
