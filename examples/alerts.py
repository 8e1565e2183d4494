"""Prints the alerts of a fleet as JSON, a line each, those of a host in order: an example to begin with.

    pip install confluent-kafka fastavro
    python alerts.py BROKER:9092 [--registry http://REGISTRY:8081] [-X security.protocol=SASL_SSL ...]

Nothing of Tiercel but docs/alert_topic.md is needed. What it was doing when it was killed comes again.
"""

import argparse
import io
import json
import signal
import sys
from urllib import error, request

import confluent_kafka as ck
import fastavro

parser = argparse.ArgumentParser(description="Print alerts.")
parser.add_argument("brokers")
parser.add_argument("--registry", default="", help="where messages begin with a zero byte")
parser.add_argument("--group", default="tiercel-alerts-example", help="goes on where it was; a new one reads all")
parser.add_argument("-X", dest="settings", action="append", default=[], help="a setting of librdkafka")
options = parser.parse_args()
CLIENT = {"bootstrap.servers": options.brokers, "group.id": options.group, "enable.auto.commit": False}
CLIENT.update(setting.split("=", 1) for setting in options.settings)
schemas, seen = {}, {}


def schema(key):
    """The writer's schema: by id from the registry, by fingerprint from the topic tiercel.schemas; or KeyError."""
    if key not in schemas and isinstance(key, int):
        try:
            with request.urlopen(f"{options.registry}/schemas/ids/{key}", timeout=10) as answer:  # noqa: S310
                schemas[key] = fastavro.parse_schema(json.loads(json.load(answer)["schema"]))
        except error.HTTPError as refusal:
            if refusal.code != 404:  # it cannot tell now, and the alert must not be left out
                raise
    elif key not in schemas:
        reader = ck.Consumer({**CLIENT, "enable.partition.eof": True})
        reader.assign([ck.TopicPartition("tiercel.schemas", 0, 0)])
        while (message := reader.poll(30.0)) and not message.error():
            if message.value() and message.key():
                schemas[message.key()] = fastavro.parse_schema(json.loads(message.value()))
        reader.close()
        if not message or message.error().code() != ck.KafkaError._PARTITION_EOF:
            sys.exit("the schemas cannot be read now")
    return schemas[key]


def decode(value):
    """The alert; with fields that this program does not know, where a later version wrote it."""
    single = value[:2] == b"\xc3\x01"
    if not single and value[:1] != b"\0":
        raise ValueError("not framed as an alert is")
    key, start = (value[2:10], 10) if single else (int.from_bytes(value[1:5], "big"), 5)
    return fastavro.schemaless_reader(io.BytesIO(value[start:]), schema(key))


signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
consumer = ck.Consumer({**CLIENT, "auto.offset.reset": "earliest"})
consumer.subscribe(["tiercel.alerts"])
while True:
    messages = consumer.consume(100, 1.0)
    for message in messages:
        try:
            if message.error() or not message.value():  # brokers that are away, say; or nothing at all
                raise ValueError(message.error() or "empty")
            alert = decode(message.value())
            if seen.setdefault(alert["id"], message) is message:  # else a worker that was killed has sent it again
                print(json.dumps(alert, default=str), flush=True)
            if len(seen) > 10_000:
                del seen[next(iter(seen))]
        except (ValueError, LookupError, EOFError) as reason:
            print(f"left out: {message.partition()}/{message.offset()}: {reason!r}", file=sys.stderr)
    try:
        if messages:  # only now: what was read and not handled comes again
            consumer.commit(asynchronous=False)
    except ck.KafkaException as reason:  # its partitions have gone to another member, which begins before these
        print(reason, file=sys.stderr)
