//! EventBatch and Alert bodies as Arrow IPC streams: rows for the tables of schemas/clickhouse/, by their column names.
//!
//! Text that need not be UTF-8 is Binary; what many rows share is a dictionary: words that are LowCardinality
//! there, but also command lines and names of files, each sent once.

mod alerts;
mod builders;
mod containers;
mod events;
mod ledger;
mod processes;
#[cfg(test)]
mod tests;

pub use alerts::alert_columns;

use crate::avro::{Error, enriched};
use arrow_schema::ArrowError;

/// Arrow IPC streams, one a table.
pub struct Columns {
    pub events: Vec<u8>,
    pub processes: Vec<u8>,
    pub containers: Vec<u8>,
    pub ledger: Vec<u8>,
    /// Rows of `events`.
    pub event_count: usize,
}

/// Why there are no rows: a body is broken, or there are too many bytes for one stream.
#[derive(Debug, thiserror::Error)]
pub enum ColumnsError {
    #[error("body {body}: {error}")]
    Body { body: usize, error: Error },
    #[error("the rows do not fit into one Arrow stream: {0}")]
    Arrow(#[from] ArrowError),
}

/// Rows of all these EventBatch bodies; each process version once. `origin` is what their raw offsets count in.
pub fn event_columns(bodies: &[&[u8]], origin: &str) -> Result<Columns, ColumnsError> {
    let mut events = events::Events::default();
    let mut processes = processes::Processes::default();
    let mut containers = containers::Containers::default();
    let mut ledger = ledger::Ledger::default();
    for (body, bytes) in bodies.iter().enumerate() {
        let batch = enriched::decode(bytes).map_err(|error| ColumnsError::Body { body, error })?;
        events.add(&batch);
        processes.add(&batch);
        containers.add(&batch);
        ledger.add(&batch);
    }
    Ok(Columns {
        event_count: events.len(),
        events: events.finish(origin)?,
        processes: processes.finish()?,
        containers: containers.finish()?,
        ledger: ledger.finish(origin)?,
    })
}
