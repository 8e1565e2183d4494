//! The per-event hot path of Tiercel: whole batches in, whole batches out.
//!
//! A library without opinions: no Kafka, no files of its own, no clocks, no threads, no configuration.

pub mod address;
pub mod amplify;
pub mod avro;
pub mod columns;
pub mod enrich;
pub mod event;
pub mod facts;
pub mod fields;
pub mod format;
pub mod generated;
pub mod host;
pub mod names;
pub mod predicate;
pub mod redact;
pub mod render;
pub mod ring;
pub mod scap;
pub mod state;
pub mod table;
pub mod throttle;
pub mod value;

#[cfg(feature = "python")]
mod python;

/// Batches are made and dropped in small pieces all the time: faster here than the system's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
