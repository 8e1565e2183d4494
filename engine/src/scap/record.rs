//! An event block: its header, and where each parameter lies.

use crate::{
    generated::conversions::LAYOUTS,
    generated::events::EventKind,
    table::{LARGE_PAYLOAD, Layout},
};

pub const NOTIFICATION: u16 = 280;
pub const INFRA: u16 = 286;

/// An event as a capture has it, of any age.
#[derive(Default)]
pub struct Record {
    pub ts: u64,
    pub tid: i64,
    pub cpu: u16,
    pub code: u16,
    /// Ends of the parameters in `data`.
    pub ends: Vec<u32>,
    pub data: Vec<u8>,
}

/// What the tables know of a code: a current event, or one of old captures.
#[derive(Clone, Copy)]
pub enum Known {
    Current(EventKind),
    Old(&'static Layout),
}

pub fn known(code: u16) -> Option<Known> {
    if let Some(kind) = EventKind::from_code(code) {
        return Some(Known::Current(kind));
    }
    LAYOUTS
        .binary_search_by_key(&code, |layout| layout.code)
        .ok()
        .map(|row| Known::Old(&LAYOUTS[row]))
}

impl Known {
    pub fn param_count(self) -> usize {
        match self {
            Known::Current(kind) => kind.info().params.len(),
            Known::Old(layout) => layout.params.len(),
        }
    }

    fn large(self) -> bool {
        match self {
            Known::Current(kind) => kind.info().flags & LARGE_PAYLOAD != 0,
            Known::Old(layout) => layout.large,
        }
    }
}

/// Takes fixed-width numbers off the front of a slice.
pub struct Cursor<'a> {
    pub rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(bytes)
    }

    pub fn u8(&mut self) -> Option<u8> {
        self.take(1).map(|b| b[0])
    }

    pub fn u16(&mut self) -> Option<u16> {
        self.take(2).map(|b| u16::from_le_bytes([b[0], b[1]]))
    }

    pub fn u32(&mut self) -> Option<u32> {
        self.take(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
    }

    pub fn u64(&mut self) -> Option<u64> {
        let (bytes, rest) = self.rest.split_first_chunk::<8>()?;
        self.rest = rest;
        Some(u64::from_le_bytes(*bytes))
    }

    /// A text of lists: its length in two bytes, no NUL.
    pub fn text(&mut self) -> Option<&'a [u8]> {
        let length = self.u16()?;
        self.take(usize::from(length))
    }
}

impl Record {
    /// Read the body of an event block. `Ok(false)`: an event that no table knows.
    pub fn read(&mut self, body: &[u8], counted: bool, flagged: bool) -> Result<bool, &'static str> {
        const SHORT: &str = "its block is too short";
        let mut cursor = Cursor { rest: body };
        self.cpu = cursor.u16().ok_or(SHORT)?;
        if flagged {
            cursor.u32().ok_or(SHORT)?;
        }
        let event = cursor.rest;
        self.ts = cursor.u64().ok_or(SHORT)?;
        self.tid = cursor.u64().ok_or(SHORT)? as i64;
        let length = cursor.u32().ok_or(SHORT)? as usize;
        self.code = cursor.u16().ok_or(SHORT)?;
        let count = if counted {
            Some(cursor.u32().ok_or(SHORT)? as usize)
        } else {
            None
        };
        let header = event.len() - cursor.rest.len();
        let Some(known) = known(self.code) else {
            return Ok(false);
        };
        let mut rest = length
            .checked_sub(header)
            .ok_or("its length is less than its header's")?;
        let width = if known.large() { 4 } else { 2 };
        let count = match count {
            Some(count) => count,
            None => {
                if matches!(self.code, NOTIFICATION | INFRA) {
                    rest = rest.saturating_sub(3);
                }
                count_of(cursor.rest, rest, width, known.param_count())
                    .ok_or("its parameters do not have its length")?
            }
        };
        let whole = cursor.rest.get(..rest).ok_or("it is longer than its block")?;
        self.take_params(whole, count, width)
            .ok_or("a parameter goes past its end")?;
        Ok(true)
    }

    fn take_params(&mut self, whole: &[u8], count: usize, width: usize) -> Option<()> {
        let (lengths, data) = whole.split_at_checked(count.checked_mul(width)?)?;
        self.ends.clear();
        let mut end = 0u32;
        for length in lengths.chunks_exact(width) {
            end = end.checked_add(length_of(length))?;
            self.ends.push(end);
        }
        self.data.clear();
        self.data.extend_from_slice(data.get(..end as usize)?);
        Some(())
    }

    pub fn param(&self, index: usize) -> Option<&[u8]> {
        let end = *self.ends.get(index)? as usize;
        let start = if index == 0 { 0 } else { self.ends[index - 1] as usize };
        Some(&self.data[start..end])
    }

    pub fn push(&mut self, param: &[u8]) {
        self.data.extend_from_slice(param);
        self.ends.push(self.data.len() as u32);
    }

    /// Lengths of the first parameters.
    pub fn lengths(&self, count: usize) -> impl Iterator<Item = usize> {
        let mut start = 0;
        self.ends.iter().take(count).map(move |&end| {
            let length = end - start;
            start = end;
            length as usize
        })
    }
}

fn length_of(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |sum, &byte| sum << 8 | u32::from(byte))
}

/// How many parameters an event of old captures has, which do not tell: the most whose lengths add up to the event's.
fn count_of(bytes: &[u8], rest: usize, width: usize, most: usize) -> Option<usize> {
    (0..=most).rev().find(|&count| {
        let Some(lengths) = bytes.get(..count * width) else {
            return false;
        };
        let sum: usize = lengths
            .chunks_exact(width)
            .map(|length| length_of(length) as usize)
            .sum();
        lengths.len() + sum == rest
    })
}
