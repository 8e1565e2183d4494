"""The topic of rules against a real broker: what is published, recorded, taken up, hostile, and no longer needed."""

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import confluent_kafka as ck
import pytest

from tiercel.errors import KafkaError
from tiercel.processors import rollout
from tiercel.processors.adopt import Adoption
from tiercel.processors.rules_topic import RulesTopic
from tiercel.rules import sets
from tiercel.rules.sets import CompiledSet, RefusedError, RuleFiles
from tiercel.schemas import topics
from tiercel.testing.kafka_server import KafkaServer, free_port
from tiercel.testing.services import eventually

pytestmark = pytest.mark.services

RULE = "- rule: {0}\n  desc: d\n  condition: evt.type = openat\n  output: o\n  priority: NOTICE\n"


def made(name: str, text: str = RULE) -> CompiledSet:
    return sets.compiled(RuleFiles((("rules.yaml", text.format(name)),)))


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    """One of its own: what is on the topic of rules is of all that use it."""
    try:
        with KafkaServer(tmp_path_factory.mktemp("kafka")) as server:
            yield server
    except KafkaError as error:
        pytest.skip(str(error))


@pytest.fixture
def client(broker: KafkaServer) -> dict[str, str]:
    client = {"bootstrap.servers": broker.brokers}
    admin = ck.admin.AdminClient(client)
    existing = set(admin.list_topics(timeout=10).topics)
    if topics.RULES in existing:
        admin.delete_topics([topics.RULES])[topics.RULES].result()
        eventually(lambda: topics.RULES not in admin.list_topics(timeout=10).topics)
    eventually(lambda: topics.RULES in topics.create(client, partitions=3))
    return client


@pytest.fixture
def open_topic(client: dict[str, str]) -> Iterator[Callable[..., RulesTopic]]:
    opened: list[RulesTopic] = []

    def make(raw_id: str = "raw") -> RulesTopic:
        opened.append(RulesTopic(client, raw_id))
        return opened[-1]

    yield make
    for topic in opened:
        topic.close()


Open = Callable[..., RulesTopic]


def write(client: dict[str, str], *rows: tuple[bytes, bytes | None]) -> None:
    producer = ck.Producer({**client, "message.max.bytes": 4 << 20})
    for key, value in rows:
        producer.produce(topics.RULES, key=key, value=value, partition=0)
    assert producer.flush(20) == 0


def test_what_one_publishes_and_records_another_reads(open_topic: Open) -> None:
    one, first, second = open_topic(), made("first"), made("second")
    assert (one.current, one.rollout.entries) == (None, {})
    one.publish(first)
    one.record(2, ((7, first.version), (9, second.version)))
    other = open_topic()
    assert other.current == first.version
    assert other.compiled(first.version).rules.names == ["first"]
    assert other.rollout.entries == {2: ((7, first.version), (9, second.version))}
    assert open_topic("made anew").rollout.entries == {}, "offsets of another topic mean nothing"
    with pytest.raises(RefusedError, match="is not on"):
        other.compiled(second.version)


def test_a_set_that_is_published_is_taken_up_between_two_batches(open_topic: Open) -> None:
    publisher, topic, first, second = open_topic(), open_topic(), made("first"), made("second")
    publisher.publish(first)
    ends = {0: (0, 5), 1: (0, 0)}
    adoption = Adoption(topic, first, ends.__getitem__, lambda _: 0)
    topic.follow(adoption.look)
    assert not adoption.settled(0, 3)
    assert adoption.settle(0, 3).names == ["first"]
    assert adoption.settled(0, 4)
    assert open_topic().rollout.entries == {0: ((3, first.version),)}

    publisher.publish(second)
    assert eventually(lambda: adoption.wanted.version == second.version)
    assert adoption.settled(0, 4), "somebody may have worked on what was there when we came"
    assert not adoption.settled(0, 5)
    assert adoption.settle(0, 5).names == ["second"]
    assert adoption.settled(0, 6)
    assert adoption.settle(1, 0).names == ["second"], "nothing was recorded for this one"
    recorded = {0: ((3, first.version), (5, second.version)), 1: ((0, second.version),)}
    assert open_topic().rollout.entries == recorded

    again = open_topic()
    replay = Adoption(again, again.compiled(second.version), lambda _: (0, 9), lambda _: 0)
    assert [replay.settle(0, offset).names for offset in (3, 4, 5)] == [["first"], ["first"], ["second"]]


def test_what_was_foreseen_of_partitions_is_not_asked_again(open_topic: Open) -> None:
    other, first, second = open_topic(), made("first"), made("second")
    other.publish(first)
    other.publish(second)
    other.record(0, ((3, first.version),))
    asked: list[int] = []

    def bounds(partition: int) -> tuple[int, int]:
        asked.append(partition)
        return 0, 20

    topic = open_topic()
    adoption = Adoption(topic, second, bounds, lambda _: 0)
    topic.follow(adoption.look)
    adoption.catch_up()
    adoption.foresee({0: 5, 1: 0}, {0: (0, 9), 1: (0, 0)})
    # Who had the partition before does not know yet that it has gone.
    other.record(0, ((3, first.version), (9, second.version)))
    assert eventually(lambda: len(topic.rollout.entries[0]) == 2)
    assert adoption.settle(0, 5).names == ["first"]
    assert not adoption.settled(0, 9)
    assert asked == []
    assert adoption.settle(0, 9).names == ["second"]
    adoption.foresee({0: 5}, {0: (0, 9)})
    adoption.forget({0})
    asked.clear()
    adoption.settle(0, 10)
    assert asked == [0], "it went and came again: all is asked anew"


def test_a_bad_set_on_the_topic_is_told_and_the_old_one_goes_on(
    open_topic: Open, client: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    topic, first = open_topic(), made("first")
    adoption = Adoption(topic, first, lambda _: (0, 0), lambda _: 0)
    topic.follow(adoption.look)
    bad = RuleFiles((("bad.yaml", RULE.format("bad").replace("openat", "opnat")),), hosts={})
    with caplog.at_level(logging.ERROR):
        write(client, (b"set/" + bad.version.encode(), bad.pack()), (b"current", named(bad.version)))
        assert eventually(lambda: "bad.yaml:3:" in caplog.text)
    assert adoption.settle(0, 0).names == ["first"]
    topic.publish(made("second"))
    assert eventually(lambda: adoption.wanted.rules.names == ["second"])


def named(version: str) -> bytes:
    return json.dumps({"version": version}).encode()


def test_hostile_messages_are_an_error_each_and_change_nothing(
    open_topic: Open, client: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    topic, first, second = open_topic(), made("first"), made("second")
    topic.publish(first)
    topic.record(0, ((5, first.version),))
    other = first.version.replace(first.version[0], "f" if first.version[0] != "f" else "e")
    rows: list[tuple[bytes, bytes | None]] = [
        (b"", None), (b"\xff\xfe", b"x"), (b"set/x", b"x"), (b"set/" + b"A" * 64, b"x"), (b"set/\xff", b"x"),
        (b"set/" + other.encode(), b"\0" * 3_999_000), (b"current", None), (b"current", b"{"), (b"current", b"[]"),
        (b"current", b'{"version": 1}'), (b"current", named("g" * 64)), (b"current", b"[" * 100_000),
        (b"partition/raw/x", rollout.pack(((1, first.version),))), (b"partition/raw/0", b"[[1]]"),
        (b"partition/raw/0", b""), (b"partition/raw/9999999999999", rollout.pack(((1, first.version),))),
    ]  # fmt: skip
    adoption = Adoption(topic, first, lambda _: (0, 0), lambda _: 0)
    topic.follow(adoption.look)
    with caplog.at_level(logging.ERROR):
        write(client, *rows)
        eventually(lambda: len(caplog.records) >= len(rows))
    assert len(caplog.records) == len(rows), [record.getMessage() for record in caplog.records]
    assert not any("\n" in record.getMessage() or record.exc_info for record in caplog.records)
    assert (topic.current, topic.rollout.entries) == (first.version, {0: ((5, first.version),)})

    caplog.clear()
    with caplog.at_level(logging.ERROR):
        # Another content under a version, and garbage under one.
        write(client, (b"set/" + other.encode(), second.files.pack()), (b"current", named(other)))
        assert eventually(lambda: "is another" in caplog.text)
        write(client, (b"set/" + second.version.encode(), b"garbage"), (b"current", named(second.version)))
        assert eventually(lambda: "not the content of a rule set" in caplog.text)
    assert adoption.wanted.version == first.version
    assert adoption.settle(0, 6).names == ["first"]
    assert open_topic().current == second.version
    topic.publish(second)
    assert eventually(lambda: adoption.wanted.version == second.version), "told anew, it is read anew"


def test_a_record_that_is_older_takes_nothing_back(open_topic: Open, client: dict[str, str]) -> None:
    topic, first, second = open_topic(), made("first"), made("second")
    newer = ((5, first.version), (9, second.version))
    topic.record(0, newer)
    write(client, (b"partition/raw/0", rollout.pack(((7, second.version),))))
    topic.catch_up()
    assert topic.rollout.entries == {0: newer}


def test_another_worker_that_records_for_us_is_followed(open_topic: Open) -> None:
    topic, zombie, first, second = open_topic(), open_topic(), made("first"), made("second")
    topic.publish(first)
    adoption = Adoption(topic, first, lambda _: (0, 5), lambda _: 0)
    topic.follow(adoption.look)
    adoption.settle(0, 0)
    zombie.publish(second)
    zombie.catch_up()
    eventually(lambda: adoption.wanted.version == second.version)
    adoption.wanted = first
    zombie.record(0, ((0, first.version), (4, second.version)))
    assert eventually(lambda: not adoption.settled(0, 2))
    assert [adoption.settle(0, offset).names for offset in (2, 4)] == [["first"], ["second"]]


def test_sets_that_nobody_needs_go_and_those_that_somebody_needs_come_back(
    open_topic: Open, client: dict[str, str]
) -> None:
    topic = open_topic()
    versions = [made(name) for name in ("a", "b", "c")]
    for offset, version in enumerate(versions):
        topic.publish(version)
        topic.catch_up()
        # What comes before the last offset is committed, so nobody reads it again.
        entries = topic.rollout.adding(0, offset * 10, version.version, max(0, offset * 10 - 5))
        assert entries is not None
        topic.record(0, entries)
    found = contents(client)
    assert found[versions[0].version] is None
    assert found[versions[1].version] is not None, "the offsets before the last change are not committed"
    assert found[versions[2].version] is not None

    topic.follow(lambda: None)
    write(client, (b"set/" + versions[1].version.encode(), None))
    assert eventually(lambda: contents(client)[versions[1].version] is not None)


def contents(client: dict[str, str]) -> dict[str, bytes | None]:
    """The last message of each set, None: a tombstone."""
    consumer = ck.Consumer({**client, "group.id": "look", "enable.partition.eof": True})
    consumer.assign([ck.TopicPartition(topics.RULES, 0, ck.OFFSET_BEGINNING)])
    found: dict[str, bytes | None] = {}
    while (message := consumer.poll(10)) is not None and message.error() is None:
        key = message.key() or b""
        if key.startswith(b"set/"):
            found[key[4:].decode()] = message.value()
    consumer.close()
    return found


def test_what_was_let_go_is_read_again(open_topic: Open) -> None:
    topic, versions = open_topic(), [made(f"r{number}") for number in range(9)]
    for version in versions:
        topic.publish(version)
    other = open_topic()
    assert [other.compiled(version.version).rules.names for version in versions] == [[f"r{n}"] for n in range(9)]


def test_a_set_too_large_for_kafka_is_refused(open_topic: Open) -> None:
    import random

    noise = random.Random(1).randbytes(5_000_000).hex()
    large = RuleFiles((("rules.yaml", RULE.format("large") + "# " + noise),), hosts={})
    with pytest.raises(RefusedError, match="bytes packed"):
        open_topic().publish(sets.compiled(large))


def test_no_broker_is_one_sentence() -> None:
    with pytest.raises(KafkaError, match=r"^reading tiercel\.rules failed: "):
        RulesTopic({"bootstrap.servers": f"127.0.0.1:{free_port()}"}, "raw", timeout=2)


def test_the_command_publishes_what_is_right_and_nothing_else(client: dict[str, str], tmp_path: Path) -> None:
    from tests.cli.run import tiercel

    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text(RULE.format("good"))
    bad.write_text(RULE.format("x").replace("openat", "opnat") + RULE.format("y").replace("NOTICE", "LOUD"))
    brokers = client["bootstrap.servers"]
    done = tiercel("rules", "publish", bad, "--brokers", brokers, home=tmp_path)
    assert (done.returncode, done.stderr) == (1, "tiercel: not published: 2 errors\n")
    assert [line.startswith(f"error: {bad}:") for line in done.stdout.splitlines()] == [True, True]
    version = sets.compiled(sets.read([good])).version
    done = tiercel("rules", "publish", good, "--brokers", brokers, home=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", f"1 rules published, version {version[:12]}\n")
    topic = RulesTopic(client, "any")
    assert (topic.current, topic.shipped) == (version, False)
    topic.close()


def test_a_set_that_was_current_before_compaction_goes_as_well(client: dict[str, str], open_topic: Open) -> None:
    old, new = made("old"), made("new")
    write(
        client,
        (b"set/" + old.version.encode(), old.files.pack()),
        (b"partition/raw/0", rollout.pack(((5, old.version),))),
        (b"set/" + new.version.encode(), new.files.pack()),
        (b"current", json.dumps({"version": new.version}).encode()),
    )
    open_topic().record(0, ((9, new.version),))
    with pytest.raises(RefusedError, match="is not on"):
        open_topic().compiled(old.version)


def test_records_of_messages_that_nobody_has_met_hold_nothing_up(open_topic: Open, client: dict[str, str]) -> None:
    topic, first, second = open_topic(), made("first"), made("second")
    adoption = Adoption(topic, first, lambda _: (0, 11), lambda _: 0)
    topic.publish(first)
    assert adoption.settle(0, 0).names == ["first"]
    write(client, (b"partition/raw/0", rollout.pack(((0, first.version), (rollout.NEVER - 1, first.version)))))
    topic.catch_up()
    adoption.wanted = second
    assert adoption.settle(0, 20).names == ["second"]


def test_while_no_broker_answers_rules_that_count_go_on(open_topic: Open) -> None:
    topic, first, second = open_topic(), made("first"), made("second")
    away: list[KafkaError] = []

    def bounds(_: int) -> tuple[int, int]:
        for error in away:
            raise error
        return 0, 1

    adoption = Adoption(topic, first, bounds, lambda _: 0)
    topic.publish(first)
    assert adoption.settle(0, 0).names == ["first"]
    adoption.wanted = second
    away.append(KafkaError("no answer"))
    assert adoption.settle(0, 1).names == ["first"]
    assert adoption.settled(0, 2), "it is not asked for every message"
    away.clear()
    assert adoption.settle(0, 3).names == ["second"]


def test_a_record_that_may_still_arrive_lets_nobody_go_on_without_it(
    open_topic: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic, first, second = open_topic(), made("first"), made("second")
    adoption = Adoption(topic, first, lambda _: (0, 0), lambda _: 0)
    assert adoption.settle(0, 0).names == ["first"]
    adoption.wanted = second
    monkeypatch.setattr(topic, "_write", lambda *_: (_ for _ in ()).throw(KafkaError("no answer")))
    with pytest.raises(KafkaError):
        adoption.settle(0, 10)
