//! Rows of the table `ledger`: what a batch says about the books.

use std::sync::Arc;

use arrow_array::builder::{Int32Builder, Int64Builder, UInt32Builder, UInt64Builder};
use arrow_schema::ArrowError;

use super::builders::{Dictionary, Table, Times};
use crate::avro::enriched::EventBatch;

#[derive(Default)]
pub struct Ledger {
    host_id: Dictionary,
    host: Dictionary,
    boot_id: Dictionary,
    run: UInt64Builder,
    first_seq: UInt64Builder,
    since: Times,
    until: Times,
    kind: Dictionary,
    stage: Dictionary,
    reason: Dictionary,
    count: UInt64Builder,
    raw_partition: Int32Builder,
    raw_offset: Int64Builder,
    row: UInt32Builder,
}

impl Ledger {
    pub fn add(&mut self, batch: &EventBatch) {
        let header = &batch.header;
        let stored = batch.enriched.events.len() as u64;
        let mut rows = vec![
            ("produced", "kernel", "", header.produced),
            ("delivered", "collector", "", header.delivered),
            ("stored", "sink", "", stored),
        ];
        rows.extend(
            header
                .lost
                .iter()
                .map(|l| ("lost", l.stage.as_str(), l.reason.as_str(), l.count)),
        );
        rows.extend(
            header
                .shed
                .iter()
                .map(|l| ("shed", l.stage.as_str(), l.reason.as_str(), l.count)),
        );
        let times = match batch.batch.len() {
            0 => [header.time; 2],
            count => [batch.batch.get(0).ts(), batch.batch.get(count - 1).ts()],
        };
        for (row, (kind, stage, reason, count)) in rows.into_iter().enumerate() {
            self.host_id.push(header.host_id.as_bytes());
            self.host.push(header.host.as_bytes());
            self.boot_id.push(header.boot_id.as_bytes());
            self.run.append_value(header.run);
            self.first_seq.append_value(header.first_seq);
            self.since.push(times[0]);
            self.until.push(times[1]);
            self.kind.push(kind.as_bytes());
            self.stage.push(stage.as_bytes());
            self.reason.push(reason.as_bytes());
            self.count.append_value(count);
            self.raw_partition.append_value(batch.origin.partition);
            self.raw_offset.append_value(batch.origin.offset);
            self.row.append_value(row as u32);
        }
    }

    pub fn finish(mut self, origin: &str) -> Result<Vec<u8>, ArrowError> {
        let count = self.kind.len();
        let mut table = Table::default();
        table.add("host_id", self.host_id.finish_text()?);
        table.add("host", self.host.finish_text()?);
        table.add("boot_id", self.boot_id.finish_text()?);
        table.add("run", Arc::new(self.run.finish()));
        table.add("first_seq", Arc::new(self.first_seq.finish()));
        table.add("since", self.since.finish());
        table.add("until", self.until.finish());
        table.add("kind", self.kind.finish_text()?);
        table.add("stage", self.stage.finish_text()?);
        table.add("reason", self.reason.finish_text()?);
        table.add("count", Arc::new(self.count.finish()));
        table.add("raw_partition", Arc::new(self.raw_partition.finish()));
        table.add("raw_offset", Arc::new(self.raw_offset.finish()));
        table.add("row", Arc::new(self.row.finish()));
        table.add_same("origin", origin, count)?;
        table.finish()
    }
}
