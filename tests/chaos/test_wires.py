"""Brokers, stores and workers that stand still or cannot be reached for a time."""

import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tiercel.joints import kafka as joint
from tiercel.schemas import topics
from tiercel.testing.fleet.fleet import Fleet

_RECOVERY_S = 90.0


@pytest.mark.chaos
@pytest.mark.services
def test_a_broker_that_is_killed_and_comes_back(running) -> None:
    with running(seconds=20) as fleet:
        produced = fleet.produced()
        fleet.kafka.stop()
        time.sleep(4)
        fleet.kafka.start()
        print(f"Kafka was away: recovered {fleet.wait_until(produced, _RECOVERY_S):.1f} s after its return")


@pytest.mark.chaos
@pytest.mark.services
def test_a_worker_that_stood_still_longer_than_its_session(running) -> None:
    with running(seconds=35) as fleet:
        victim = fleet.processes.of("worker")[0]
        fleet.processes.kill(victim, signal.SIGSTOP)
        time.sleep(joint.SESSION_SECONDS + 5)
        produced = fleet.produced()
        took = fleet.wait_until(produced, _RECOVERY_S)
        print(f"a worker stands still: the other has all of it {took:.1f} s after the session's end")
        fleet.processes.kill(victim, signal.SIGCONT)


@pytest.mark.chaos
@pytest.mark.services
def test_a_message_that_is_none_goes_to_quarantine_and_the_books_balance(running) -> None:
    with running(seconds=12) as fleet:
        producer = joint.KafkaProducer({"bootstrap.servers": fleet.kafka.brokers})
        whole = avro_of_the_raw_topic(fleet)
        torn = [whole[:-7], whole[: len(whole) // 2], b"", b"\xc3\x01" + b"\xff" * 64, b"\0" * 5000]
        for number, message in enumerate(torn):
            producer.send(topics.RAW, b"nobody", message, number % 3)
        assert producer.flush() == 0
        client = {"bootstrap.servers": fleet.kafka.brokers}
        deadline = time.monotonic() + 30
        while (count := sum(joint.ends(client, topics.QUARANTINE, range(6)).values())) < len(torn):
            assert time.monotonic() < deadline, f"{count} of {len(torn)} are in quarantine; {fleet.tell()}"
            time.sleep(0.2)
        assert count == len(torn)


def avro_of_the_raw_topic(fleet: Fleet) -> bytes:
    consumer = joint.KafkaConsumer({"bootstrap.servers": fleet.kafka.brokers}, "chaos-reader", [topics.RAW])
    try:
        return next(iter(consumer)).value
    finally:
        consumer.close()


@contextmanager
def cut(*ports: int) -> Iterator[None]:
    """No packet to or from these ports of loopback gets through."""
    table = "tiercel_chaos"
    rules = [f"add table inet {table}", f"add chain inet {table} out {{ type filter hook output priority 0; }}"]
    for port in ports:
        rules += [f"add rule inet {table} out tcp {end} {port} drop" for end in ("dport", "sport")]
    subprocess.run(["nft", "-f", "-"], input="\n".join(rules), text=True, check=True)
    try:
        yield
    finally:
        subprocess.run(["nft", "delete", "table", "inet", table], check=True)


@pytest.mark.chaos
@pytest.mark.services
def test_wires_to_the_broker_that_are_cut(running) -> None:
    with running(seconds=30) as fleet:
        produced = fleet.produced()
        with cut(fleet.kafka.port):
            time.sleep(8)
        print(f"no way to Kafka: recovered {fleet.wait_until(produced, _RECOVERY_S):.1f} s after")
        produced = fleet.produced()
        with cut(fleet.engine.port):
            time.sleep(5)
        print(f"no way to the store: recovered {fleet.wait_until(produced, _RECOVERY_S):.1f} s after")
