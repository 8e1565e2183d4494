//! An event block: its header, and where each parameter lies.

use std::sync::LazyLock;

use crate::{
    event::Batch,
    generated::{
        conversions::{LAYOUTS, UNUSED},
        events::{EventKind, KINDS},
    },
    table::{LARGE_PAYLOAD, Layout},
};

pub const NOTIFICATION: u16 = 280;
pub const INFRA: u16 = 286;
/// Flag of an event block.
const STATE_ONLY: u32 = 1;

/// An event of any age on its way through conversions.
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

/// All that the tables say of one code.
#[derive(Clone, Copy)]
pub struct Row {
    pub known: Known,
    pub params: usize,
    /// Parameter lengths have four bytes.
    large: bool,
    /// With all its parameters it is delivered as it is.
    ready: bool,
}

/// By code: looked up for each event.
static ROWS: LazyLock<Vec<Option<Row>>> = LazyLock::new(|| {
    let most = LAYOUTS
        .iter()
        .map(|layout| layout.code)
        .chain(KINDS.map(EventKind::code));
    (0..=most.max().unwrap_or(0)).map(row_of).collect()
});

fn row_of(code: u16) -> Option<Row> {
    if let Some(kind) = EventKind::from_code(code) {
        let info = kind.info();
        return Some(Row {
            known: Known::Current(kind),
            params: info.params.len(),
            large: info.flags & LARGE_PAYLOAD != 0,
            ready: UNUSED.binary_search(&code).is_err(),
        });
    }
    let layout = LAYOUTS.iter().find(|layout| layout.code == code)?;
    Some(Row {
        known: Known::Old(layout),
        params: layout.params.len(),
        large: layout.large,
        ready: false,
    })
}

fn row(code: u16) -> Option<&'static Row> {
    ROWS.get(usize::from(code))?.as_ref()
}

pub fn known(code: u16) -> Option<Known> {
    row(code).map(|row| row.known)
}

/// Takes fixed-width numbers off the front of a slice.
pub struct Cursor<'a> {
    pub rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    #[inline]
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

/// An event block, its parameters still in the capture's bytes.
pub struct Raw<'a> {
    pub ts: u64,
    pub tid: i64,
    pub cpu: u16,
    pub code: u16,
    /// Changes the state and is not shown.
    pub hidden: bool,
    row: &'static Row,
    /// Lengths of the parameters, of four bytes each in large events, else two. They add up to those of `data`.
    lengths: &'a [u8],
    pub data: &'a [u8],
}

impl<'a> Raw<'a> {
    /// Read the body of an event block. `Ok(None)`: an event that no table knows.
    #[inline]
    pub fn read(body: &'a [u8], counted: bool, flagged: bool) -> Result<Option<Raw<'a>>, &'static str> {
        const SHORT: &str = "its block is too short";
        let mut cursor = Cursor { rest: body };
        let cpu = cursor.u16().ok_or(SHORT)?;
        let hidden = flagged && cursor.u32().ok_or(SHORT)? & STATE_ONLY != 0;
        let event = cursor.rest;
        let ts = cursor.u64().ok_or(SHORT)?;
        let tid = cursor.u64().ok_or(SHORT)? as i64;
        let length = cursor.u32().ok_or(SHORT)? as usize;
        let code = cursor.u16().ok_or(SHORT)?;
        let count = if counted {
            Some(cursor.u32().ok_or(SHORT)? as usize)
        } else {
            None
        };
        let header = event.len() - cursor.rest.len();
        let Some(row) = row(code) else {
            return Ok(None);
        };
        let mut rest = length
            .checked_sub(header)
            .ok_or("its length is less than its header's")?;
        let width = if row.large { 4 } else { 2 };
        let count = match count {
            Some(count) => count,
            None => {
                if matches!(code, NOTIFICATION | INFRA) {
                    rest = rest.saturating_sub(3);
                }
                count_of(cursor.rest, rest, width, row.params).ok_or("its parameters do not have its length")?
            }
        };
        let whole = cursor.rest.get(..rest).ok_or("it is longer than its block")?;
        let (lengths, data) = count
            .checked_mul(width)
            .and_then(|width| whole.split_at_checked(width))
            .filter(|(lengths, data)| sum_of(lengths, row.large) <= data.len())
            .ok_or("a parameter goes past its end")?;
        Ok(Some(Raw {
            ts,
            tid,
            cpu,
            code,
            hidden,
            row,
            lengths,
            data,
        }))
    }

    /// The event that this is, if it needs no conversion.
    #[inline]
    pub fn ready(&self) -> Option<EventKind> {
        match self.row.known {
            Known::Current(kind) if self.row.ready && self.count() == self.row.params => Some(kind),
            _ => None,
        }
    }

    pub fn count(&self) -> usize {
        self.lengths.len() / if self.row.large { 4 } else { 2 }
    }

    #[inline]
    pub fn push(&self, kind: EventKind, batch: &mut Batch) {
        let (ts, tid, cpu, data) = (self.ts, self.tid, self.cpu, self.data);
        if self.row.large {
            batch.push_packed(ts, tid, cpu, kind, long_lengths(self.lengths), data);
        } else {
            batch.push_packed(ts, tid, cpu, kind, short_lengths(self.lengths), data);
        }
        if self.hidden {
            batch.hide_last();
        }
    }
}

#[inline]
fn short_lengths(bytes: &[u8]) -> impl Iterator<Item = usize> {
    bytes.as_chunks().0.iter().map(|b| usize::from(u16::from_le_bytes(*b)))
}

#[inline]
fn long_lengths(bytes: &[u8]) -> impl Iterator<Item = usize> {
    bytes.as_chunks().0.iter().map(|b| u32::from_le_bytes(*b) as usize)
}

fn sum_of(lengths: &[u8], large: bool) -> usize {
    if large {
        long_lengths(lengths).sum()
    } else {
        short_lengths(lengths).sum()
    }
}

impl Record {
    /// A copy that conversions may change.
    pub fn take(&mut self, raw: &Raw) {
        (self.ts, self.tid, self.cpu, self.code) = (raw.ts, raw.tid, raw.cpu, raw.code);
        let mut end = 0;
        let mut end_of = |length| {
            end += length;
            end as u32
        };
        self.ends.clear();
        if raw.row.large {
            self.ends.extend(long_lengths(raw.lengths).map(&mut end_of));
        } else {
            self.ends.extend(short_lengths(raw.lengths).map(&mut end_of));
        }
        self.data.clear();
        self.data.extend_from_slice(&raw.data[..end]);
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

    /// Put other bytes in the place of a parameter.
    pub fn replace(&mut self, index: usize, bytes: &[u8]) {
        let Some(&end) = self.ends.get(index) else { return };
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        self.data.splice(start as usize..end as usize, bytes.iter().copied());
        let (longer, shorter) = (bytes.len() as u32, end - start);
        for end in &mut self.ends[index..] {
            *end = *end + longer - shorter;
        }
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

/// How many parameters an event of old captures has, which do not tell: the most whose lengths add up to the event's.
fn count_of(bytes: &[u8], rest: usize, width: usize, most: usize) -> Option<usize> {
    (0..=most).rev().find(|&count| {
        bytes
            .get(..count * width)
            .is_some_and(|lengths| lengths.len() + sum_of(lengths, width == 4) == rest)
    })
}
