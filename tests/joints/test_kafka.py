"""The Kafka joint against a real broker."""

import pytest

from tiercel.errors import KafkaError
from tiercel.joints import kafka as joint
from tiercel.schemas import topics
from tiercel.testing.kafka_server import free_port
from tiercel.testing.services import Kafka, eventually


def test_a_broker_that_is_down_is_one_clear_sentence() -> None:
    address = f"127.0.0.1:{free_port()}"
    with pytest.raises(KafkaError, match=f"^no Kafka broker answers at {address}"):
        joint.check({"bootstrap.servers": address}, [topics.RAW], timeout=2)


@pytest.mark.services
def test_a_missing_topic_is_named(kafka: Kafka) -> None:
    with pytest.raises(KafkaError, match=r"has no topic tiercel\.nowhere"):
        joint.check(kafka.client, ["tiercel.nowhere"])


@pytest.mark.services
def test_topics_are_made_once_and_keep_their_partitions(topics_ready: Kafka) -> None:
    assert topics.create(topics_ready.client, partitions=9) == []
    found = joint.check(topics_ready.client, [topic.name for topic in topics.TOPICS])
    assert found == {topic.name: 3 if topic.by_host else 1 for topic in topics.TOPICS}
    assert joint.topic_id(topics_ready.client, topics.RAW).startswith("kafka:")


@pytest.mark.services
def test_a_host_keeps_its_partition_and_committed_messages_do_not_come_again(topics_ready: Kafka) -> None:
    producer = joint.KafkaProducer(topics_ready.client)
    safe: list[str | None] = []
    for number in range(6):
        assert producer.send(topics.QUARANTINE, b"host-%d" % (number % 2), b"%d" % number, done=safe.append)
    assert producer.flush() == 0
    assert safe == [None] * 6

    assigned: list[set[int]] = []
    consumer = joint.KafkaConsumer(topics_ready.client, "test-joint", [topics.QUARANTINE], assigned=assigned.append)
    messages: list[joint.Message] = []
    eventually(lambda: messages.extend(consumer.read(100, 0.5)) or len(messages) >= 6)
    assert sorted(m.value for m in messages) == [b"%d" % n for n in range(6)]
    assert assigned == [{0, 1, 2}]
    for key in (b"host-0", b"host-1"):
        mine = [m for m in messages if m.key == key]
        assert len({m.partition for m in mine}) == 1
        assert [m.value for m in mine] == sorted(m.value for m in mine)
    consumer.commit(messages)
    assert consumer.lag() == 0
    consumer.close()
    assert joint.behind(topics_ready.client, "test-joint", [topics.QUARANTINE]) == 0

    assert producer.send(topics.QUARANTINE, b"host-0", b"new", partition=2)
    producer.flush()
    assert joint.behind(topics_ready.client, "test-joint", [topics.QUARANTINE]) == 1
    consumer = joint.KafkaConsumer(topics_ready.client, "test-joint", [topics.QUARANTINE])
    found = eventually(lambda: consumer.read(100, 0.5))
    assert [(m.value, m.partition) for m in found] == [(b"new", 2)]
    assert set(joint.ends(topics_ready.client, topics.QUARANTINE, {0, 1, 2})) == {0, 1, 2}
    consumer.close()
    producer.close()
