//! Capture files: bytes pushed in, batches out. The lists at a capture's start come first, as the snapshot, user and group
//! events of a host; events of old captures become current ones.
//!
//! Events from lists have the time 0, so that they can be told from those that the capture holds (which alone are counted by
//! `evt.num`), and come in batches of their own. Files are Python's, as is gzip.

mod blocks;
mod convert;
mod lists;
mod reader;
mod record;
#[cfg(test)]
mod tests;

pub use reader::{CaptureReader, Machine};

/// Why bytes are not a capture; `at` is the place of the block in the uncompressed file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("this is no capture file: it does not begin with a section header")]
    NoCapture,
    #[error("this capture is compressed: decompress it before it is read")]
    Compressed,
    #[error("this capture was written on a machine of the other byte order")]
    ByteOrder,
    #[error("this capture has the format version {0}, and only 1 is known")]
    Version(u16),
    #[error("the capture ends in the middle of a block at byte {0}")]
    Truncated(u64),
    #[error("the capture has no events")]
    NoEvents,
    #[error("the block at byte {at} claims {length} bytes")]
    Length { at: u64, length: u32 },
    #[error("the block at byte {at} does not end as it begins")]
    Trailer { at: u64 },
    #[error("there is an unexpected block of type {kind:#x} at byte {at}")]
    Block { at: u64, kind: u32 },
    #[error("the {list} at byte {at} is damaged")]
    List { at: u64, list: &'static str },
    #[error("the event at byte {at} is damaged: {reason}")]
    Event { at: u64, reason: &'static str },
    #[error("the event at byte {at} has the type {code} with {params} parameters, which never existed")]
    Layout { at: u64, code: u16, params: usize },
}

pub type Result<T> = std::result::Result<T, Error>;
