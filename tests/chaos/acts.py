"""What happens to a fleet. Each act ends when all that was produced before it is stored, and prints its time."""

import random
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tiercel.joints import kafka as joint
from tiercel.schemas import topics
from tiercel.testing.fleet.fleet import Fleet
from tiercel.testing.fleet.truth import Run

_RECOVERY_S = 90.0
PAUSE_S = 2.0


def kill(fleet: Fleet, kind: str, chance: random.Random) -> None:
    """kill -9 one of these processes; its supervisor starts it anew."""
    victims = fleet.processes.of(kind)
    if not victims:
        return
    produced = fleet.runs()
    victim = chance.choice(victims)
    fleet.processes.kill(victim)
    _told(f"kill -9 {victim.name}", fleet, produced)


def broker_restarted(fleet: Fleet) -> None:
    """The broker is killed, and comes back with what it had."""
    produced = fleet.runs()
    fleet.kafka.stop()
    time.sleep(3)
    fleet.kafka.start()
    _told("Kafka restarted", fleet, produced)


def worker_stopped(fleet: Fleet) -> None:
    """A worker stands still beyond its session, and then goes on as if nothing had happened."""
    victim = fleet.processes.of("worker")[0]
    fleet.processes.kill(victim, signal.SIGSTOP)
    try:
        time.sleep(joint.SESSION_SECONDS + 3)
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
    deadline = time.monotonic() + 30
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


def wires_cut(fleet: Fleet) -> None:
    """No packet gets to the broker; later none to the store."""
    for name, port in (("Kafka", fleet.kafka.port), ("the store", fleet.engine.port)):
        produced = fleet.runs()
        with _cut(port):
            time.sleep(5)
        _told(f"no way to {name}", fleet, produced)


@contextmanager
def _cut(port: int) -> Iterator[None]:
    """Packets to and from this port of loopback are dropped: nobody is told, as where a cable is pulled."""
    table = f"tiercel_chaos_{port}"
    rules = [f"add table inet {table}", f"add chain inet {table} out {{ type filter hook output priority 0; }}"]
    rules += [f"add rule inet {table} out tcp {end} {port} drop" for end in ("dport", "sport")]
    subprocess.run(["nft", "-f", "-"], input="\n".join(rules), text=True, check=True)
    try:
        yield
    finally:
        subprocess.run(["nft", "delete", "table", "inet", table], check=True)


def _told(what: str, fleet: Fleet, produced: list[Run]) -> None:
    print(f"{what}: recovered after {fleet.wait_for(produced, _RECOVERY_S):.1f} s", flush=True)
