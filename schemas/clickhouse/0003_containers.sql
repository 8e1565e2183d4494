-- Containers as their runtimes told of them; events.container_id is `id`. A row is told once or more, the newest counts: so it
-- names its container for events that came before it, too. Empty text: not told.
CREATE TABLE IF NOT EXISTS containers
(
    host_id            LowCardinality(String),
    host               LowCardinality(String),
    boot_id            LowCardinality(String),
    id                 String CODEC(ZSTD(1)) COMMENT 'short id, as in events.container_id',
    since              DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)) COMMENT 'when it was told',
    full_id            String CODEC(ZSTD(1)),
    engine             LowCardinality(String) COMMENT 'container.type',
    name               String CODEC(ZSTD(1)),
    image              LowCardinality(String),
    image_id           LowCardinality(String),
    repository         LowCardinality(String),
    tag                LowCardinality(String),
    digest             LowCardinality(String),
    user               LowCardinality(String),
    ip                 String CODEC(ZSTD(1)),
    cni_json           String CODEC(ZSTD(1)),
    sandbox_id         String CODEC(ZSTD(1)) COMMENT 'full id of the sandbox of its pod',
    in_pod             Bool COMMENT 'whether pod_ip and pod_cni_json are told',
    pod_ip             String CODEC(ZSTD(1)),
    pod_cni_json       String CODEC(ZSTD(1)),
    privileged         Bool,
    host_pid           Bool,
    host_network       Bool,
    host_ipc           Bool,
    is_sandbox         Bool,
    created            Int64 CODEC(ZSTD(1)) COMMENT 'seconds since 1970; 0: not told',
    labels             Map(LowCardinality(String), String) CODEC(ZSTD(1)) COMMENT 'by key',
    pod_labels         Map(LowCardinality(String), String) CODEC(ZSTD(1)) COMMENT 'by key',
    mount_sources      Array(String) CODEC(ZSTD(1)) COMMENT 'in the order of the mounts, as in all mount_ columns',
    mount_destinations Array(String) CODEC(ZSTD(1)),
    mount_modes        Array(LowCardinality(String)),
    mount_rdwr         Array(LowCardinality(String)) COMMENT 'true or false',
    mount_propagations Array(LowCardinality(String)),
    ports              Array(String) CODEC(ZSTD(1)) COMMENT 'ip:port of the host->port of the container'
)
ENGINE = ReplacingMergeTree(since)
ORDER BY (host_id, boot_id, id);
