-- The store. Applied by schemas/migrations.py, the same for a ClickHouse server and for chDB; statements end with ";\n".
--
-- Absence: NULL is "absent" in every Nullable column, so a comparison with it is false once wrapped in ifNull(…, 0); columns
-- that tell of the process (proc_*, user_*, container_id) are absent exactly where `process` = 0, proc_pname also where NULL.
-- `origin` is the id of the raw topic (or the name of a local store's source): raw_partition and raw_offset count within it.
-- The rows come from engine/src/columns/, by these names of columns.

CREATE TABLE IF NOT EXISTS events
(
    host_id         LowCardinality(String),
    host            LowCardinality(String),
    boot_id         LowCardinality(String),
    run             UInt64 CODEC(Delta, ZSTD(1)),
    seq             UInt64 CODEC(Delta, ZSTD(1)) COMMENT 'evt.num; (host_id, boot_id, seq) is the id of an event',
    ts              DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    type            LowCardinality(String) COMMENT 'evt.type',
    category        LowCardinality(String) COMMENT 'evt.category',
    cpu             UInt16 CODEC(ZSTD(1)),
    tid             Int64 CODEC(ZSTD(1)),
    process         UInt64 CODEC(ZSTD(1)) COMMENT 'id of the row in processes; 0: none',
    proc_name       LowCardinality(String),
    proc_exepath    LowCardinality(String),
    proc_cmdline    LowCardinality(String),
    proc_pid        Int64 CODEC(ZSTD(1)),
    proc_pname      LowCardinality(Nullable(String)),
    user_uid        UInt32 CODEC(ZSTD(1)),
    user_name       LowCardinality(String),
    container_id    LowCardinality(String) COMMENT 'host outside of containers',
    fd_num          Nullable(Int64) CODEC(ZSTD(1)),
    fd_typechar     LowCardinality(Nullable(String)),
    fd_type         LowCardinality(Nullable(String)),
    fd_name         Nullable(String) CODEC(ZSTD(1)),
    fd_nameraw      Nullable(String) CODEC(ZSTD(1)),
    fd_l4proto      LowCardinality(Nullable(String)),
    fd_cip          Nullable(IPv6) CODEC(ZSTD(1)) COMMENT 'IPv4 as ::ffff:a.b.c.d, in all four',
    fd_sip          Nullable(IPv6) CODEC(ZSTD(1)),
    fd_lip          Nullable(IPv6) CODEC(ZSTD(1)),
    fd_rip          Nullable(IPv6) CODEC(ZSTD(1)),
    fd_cport        Nullable(UInt16) CODEC(ZSTD(1)),
    fd_sport        Nullable(UInt16) CODEC(ZSTD(1)),
    fd_lport        Nullable(UInt16) CODEC(ZSTD(1)),
    fd_rport        Nullable(UInt16) CODEC(ZSTD(1)),
    fd_is_server    Nullable(Bool) CODEC(ZSTD(1)),
    fd_connected    Nullable(Bool) CODEC(ZSTD(1)),
    fd_name_changed Nullable(Bool) CODEC(ZSTD(1)),
    fd_dev          Nullable(UInt32) CODEC(ZSTD(1)),
    fd_ino          Nullable(UInt64) CODEC(ZSTD(1)),
    res             Nullable(Int64) CODEC(ZSTD(1)) COMMENT 'evt.rawres',
    open            UInt8 CODEC(ZSTD(1)) COMMENT 'bits: 1 evt.is_open_read, 2 is_open_write, 4 is_open_exec, 8 is_open_create',
    args            Map(LowCardinality(String), String) CODEC(ZSTD(1)) COMMENT 'evt.arg: rendered text by parameter; no key: absent',
    rules           Array(LowCardinality(String)) COMMENT 'names of the rules that matched',
    raw_partition   Int32 CODEC(ZSTD(1)),
    raw_offset      Int64 CODEC(Delta, ZSTD(1)),
    row             UInt32 CODEC(Delta, ZSTD(1)) COMMENT 'number of the row among those of its batch',
    origin          LowCardinality(String),
    INDEX raw_offset_range raw_offset TYPE minmax GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toYYYYMMDD(ts)
PRIMARY KEY (toStartOfHour(ts), proc_name, type, host_id)
ORDER BY (toStartOfHour(ts), proc_name, type, host_id, ts, seq)
-- An insert is one file, not some for each column: those come when parts are merged to something large.
SETTINGS min_bytes_for_wide_part = 268435456;

-- A row a version of a process; events.process points here. Zero is "unknown" in the time, inode and id columns.
CREATE TABLE IF NOT EXISTS processes
(
    host_id            LowCardinality(String),
    host               LowCardinality(String),
    boot_id            LowCardinality(String),
    id                 UInt64 CODEC(ZSTD(1)),
    since              DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    pid                Int64 CODEC(ZSTD(1)),
    ppid               Int64 CODEC(ZSTD(1)),
    vpid               Int64 CODEC(ZSTD(1)),
    sid                Int64 CODEC(ZSTD(1)),
    pgid               Int64 CODEC(ZSTD(1)),
    vpgid              Int64 CODEC(ZSTD(1)),
    name               LowCardinality(String),
    exe                String CODEC(ZSTD(1)),
    exepath            LowCardinality(String),
    args               Array(String) CODEC(ZSTD(1)),
    cwd                String CODEC(ZSTD(1)),
    sname              LowCardinality(String),
    tty                UInt32 CODEC(ZSTD(1)),
    uid                UInt32 CODEC(ZSTD(1)),
    user               LowCardinality(String),
    gid                UInt32 CODEC(ZSTD(1)),
    `group`            LowCardinality(String),
    loginuid           Int64 CODEC(ZSTD(1)),
    login              LowCardinality(String),
    container_id       LowCardinality(String) COMMENT 'host outside of containers',
    cap_effective      UInt64 CODEC(ZSTD(1)),
    cap_permitted      UInt64 CODEC(ZSTD(1)),
    cap_inheritable    UInt64 CODEC(ZSTD(1)),
    exe_flags          UInt32 CODEC(ZSTD(1)),
    exe_ino            UInt64 CODEC(ZSTD(1)),
    exe_ctime          UInt64 CODEC(ZSTD(1)) COMMENT 'UTC ns',
    exe_mtime          UInt64 CODEC(ZSTD(1)) COMMENT 'UTC ns',
    exe_ctime_to_start UInt64 CODEC(ZSTD(1)) COMMENT 'ns',
    started            UInt64 CODEC(ZSTD(1)) COMMENT 'UTC ns',
    ancestor_pids      Array(Int64) CODEC(ZSTD(1)) COMMENT 'parent first, as in all ancestor_ columns',
    ancestor_names     Array(LowCardinality(String)),
    ancestor_exes      Array(String) CODEC(ZSTD(1)),
    ancestor_exepaths  Array(LowCardinality(String)),
    ancestor_cmdlines  Array(String) CODEC(ZSTD(1)),
    ancestor_started   Array(UInt64) CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree
ORDER BY (host_id, boot_id, id);

CREATE TABLE IF NOT EXISTS alerts
(
    id            String CODEC(ZSTD(1)) COMMENT 'the same alert again has the same id',
    ts            DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    rule          LowCardinality(String),
    priority      LowCardinality(String),
    source        LowCardinality(String),
    host          LowCardinality(String),
    host_id       LowCardinality(String),
    boot_id       LowCardinality(String),
    seq           UInt64 CODEC(ZSTD(1)),
    message       String CODEC(ZSTD(1)),
    tags          Array(LowCardinality(String)),
    output_fields String CODEC(ZSTD(1)) COMMENT 'a JSON object, in the order of the output',
    rules_version LowCardinality(String),
    rule_sha256   LowCardinality(String),
    raw_partition Int32,
    raw_offset    Int64,
    origin        LowCardinality(String)
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(ts)
ORDER BY (toStartOfHour(ts), rule, host_id, ts, id);

-- The books. kind: `produced` and `delivered` are running totals of a run, of which the largest counts; `stored` and `lost` are
-- of this batch alone, and add up. Balance of a run: max(produced) = sum(stored) + sum(lost).
CREATE TABLE IF NOT EXISTS ledger
(
    host_id       LowCardinality(String),
    host          LowCardinality(String),
    boot_id       LowCardinality(String),
    run           UInt64 CODEC(Delta, ZSTD(1)),
    first_seq     UInt64 CODEC(Delta, ZSTD(1)),
    since         DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)) COMMENT 'time of the batch''s first event',
    until         DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)) COMMENT 'and of its last',
    kind          LowCardinality(String) COMMENT 'produced, delivered, stored or lost',
    stage         LowCardinality(String) COMMENT 'kernel, collector, sink; of a loss: ring, collector, spool, broker, worker, sink',
    reason        LowCardinality(String) COMMENT 'of a loss; else empty',
    count         UInt64 CODEC(ZSTD(1)),
    raw_partition Int32,
    raw_offset    Int64 CODEC(Delta, ZSTD(1)),
    row           UInt32 COMMENT 'number of the row among those of its batch',
    origin        LowCardinality(String)
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(since)
ORDER BY (host_id, run, since, raw_offset, row);

-- How far the sink has come: written after all rows of those offsets. Never expires.
CREATE TABLE IF NOT EXISTS positions
(
    origin        LowCardinality(String),
    raw_partition Int32,
    raw_offset    Int64,
    written       DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree(raw_offset)
ORDER BY (origin, raw_partition);
