//! Avro bodies of the three schemas in schemas/*.avsc, written and read by hand: bytes in, batches out, and back.
//! Framing (fingerprint or registry id) is Python's, in schemas/avro.py.

pub mod alert;
#[cfg(test)]
pub(crate) mod arbitrary;
mod container;
pub mod enriched;
mod header;
mod params;
pub mod raw;
pub mod wire;

#[cfg(test)]
pub(crate) use container::tests as container_tests;
pub use header::{Kind, header_of};
pub use wire::Error;
