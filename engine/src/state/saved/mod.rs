//! A host as bytes: its whole state, so that another process goes on as if nothing had happened.
//!
//! Layout, little-endian: `TIERHOST`, version (u16), bytes of the body as it follows (u64), and unpacked (u64), xxh3 of all
//! that (u64, of what is before and after it); the body, packed by LZ4. In the body every type writes its fields in turn
//! (`wire.rs`); what is shared in memory is written once and is shared again after loading. A field that a later version adds
//! is declared `since` it, and has its default where an older one is read.

mod state;
mod tables;
mod wire;

use xxhash_rust::xxh3::Xxh3;

pub(crate) use wire::saved;
pub use wire::{Reader, Saved, Writer};

/// Version that is written; older ones are read.
pub const VERSION: u16 = 2;

const MAGIC: &[u8; 8] = b"TIERHOST";
const HEADER: usize = 34;
/// LZ4 packs no better than this.
const MOST_PACKED: u64 = 255;

/// Why bytes are no saved host.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("not a saved host")]
    Foreign,
    #[error("a saved host of version {0}; this is a Tiercel that knows versions up to {VERSION}")]
    Newer(u16),
    #[error("a saved host that is cut short or has something after its end")]
    Length,
    #[error("a saved host that is damaged: its checksum is another")]
    Checksum,
    #[error("a saved host of {0} bytes, more than its limit or than it can hold")]
    Large(u64),
    #[error("a saved host that makes no sense: {0}")]
    Invalid(&'static str),
}

fn checksum(head: &[u8], body: &[u8]) -> u64 {
    let mut hash = Xxh3::new();
    hash.update(head);
    hash.update(body);
    hash.digest()
}

/// A body with what says that it is one.
pub fn seal(body: &[u8]) -> Vec<u8> {
    let packed = lz4_flex::block::compress(body);
    let mut out = Vec::with_capacity(HEADER + packed.len());
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&(packed.len() as u64).to_le_bytes());
    out.extend_from_slice(&(body.len() as u64).to_le_bytes());
    let sum = checksum(&out, &packed);
    out.extend_from_slice(&sum.to_le_bytes());
    out.extend_from_slice(&packed);
    out
}

/// Version and body of what [`seal`] made. A body of more than `limit` bytes is none.
pub fn unseal(bytes: &[u8], limit: u64) -> Result<(u16, Vec<u8>), Error> {
    if !bytes.starts_with(MAGIC) {
        return Err(Error::Foreign);
    }
    let (head, packed) = bytes.split_at_checked(HEADER).ok_or(Error::Length)?;
    let number = |at: usize| head[at..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    let version = u16::from_le_bytes([head[8], head[9]]);
    if version > VERSION {
        return Err(Error::Newer(version));
    }
    if number(10) != packed.len() as u64 {
        return Err(Error::Length);
    }
    if version == 0 || number(26) != checksum(&head[..26], packed) {
        return Err(Error::Checksum);
    }
    let size = number(18);
    if size > limit || size > (packed.len() as u64).saturating_mul(MOST_PACKED) {
        return Err(Error::Large(size));
    }
    let body = lz4_flex::block::decompress(packed, size as usize).map_err(|_| Error::Invalid("it does not unpack"))?;
    if body.len() as u64 != size {
        return Err(Error::Length);
    }
    Ok((version, body))
}

#[cfg(test)]
mod tests;
