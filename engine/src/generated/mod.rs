//! Rendered by schemas/generate.py from the tables in schemas/.

pub mod conversions;
pub mod events;
pub mod fields;
pub mod flags;
pub mod syscalls;
