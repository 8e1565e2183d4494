#!/usr/bin/env bash
# Topics and access rules of a fresh Kafka, for docker-compose.yml; names and settings are those of schemas/topics.py
# (tests/test_compose.py holds them together). Idempotent.
set -euo pipefail
export PATH="$PATH:/opt/kafka/bin"

client=$(mktemp)
cat >"$client" <<EOF
security.protocol=SASL_PLAINTEXT
sasl.mechanism=PLAIN
sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required username="admin" password="$KAFKA_ADMIN_PASSWORD";
EOF

topic() { # name, partitions, settings…
    local name=$1 partitions=$2 settings=()
    shift 2
    for setting in "$@"; do settings+=(--config "$setting"); done
    kafka-topics.sh --bootstrap-server kafka:9092 --command-config "$client" --create --if-not-exists \
        --topic "$name" --partitions "$partitions" --replication-factor 1 "${settings[@]}"
}
allow() { # user, then arguments of kafka-acls.sh
    local user=$1
    shift
    kafka-acls.sh --bootstrap-server kafka:9092 --command-config "$client" --add --allow-principal "User:$user" "$@" >/dev/null
}

topic tiercel.raw "$PARTITIONS" retention.ms=86400000 message.timestamp.type=LogAppendTime
topic tiercel.events "$PARTITIONS" retention.ms=86400000
topic tiercel.alerts "$PARTITIONS" retention.ms=604800000
topic tiercel.quarantine "$PARTITIONS" retention.ms=604800000
topic tiercel.snapshots "$PARTITIONS" cleanup.policy=compact segment.bytes=67108864 min.cleanable.dirty.ratio=0.3
topic tiercel.schemas 1 cleanup.policy=compact
topic tiercel.rules 1 cleanup.policy=compact max.message.bytes=4194304

# A collector writes raw batches and can read nothing of other hosts.
allow collector --operation Write --operation Describe --topic tiercel.raw
allow worker --operation Read --operation Describe --topic tiercel.raw
for name in events alerts quarantine schemas; do
    allow worker --operation Write --operation Describe --topic "tiercel.$name"
done
# Whoever may write there says what is looked for: workers, who also record what they use, and `tiercel rules publish`.
allow worker --operation Read --operation Write --operation Describe --topic tiercel.rules
# States of hosts are for workers alone.
allow worker --operation Read --operation Write --operation Describe --topic tiercel.snapshots
allow worker --operation Read --group tiercel-worker
for group in ends rules recovery; do allow worker --operation Describe --group "tiercel-$group"; done
# Reads raw batches only where sink.raw is on; sets aside what the store never takes.
allow sink --operation Read --operation Describe --topic tiercel.raw
allow sink --operation Write --operation Describe --topic tiercel.quarantine
for name in events alerts schemas; do
    allow sink --operation Read --operation Describe --topic "tiercel.$name"
done
allow sink --operation Read --group tiercel-sink
for name in alerts schemas; do allow forward --operation Read --operation Describe --topic "tiercel.$name"; done
allow forward --operation Read --group tiercel-forward --resource-pattern-type prefixed
allow forward --operation Describe --group tiercel-ends
allow registry --operation All --topic _schemas
allow registry --operation All --group schema-registry
allow registry --operation Describe --topic __consumer_offsets
# For people and programs that watch the alerts.
for name in alerts schemas; do allow reader --operation Read --operation Describe --topic "tiercel.$name"; done
allow reader --operation Read --group tiercel-alerts --resource-pattern-type prefixed
# Idempotent producers.
for user in collector worker sink; do allow "$user" --operation IdempotentWrite --cluster; done
# The registry makes its own topic.
allow registry --operation Create --operation DescribeConfigs --topic _schemas
echo "topics and access rules are in place"
