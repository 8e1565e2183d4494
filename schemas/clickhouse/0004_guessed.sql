-- Whether the facts of a process may be wrong (proc.is_guessed), in both tables that tell of it.

ALTER TABLE events ADD COLUMN IF NOT EXISTS proc_guessed Bool DEFAULT false CODEC(ZSTD(1)) AFTER proc_pname;

ALTER TABLE processes ADD COLUMN IF NOT EXISTS guessed Bool DEFAULT false CODEC(ZSTD(1));
