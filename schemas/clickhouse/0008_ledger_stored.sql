-- When a row of the books was stored, by the store's own clock: a host's may be anywhere. Rows from before get this moment.

ALTER TABLE ledger ADD COLUMN IF NOT EXISTS stored DateTime DEFAULT now();

ALTER TABLE ledger MATERIALIZE COLUMN stored;
