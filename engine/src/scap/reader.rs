//! The push parser: bytes in, batches out, in the order of the file.

use super::{
    Error, Result,
    blocks::{Block, Buffer, Whole},
    convert::{Converted, Converter},
    lists,
    record::{Cursor, Raw, Record},
};
use crate::event::Batch;

const SECTION: [u8; 4] = 0x0A0D_0D0Au32.to_le_bytes();
const MAGIC: u32 = 0x1A2B_3C4D;

/// The machine that a capture was made on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    pub num_cpus: u32,
    pub memory_bytes: u64,
    pub max_pid: u64,
    pub hostname: Vec<u8>,
    pub boot_ts: u64,
    pub flags: u64,
}

#[derive(Default)]
pub struct CaptureReader {
    buffer: Buffer,
    machine: Option<Machine>,
    converter: Converter,
    record: Record,
    /// Events of lists, delivered up to `told`.
    lists: Batch,
    told: usize,
    begun: bool,
    events: bool,
    section_has_events: bool,
    /// The next batch begins another section.
    new_section: bool,
    finished: bool,
    skipped: u64,
    failure: Option<Error>,
}

impl CaptureReader {
    pub fn new() -> CaptureReader {
        CaptureReader::default()
    }

    pub fn feed(&mut self, data: &[u8]) {
        self.buffer.feed(data);
    }

    /// No more bytes will come: then [`CaptureReader::next`] tells what is missing.
    pub fn finish(&mut self) {
        self.finished = true;
    }

    pub fn machine(&self) -> Option<&Machine> {
        self.machine.as_ref()
    }

    /// Events of types that no table knows, left out.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Up to `limit` events, either all from lists or all of the capture; `None` when there is no whole block left. A fault is
    /// told after all that is whole before it, and again by every later call.
    pub fn next(&mut self, limit: usize) -> Result<Option<Batch>> {
        let mut batch = self.new_batch();
        while batch.len() < limit && self.failure.is_none() {
            if self.new_section {
                if !batch.is_empty() {
                    break;
                }
                batch = self.new_batch();
            }
            if self.told < self.lists.len() {
                if !batch.is_empty() {
                    break;
                }
                return Ok(Some(self.tell_lists(batch, limit)));
            }
            match self.block(&mut batch) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => self.failure = Some(error),
            }
        }
        match (&self.failure, batch.is_empty()) {
            (_, false) => Ok(Some(batch)),
            (Some(error), true) => Err(error.clone()),
            (None, true) => {
                self.new_section |= batch.begins_section();
                Ok(None)
            }
        }
    }

    fn new_batch(&mut self) -> Batch {
        let mut batch = Batch::new();
        if std::mem::take(&mut self.new_section) {
            batch.begin_section();
        }
        batch
    }

    fn tell_lists(&mut self, mut batch: Batch, limit: usize) -> Batch {
        let end = self.lists.len().min(self.told.saturating_add(limit.max(1)));
        batch.extend(&self.lists, self.told..end);
        self.told = end;
        if end == self.lists.len() {
            self.lists = Batch::new();
            self.told = 0;
        }
        batch
    }

    /// Read one block; false if there is none.
    fn block(&mut self, batch: &mut Batch) -> Result<bool> {
        if !self.begun {
            self.check_begin()?;
        }
        let Some(whole) = self.buffer.next()? else {
            return match self.finished {
                true if !self.buffer.is_empty() => Err(Error::Truncated(self.buffer.at())),
                true if !self.events => Err(Error::NoEvents),
                _ => Ok(false),
            };
        };
        if let Block::Event { counted, flagged, .. } = whole.block {
            (self.events, self.section_has_events) = (true, true);
            self.event(&whole, counted, flagged, batch)?;
        } else {
            self.metadata(&whole)?;
        }
        Ok(true)
    }

    fn check_begin(&mut self) -> Result<()> {
        let start = self.buffer.peek();
        if start.starts_with(&[0x1f, 0x8b]) {
            return Err(Error::Compressed);
        }
        if start == [0x1f] && !self.finished {
            return Ok(());
        }
        let length = start.len().min(4);
        if start[..length] != SECTION[..length] || (self.finished && length < 4) {
            return Err(Error::NoCapture);
        }
        self.begun = length == 4;
        Ok(())
    }

    fn metadata(&mut self, whole: &Whole) -> Result<()> {
        let at = whole.at;
        if !whole.trailer_matches {
            return Err(Error::Trailer { at });
        }
        if self.section_has_events {
            // Another recording was put behind the first.
            self.section_has_events = false;
            self.new_section = true;
            self.converter.clear();
        }
        let body = self.buffer.body(whole);
        let lists = &mut self.lists;
        let (list, read) = match whole.block {
            Block::Section => {
                check_section(body)?;
                self.converter.clear();
                return Ok(());
            }
            Block::Machine => (
                "machine information",
                machine(body).map(|machine| self.machine = Some(machine)),
            ),
            Block::Processes(version) => ("process list", lists::processes(version, body, lists)),
            Block::Files(version) => ("descriptor list", lists::files(version, body, lists)),
            Block::Interfaces(version) => ("interface list", lists::interfaces(version, body, lists)),
            Block::Users(version) => ("user list", lists::users(version, body, lists)),
            Block::Unknown | Block::Event { .. } if self.events => return Err(Error::Block { at, kind: whole.kind }),
            Block::Unknown | Block::Event { .. } => return Ok(()),
        };
        read.ok_or(Error::List { at, list })
    }

    fn event(&mut self, whole: &Whole, counted: bool, flagged: bool, batch: &mut Batch) -> Result<()> {
        let at = whole.at;
        let record = &mut self.record;
        let raw = Raw::read(self.buffer.body(whole), counted, flagged);
        let Some(raw) = raw.map_err(|reason| Error::Event { at, reason })? else {
            self.skipped += 1;
            return Ok(());
        };
        if let Some(kind) = raw.ready()
            && !self.converter.has_entered(raw.tid, raw.code)
        {
            self.converter.delivered(kind, raw.tid);
            raw.push(kind, batch);
            return Ok(());
        }
        let (code, params, hidden) = (raw.code, raw.count(), raw.hidden);
        record.take(&raw);
        match self.converter.convert(record) {
            Converted::Event(kind) => {
                let lengths = record.lengths(record.ends.len());
                batch.push_packed(record.ts, record.tid, record.cpu, kind, lengths, &record.data);
                if hidden {
                    batch.hide_last();
                }
                Ok(())
            }
            Converted::Nothing => Ok(()),
            Converted::Unknown => Err(Error::Layout { at, code, params }),
        }
    }
}

fn check_section(body: &[u8]) -> Result<()> {
    let mut cursor = Cursor { rest: body };
    let magic = cursor.u32().ok_or(Error::NoCapture)?;
    if magic == MAGIC.swap_bytes() {
        return Err(Error::ByteOrder);
    }
    let major = cursor.u16().filter(|_| magic == MAGIC).ok_or(Error::NoCapture)?;
    if major > 1 { Err(Error::Version(major)) } else { Ok(()) }
}

fn machine(body: &[u8]) -> Option<Machine> {
    let mut cursor = Cursor { rest: body };
    let (num_cpus, memory_bytes, max_pid) = (cursor.u32()?, cursor.u64()?, cursor.u64()?);
    let name = cursor.take(128)?;
    let hostname = name[..memchr::memchr(0, name).unwrap_or(name.len())].to_vec();
    // Old files end here.
    let boot_ts = cursor.u64().unwrap_or(0);
    let flags = cursor.u64().unwrap_or(0);
    Some(Machine {
        num_cpus,
        memory_bytes,
        max_pid,
        hostname,
        boot_ts,
        flags,
    })
}
