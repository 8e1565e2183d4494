"""What happens to a fleet. Each act ends when all that was produced before it is stored, and prints its time."""

import random
import signal
import time
from pathlib import Path

from tiercel.joints import kafka as joint
from tiercel.processors import app
from tiercel.schemas import topics
from tiercel.testing.fleet.fleet import Fleet
from tiercel.testing.fleet.truth import Run

_RECOVERY_S = 120.0
# Beyond the sessions of workers and sinks: others have taken what was theirs.
_LONG_S = max(joint.SESSION_SECONDS, app.SESSION_SECONDS) + 2.0
_SHORT_S = 4.0


def kill(fleet: Fleet, kind: str, chance: random.Random) -> None:
    """kill -9 one of these processes; its supervisor starts it anew."""
    victims = fleet.processes.of(kind)
    if not victims:
        return
    produced = fleet.runs()
    victim = chance.choice(victims)
    fleet.processes.kill(victim)
    _told(f"kill -9 {victim.name}", fleet, produced)


def broker_killed(fleet: Fleet) -> None:
    """The broker is killed, and comes back with what it had."""
    produced = fleet.runs()
    fleet.kafka.stop()
    time.sleep(3)
    fleet.kafka.start()
    _told("kill -9 Kafka", fleet, produced)


def store_killed(fleet: Fleet) -> None:
    """The same of ClickHouse's engine."""
    produced = fleet.runs()
    fleet.engine.__exit__(None, None, None)
    time.sleep(3)
    fleet.engine.__enter__()
    _told("kill -9 the store", fleet, produced)


def worker_stopped(fleet: Fleet) -> None:
    """A worker stands still beyond its session, and then goes on as if nothing had happened."""
    victim = fleet.processes.of("worker")[0]
    fleet.processes.kill(victim, signal.SIGSTOP)
    try:
        time.sleep(app.SESSION_SECONDS + 3)
        _told("a worker stands still, its session over", fleet, fleet.runs())
    finally:
        fleet.processes.kill(victim, signal.SIGCONT)


def messages_torn(fleet: Fleet) -> None:
    """Messages on the raw topic that are none: each goes to quarantine."""
    client = {"bootstrap.servers": fleet.kafka.brokers}
    whole = _some_message(client)
    torn = [whole[:-7], whole[: len(whole) // 2], b"", b"\xc3\x01" + b"\xff" * 64, b"\0" * 5000]
    produced, before = fleet.runs(), _in_quarantine(client)
    producer = joint.KafkaProducer(client)
    for number, message in enumerate(torn):
        producer.send(topics.RAW, b"nobody", message, number % 3)
    assert producer.flush() == 0
    deadline = time.monotonic() + 60
    while (count := _in_quarantine(client) - before) < len(torn):
        assert time.monotonic() < deadline, f"{count} of {len(torn)} are in quarantine; {fleet.tell()}"
        time.sleep(0.2)
    _told(f"{len(torn)} torn messages", fleet, produced)


def _in_quarantine(client: dict[str, str]) -> int:
    return sum(joint.ends(client, topics.QUARANTINE, range(joint.check(client, [topics.RAW])[topics.RAW])).values())


def _some_message(client: dict[str, str]) -> bytes:
    consumer = joint.KafkaConsumer(client, "chaos-reader", [topics.RAW])
    try:
        return next(iter(consumer)).value
    finally:
        consumer.close()


def cut_off(fleet: Fleet, name: str) -> None:
    """No packet gets to a process or comes from it; a worker or a sink is given up by its group meanwhile."""
    assert fleet.network is not None
    with fleet.network.cut(name):
        time.sleep(_LONG_S if name.startswith(("worker", "sink")) else _SHORT_S)
        produced = fleet.runs()
    _told(f"{name} was cut off", fleet, produced)


def disk_filled_and_damaged(fleet: Fleet) -> None:
    """The hosts are cut off until their disk is full; then what they wrote there is damaged, and Kafka is back."""
    assert fleet.network is not None
    assert fleet.spools is not None
    (hosts,) = fleet.processes.of("hosts")
    with fleet.network.cut(hosts.name):
        deadline = time.monotonic() + 120
        while "no room for events, counted as lost" not in hosts.log.read_text(errors="replace"):
            assert time.monotonic() < deadline, fleet.tell()
            time.sleep(0.2)
        for host in list(fleet.spools.iterdir())[:3]:
            # Neither what is on its way already, nor what is being written.
            _damage(sorted(host.glob("*.segment"))[-2])
    _told("the disk was full and damaged", fleet, fleet.runs())


def _damage(segment: Path) -> None:
    content = bytearray(segment.read_bytes())
    content[len(content) // 2] ^= 0xFF
    with segment.open("r+b") as out:
        out.write(content)


def _told(what: str, fleet: Fleet, produced: list[Run]) -> None:
    print(f"{what}: recovered after {fleet.wait_for(produced, _RECOVERY_S):.1f} s", flush=True)
