//! The blocks of a capture: what each type number means, and whole blocks out of pushed bytes.

use super::{Error, Result};

/// What a block holds; lists with their version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Block {
    Section,
    Machine,
    Processes(u8),
    Files(u8),
    Interfaces(u8),
    Users(u8),
    Event {
        /// The header tells the number of parameters.
        counted: bool,
        flagged: bool,
        large: bool,
    },
    Unknown,
}

impl Block {
    pub fn from_type(kind: u32) -> Block {
        let event = |counted, flagged, large| Block::Event {
            counted,
            flagged,
            large,
        };
        match kind {
            0x0A0D_0D0A => Block::Section,
            0x201 | 0x8002_ABCD => Block::Machine,
            0x202 | 0x8000_ABCD => Block::Processes(1),
            0x207 | 0x8013_ABCD => Block::Processes(2),
            0x209 | 0x8014_ABCD => Block::Processes(3),
            0x210..=0x215 => Block::Processes((kind - 0x210) as u8 + 4),
            0x203 | 0x8001_ABCD => Block::Files(1),
            0x218 => Block::Files(2),
            0x205 | 0x8011_ABCD => Block::Interfaces(1),
            0x219 => Block::Interfaces(2),
            0x206 | 0x8012_ABCD => Block::Users(1),
            0x220 => Block::Users(2),
            0x204 | 0x8010_ABCD => event(false, false, false),
            0x208 => event(false, true, false),
            0x216 => event(true, false, false),
            0x217 => event(true, true, false),
            0x221 => event(true, false, true),
            0x222 => event(true, true, true),
            _ => Block::Unknown,
        }
    }

    /// The most bytes that a block of this kind is read with.
    fn limit(self) -> usize {
        match self {
            Block::Event { large: false, .. } => (64 << 10) + 64,
            Block::Event { large: true, .. } => 16 << 20,
            _ => 256 << 20,
        }
    }
}

const HEADER: usize = 8;
const TRAILER: usize = 4;

/// Bytes that were pushed and not yet read.
#[derive(Default)]
pub struct Buffer {
    bytes: Vec<u8>,
    start: usize,
    /// Place of `bytes[start]` in the file.
    at: u64,
}

/// A whole block, still in the buffer.
pub struct Whole {
    pub at: u64,
    pub kind: u32,
    pub block: Block,
    pub trailer_matches: bool,
    from: usize,
    to: usize,
}

impl Buffer {
    pub fn feed(&mut self, data: &[u8]) {
        if self.start > 0 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        self.bytes.extend_from_slice(data);
    }

    pub fn at(&self) -> u64 {
        self.at
    }

    pub fn is_empty(&self) -> bool {
        self.start == self.bytes.len()
    }

    pub fn peek(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// The next block, if it is there as a whole.
    pub fn next(&mut self) -> Result<Option<Whole>> {
        let rest = &self.bytes[self.start..];
        let Some((header, _)) = rest.split_first_chunk::<HEADER>() else {
            return Ok(None);
        };
        let (kind, length) = (word(&header[..4]), word(&header[4..]));
        let block = Block::from_type(kind);
        let total = length as usize;
        if total < HEADER + TRAILER || total > block.limit() {
            return Err(Error::Length { at: self.at, length });
        }
        if rest.len() < total {
            return Ok(None);
        }
        let trailer_matches = word(&rest[total - TRAILER..total]) == length;
        let (from, to) = (self.start + HEADER, self.start + total - TRAILER);
        let whole = Whole {
            at: self.at,
            kind,
            block,
            trailer_matches,
            from,
            to,
        };
        self.start += total;
        self.at += total as u64;
        Ok(Some(whole))
    }

    pub fn body(&self, whole: &Whole) -> &[u8] {
        &self.bytes[whole.from..whole.to]
    }
}

fn word(bytes: &[u8]) -> u32 {
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}
