-- Who writes the rows of a raw partition: an insert names its epoch and owner, and the store refuses it once a newer row is here
-- (sinks/fence.py). A row is written whenever a sink takes partitions, which is rarely.

CREATE TABLE IF NOT EXISTS fences
(
    origin        LowCardinality(String),
    raw_partition Int32,
    epoch         UInt64 COMMENT 'grows with each row of a partition',
    owner         String,
    written       DateTime DEFAULT now()
)
ENGINE = MergeTree
ORDER BY (origin, raw_partition, epoch)
TTL written + INTERVAL 30 DAY;

-- A part goes when all its rows have expired, instead of being written again without some of them.
ALTER TABLE events MODIFY SETTING ttl_only_drop_parts = 1;
