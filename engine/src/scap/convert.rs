//! Events of old captures become current ones, after schemas/conversions.toml: an enter event waits for its exit, an exit takes
//! from it what it lacks, a superseded event gets its successor's code and parameters. What a call was given when it began counts
//! more than what its memory held when it ended.

use hashbrown::HashMap;

use super::record::{Known, Record, known};
use crate::{
    generated::{
        conversions::{CONVERSIONS, MANAGED, UNUSED},
        events::EventKind,
    },
    table::{Action, Coding, Conversion, Fill, ParamType, Source},
};

/// A call whose enter event is believed: which of its parameters stand for which of the exit's.
struct Entered {
    enter: u16,
    params: &'static [(usize, usize)],
    /// The exit's parameter with open flags, of which some bits are the driver's.
    flags: Option<usize>,
    even_failed: bool,
}

const fn entered(enter: u16, params: &'static [(usize, usize)], flags: Option<usize>, even_failed: bool) -> Entered {
    Entered {
        enter,
        params,
        flags,
        even_failed,
    }
}

/// open, creat, openat, openat2, connect.
static ENTERS: [Entered; 5] = [
    entered(2, &[(0, 1), (1, 2)], Some(2), false),
    entered(58, &[(0, 1)], None, false),
    entered(306, &[(0, 1), (1, 2), (2, 3)], Some(3), false),
    entered(326, &[(0, 1), (1, 2), (2, 3)], Some(3), false),
    entered(22, &[(1, 3)], None, true),
];
/// O_F_CREATED and the bits above it.
const ADDED_FLAGS: u32 = !0 << 14;
const MOST_ROUNDS: usize = 50;
/// Threads whose enter event is kept: beyond, an exit finds none, as it does after a loss.
const MOST_ENTERED: usize = 262_144;

#[derive(Default)]
pub struct Converter {
    entered: HashMap<i64, Record>,
    scratch: Record,
}

pub enum Converted {
    /// Deliver the record as this event.
    Event(EventKind),
    Nothing,
    /// A layout that no version ever wrote.
    Unknown,
}

impl Converter {
    pub fn clear(&mut self) {
        self.entered.clear();
    }

    /// This event of the thread was delivered: its call is over, but for what the kernel tells meanwhile, a switch say.
    #[inline]
    pub fn delivered(&mut self, kind: EventKind, tid: i64) {
        if !self.entered.is_empty() && (kind.info().source == Source::Syscall || kind == EventKind::Procexit) {
            self.entered.remove(&tid);
        }
    }

    pub fn convert(&mut self, record: &mut Record) -> Converted {
        for _ in 0..MOST_ROUNDS {
            let Some(known) = known(record.code) else {
                return Converted::Unknown;
            };
            if UNUSED.binary_search(&record.code).is_ok() {
                return Converted::Nothing;
            }
            if let Known::Current(kind) = known
                && record.ends.len() == kind.info().params.len()
            {
                self.prefer_entered(record);
                self.delivered(kind, record.tid);
                return Converted::Event(kind);
            }
            match (conversion(record.code, record.ends.len()), known) {
                (Some(row), _) => match row.action {
                    Action::Add | Action::Change => self.apply(record, row),
                    Action::Store | Action::StoreAndPass => {
                        self.store(record);
                        return Converted::Nothing;
                    }
                    Action::Pass => {
                        if ENTERS.iter().any(|row| row.enter == record.code) {
                            self.store(record);
                        }
                        return deliver(known, record);
                    }
                },
                (None, Known::Old(layout)) if layout.enter && layout.old && !layout.managed => {
                    return Converted::Nothing;
                }
                (None, Known::Old(_)) => return Converted::Unknown,
                (None, Known::Current(_)) if MANAGED.binary_search(&record.code).is_ok() => return Converted::Unknown,
                (None, known) => return deliver(known, record),
            }
        }
        Converted::Unknown
    }

    /// Whether the thread's enter event has a say in this exit.
    #[inline]
    pub fn has_entered(&self, tid: i64, code: u16) -> bool {
        !self.entered.is_empty()
            && self.entered.get(&tid).is_some_and(|enter| enter.code + 1 == code)
            && ENTERS.iter().any(|row| row.enter + 1 == code)
    }

    /// Paths, flags and addresses as the kernel took them: while a call runs another thread may write over its copy.
    fn prefer_entered(&mut self, record: &mut Record) {
        let Some(enter) = self.entered.get(&record.tid) else {
            return;
        };
        let Some(row) = ENTERS
            .iter()
            .find(|row| row.enter == enter.code && row.enter + 1 == record.code)
        else {
            return;
        };
        // A call that failed has no descriptor that could be named wrongly; a connection may still be on its way.
        let failed = record
            .param(0)
            .is_none_or(|result| result.last().is_none_or(|byte| *byte >= 0x80));
        if failed && !row.even_failed {
            return;
        }
        for &(from, to) in row.params {
            let Some(bytes) = enter.param(from).filter(|bytes| !matches!(*bytes, b"" | b"<NA>\0")) else {
                continue;
            };
            if Some(to) == row.flags {
                let word = |bytes: &[u8]| u32::from_le_bytes(resized(bytes, false)[..4].try_into().unwrap_or_default());
                let exit = record.param(to).map_or(0, word);
                record.replace(to, &(word(bytes) & !ADDED_FLAGS | exit & ADDED_FLAGS).to_le_bytes());
            } else {
                record.replace(to, bytes);
            }
        }
    }

    fn store(&mut self, record: &Record) {
        if self.entered.len() >= MOST_ENTERED && !self.entered.contains_key(&record.tid) {
            return;
        }
        let entered = self.entered.entry(record.tid).or_default();
        entered.code = record.code;
        entered.ends.clone_from(&record.ends);
        entered.data.clone_from(&record.data);
    }

    fn apply(&mut self, record: &mut Record, row: &Conversion) {
        let enter = self
            .entered
            .get(&record.tid)
            .filter(|enter| enter.code + 1 == record.code);
        let made = &mut self.scratch;
        made.ends.clear();
        made.data.clear();
        if row.action == Action::Add {
            made.ends.extend_from_slice(&record.ends);
            made.data.extend_from_slice(&record.data);
        }
        for fill in row.fill {
            let kind = param_type(row.to, made.ends.len());
            let (source, or_empty) = match *fill {
                Fill::Old { param, or_empty } => (record.param(param), or_empty),
                Fill::Enter { param, or_empty } => (enter.and_then(|enter| enter.param(param)), or_empty),
                Fill::Default => (None, false),
                Fill::Empty => (None, true),
                Fill::Callback => {
                    made.push(&container_json(record));
                    continue;
                }
            };
            match (source, kind.map(ParamType::coding)) {
                (Some(bytes), Some(Coding::Int { width, signed })) if !bytes.is_empty() => {
                    made.push(&resized(bytes, signed)[..width]);
                }
                (Some(bytes), _) => made.push(bytes),
                (None, Some(Coding::Int { width, .. })) if !or_empty => made.push(&default(kind)[..width]),
                (None, _) => made.push(&[]),
            }
        }
        std::mem::swap(&mut record.ends, &mut made.ends);
        std::mem::swap(&mut record.data, &mut made.data);
        record.code = row.to;
    }
}

/// Only current events are delivered. The enter events that pass with their parameters told more than exits once did: today
/// the exit has it all.
fn deliver(known: Known, record: &Record) -> Converted {
    match known {
        Known::Old(_) => Converted::Nothing,
        Known::Current(kind) if record.ends.len() > kind.info().params.len() => Converted::Unknown,
        Known::Current(kind) => Converted::Event(kind),
    }
}

fn conversion(code: u16, nparams: usize) -> Option<&'static Conversion> {
    let row = CONVERSIONS
        .binary_search_by_key(&(code, nparams), |row| (row.code, row.nparams))
        .ok()?;
    Some(&CONVERSIONS[row])
}

fn param_type(code: u16, index: usize) -> Option<ParamType> {
    match known(code)? {
        Known::Current(kind) => kind.info().params.get(index).map(|info| info.kind),
        Known::Old(layout) => layout.params.get(index).copied(),
    }
}

/// The number as eight bytes: a parameter may have been narrower or wider once.
fn resized(bytes: &[u8], signed: bool) -> [u8; 8] {
    let negative = signed && bytes.last().is_some_and(|&last| last >= 0x80);
    let mut wide = [if negative { 0xff } else { 0 }; 8];
    let length = bytes.len().min(8);
    wide[..length].copy_from_slice(&bytes[..length]);
    wide
}

fn default(kind: Option<ParamType>) -> [u8; 8] {
    match kind {
        Some(ParamType::Uid | ParamType::Gid) => [0xff; 8],
        _ => [0; 8],
    }
}

/// The oldest container event as the JSON of the newer ones.
fn container_json(record: &Record) -> Vec<u8> {
    let text = |index| {
        let bytes = record.param(index).unwrap_or_default();
        String::from_utf8_lossy(bytes.strip_suffix(&[0]).unwrap_or(bytes)).into_owned()
    };
    let kind = record
        .param(1)
        .map_or(0, |bytes| u64::from_le_bytes(resized(bytes, false)));
    let container = serde_json::json!({"id": text(0), "type": kind, "name": text(2), "image": text(3)});
    let mut json = serde_json::json!({ "container": container }).to_string().into_bytes();
    json.push(0);
    json
}
