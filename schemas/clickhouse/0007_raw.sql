-- Raw batches as they came from the hosts, where `sink.raw` is on: what a capture can be made of again. `ledger` has host, run
-- and times of each by (origin, raw_partition, raw_offset).

CREATE TABLE IF NOT EXISTS raw
(
    origin        LowCardinality(String),
    raw_partition Int32,
    raw_offset    Int64 CODEC(Delta, ZSTD(1)),
    host_id       LowCardinality(String),
    message       String CODEC(ZSTD(3)) COMMENT 'framed Avro of RawBatch, as on tiercel.raw',
    stored        DateTime DEFAULT now()
)
ENGINE = MergeTree
PARTITION BY toYYYYMMDD(stored)
ORDER BY (origin, raw_partition, raw_offset)
SETTINGS ttl_only_drop_parts = 1;
