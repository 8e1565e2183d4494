-- Matches of a throttled rule that had no alert of their own: counted by the next alert of their key, or by a summary.

ALTER TABLE alerts ADD COLUMN IF NOT EXISTS suppressed UInt64 DEFAULT 0 CODEC(ZSTD(1)) AFTER message;

ALTER TABLE alerts ADD COLUMN IF NOT EXISTS summary Bool DEFAULT false CODEC(ZSTD(1)) AFTER suppressed;
