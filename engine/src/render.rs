//! Text of event parameters, as `evt.arg` and `evt.args` show it.
//!
//! A parameter has a raw text, and some have a resolved one beside it: `fd=3(<f>/etc/hosts)`. What only the state of the
//! host can tell (names of descriptors, threads, users; the directory a path is relative to) comes through [`Names`].

use std::io::Write;

use crate::address::{SockAddr, SockTuple};
use crate::event::Event;
use crate::facts::{EventFacts, File};
use crate::generated::events::EventKind;
use crate::generated::flags::FLAG_TABLES;
use crate::names;
use crate::table::{ParamInfo, ParamType, PrintFormat};

/// What a parameter's value alone does not tell.
#[derive(Clone, Copy, Debug)]
pub enum Question<'a> {
    /// A descriptor, not negative: `<f>/etc/hosts`.
    Fd(i64),
    /// A thread: its name.
    Pid(i64),
    /// A path, and the directory descriptor it is relative to (none: the current directory).
    Path {
        text: &'a [u8],
        dirfd: Option<i64>,
    },
    Uid(u32),
    Gid(u32),
    /// `poll`'s list: each descriptor with the letter of its type and its flags.
    Fds(&'a [u8]),
}

/// Answers what only the state knows; `param` is the parameter asked about. False, and nothing written: no answer.
pub trait Names {
    fn resolve(&self, param: usize, question: Question, out: &mut Vec<u8>) -> bool;
}

/// Knows nothing.
pub struct Nobody;

impl Names for Nobody {
    fn resolve(&self, _: usize, _: Question, _: &mut Vec<u8>) -> bool {
        false
    }
}

/// The answers that travelled with an enriched event.
pub struct Recorded<'a> {
    pub facts: &'a EventFacts,
    pub file: Option<&'a File>,
}

impl Names for Recorded<'_> {
    fn resolve(&self, param: usize, question: Question, out: &mut Vec<u8>) -> bool {
        if let Some((_, text)) = self
            .facts
            .resolved
            .iter()
            .find(|(index, _)| usize::from(*index) == param)
        {
            out.extend_from_slice(text);
            return true;
        }
        match (question, self.file) {
            (Question::Fd(fd), Some(file)) if self.facts.fd == Some(fd) => {
                descriptor(file.typechar, &file.l4proto, &file.name, out);
                true
            }
            _ => false,
        }
    }
}

/// `<4t>1.2.3.4:5->…`: letter of the type, of the protocol, name.
pub fn descriptor(typechar: u8, l4proto: &[u8], name: &[u8], out: &mut Vec<u8>) {
    out.push(b'<');
    out.push(typechar);
    match l4proto {
        b"tcp" => out.push(b't'),
        b"udp" => out.push(b'u'),
        b"icmp" => out.push(b'i'),
        b"raw" => out.push(b'r'),
        _ => {}
    }
    out.push(b'>');
    out.extend_from_slice(name);
}

/// `name=raw` or `name=raw(resolved)` of every parameter, a blank between them; nothing for generic events.
pub fn args(event: &Event, names: &dyn Names, out: &mut Vec<u8>) {
    if event.kind() == EventKind::Syscall {
        return;
    }
    let mut text = Vec::new();
    for (index, info) in event.kind().info().params.iter().enumerate().take(event.param_count()) {
        if index > 0 {
            out.push(b' ');
        }
        out.extend_from_slice(info.name.as_bytes());
        out.push(b'=');
        raw(event, index, names, out);
        text.clear();
        if resolved(event, index, names, &mut text) {
            out.push(b'(');
            out.extend_from_slice(&text);
            out.push(b')');
        }
    }
}

/// The resolved text of a parameter, the raw one where there is none. False if the event has no such parameter.
pub fn arg(event: &Event, index: usize, names: &dyn Names, out: &mut Vec<u8>) -> bool {
    if index >= event.param_count() || index >= event.kind().info().params.len() {
        return false;
    }
    let start = out.len();
    if !resolved(event, index, names, out) {
        out.truncate(start);
        raw(event, index, names, out);
    }
    true
}

/// The raw text of a parameter.
pub fn raw(event: &Event, index: usize, names: &dyn Names, out: &mut Vec<u8>) {
    let Some(info) = event.kind().info().params.get(index) else {
        return;
    };
    let bytes = event.param(index).unwrap_or_default();
    raw_value(info.kind, info.format, info, index, bytes, names, out);
}

/// The resolved text of a parameter; false, and nothing written, where it has none.
pub fn resolved(event: &Event, index: usize, names: &dyn Names, out: &mut Vec<u8>) -> bool {
    let Some(info) = event.kind().info().params.get(index) else {
        return false;
    };
    let bytes = event.param(index).unwrap_or_default();
    let start = out.len();
    resolved_value(event, info.kind, info, index, bytes, names, out) && out.len() > start
}

/// What a parameter has to ask the state, if anything.
pub fn question<'a>(event: &Event<'a>, index: usize, info: &ParamInfo) -> Option<Question<'a>> {
    question_of(event, info.kind, info, event.param(index)?)
}

fn question_of<'a>(event: &Event<'a>, kind: ParamType, info: &ParamInfo, bytes: &'a [u8]) -> Option<Question<'a>> {
    match kind {
        ParamType::Fd | ParamType::Fd32 => signed(bytes).filter(|fd| *fd >= 0).map(Question::Fd),
        ParamType::Pid | ParamType::Pid32 => signed(bytes).filter(|pid| *pid >= 0).map(Question::Pid),
        ParamType::Fspath | ParamType::Fsrelpath => {
            let text = text(bytes)?;
            if text.is_empty() || text[0] == b'/' {
                return None;
            }
            let dirfd = info.dirfd.and_then(|param| event.int(param));
            Some(Question::Path {
                text,
                dirfd: dirfd.filter(|_| kind == ParamType::Fsrelpath),
            })
        }
        ParamType::Uid => unsigned(bytes)
            .filter(|id| *id != u64::from(u32::MAX))
            .map(|id| Question::Uid(id as u32)),
        ParamType::Gid => unsigned(bytes)
            .filter(|id| *id != u64::from(u32::MAX))
            .map(|id| Question::Gid(id as u32)),
        ParamType::Fdlist => Some(Question::Fds(bytes)),
        _ => None,
    }
}

fn raw_value(
    kind: ParamType,
    format: PrintFormat,
    info: &ParamInfo,
    index: usize,
    bytes: &[u8],
    names: &dyn Names,
    out: &mut Vec<u8>,
) {
    use ParamType as P;
    if bytes.is_empty() {
        let null = matches!(
            kind,
            P::Bytebuf | P::Socktuple | P::Fdlist | P::Charbufarray | P::CharbufPairArray | P::Dyn
        );
        out.extend_from_slice(if null { b"NULL" } else { b"<NA>" });
        return;
    }
    match kind {
        P::Charbuf | P::Fspath | P::Fsrelpath => out.extend_from_slice(text(bytes).unwrap_or(b"<NA>")),
        P::Bytebuf | P::Charbufarray | P::CharbufPairArray => printable(bytes, out),
        P::Sockaddr => match SockAddr::parse(bytes) {
            Some(addr) => addr.write(out),
            None => out.extend_from_slice(b"INVALID"),
        },
        P::Socktuple => match SockTuple::parse(bytes) {
            Some(tuple) => tuple.write(out),
            None => out.extend_from_slice(b"INVALID"),
        },
        P::Fdlist => {
            names.resolve(index, Question::Fds(bytes), out);
        }
        P::Dyn => match dynamic(info, bytes) {
            Some((kind, format, value)) => raw_value(kind, format, info, index, value, names, out),
            None => printable(bytes, out),
        },
        P::Bool => out.extend_from_slice(if unsigned(bytes) == Some(0) { b"false" } else { b"true" }),
        P::Abstime => absolute(unsigned(bytes).unwrap_or(0), out),
        P::Sigset => sigset(unsigned(bytes).unwrap_or(0), out),
        P::Mode => octal(unsigned(bytes).unwrap_or(0), out),
        P::Uid | P::Gid => match unsigned(bytes) {
            Some(id) if id != u64::from(u32::MAX) => number(id as i64, out),
            _ => out.extend_from_slice(b"-1"),
        },
        P::Ipv4addr | P::Ipv6addr | P::Ipaddr => match (<[u8; 4]>::try_from(bytes), <[u8; 16]>::try_from(bytes)) {
            (Ok(ip), _) => crate::address::write_ip(ip.into(), out),
            (_, Ok(ip)) => crate::address::write_ip(ip.into(), out),
            _ => out.extend_from_slice(b"INVALID"),
        },
        P::Fd | P::Fd32 | P::Pid | P::Pid32 | P::Errno => number(signed(bytes).unwrap_or(0), out),
        P::Int8 | P::Int16 | P::Int32 | P::Int64 => integer(signed(bytes).unwrap_or(0), bytes.len(), format, out),
        P::Flags8 | P::Flags16 | P::Flags32 | P::Enumflags8 | P::Enumflags16 | P::Enumflags32 => {
            number(unsigned(bytes).unwrap_or(0) as i64, out);
        }
        P::Uint8 | P::Uint16 | P::Uint32 | P::Uint64 | P::Port | P::L4proto | P::Sockfamily | P::Syscallid => {
            integer(unsigned(bytes).unwrap_or(0) as i64, bytes.len(), format, out);
        }
        P::Sigtype | P::Reltime => number(unsigned(bytes).unwrap_or(0) as i64, out),
        P::Double | P::Ipv4net | P::Ipv6net | P::Ipnet => printable(bytes, out),
    }
}

fn resolved_value(
    event: &Event,
    kind: ParamType,
    info: &ParamInfo,
    index: usize,
    bytes: &[u8],
    names: &dyn Names,
    out: &mut Vec<u8>,
) -> bool {
    use ParamType as P;
    if bytes.is_empty() {
        return false;
    }
    match kind {
        P::Fd | P::Fd32 => match signed(bytes) {
            Some(-100) => {
                out.extend_from_slice(b"AT_FDCWD");
                true
            }
            Some(fd) if fd < 0 => error(fd, out),
            Some(fd) => names.resolve(index, Question::Fd(fd), out),
            None => false,
        },
        P::Errno => signed(bytes).is_some_and(|value| value < 0 && error(value, out)),
        P::Flags8 | P::Flags16 | P::Flags32 | P::Mode => flags(info.flags, unsigned(bytes).unwrap_or(0), out),
        P::Enumflags8 | P::Enumflags16 | P::Enumflags32 => equal(info.flags, unsigned(bytes).unwrap_or(0), out),
        P::Sigtype => match names::signal(unsigned(bytes).unwrap_or(0)) {
            Some(name) => {
                out.extend_from_slice(name.as_bytes());
                true
            }
            None => false,
        },
        P::Reltime => {
            seconds(unsigned(bytes).unwrap_or(0), out);
            true
        }
        P::Dyn => match dynamic(info, bytes) {
            Some((kind, _, value)) if kind != P::Dyn => resolved_value(event, kind, info, index, value, names, out),
            _ => false,
        },
        P::Uid | P::Gid => match question_of(event, kind, info, bytes) {
            Some(question) => {
                if !names.resolve(index, question, out) {
                    out.extend_from_slice(b"<NA>");
                }
                true
            }
            None => {
                out.extend_from_slice(b"<NONE>");
                true
            }
        },
        P::Pid | P::Pid32 | P::Fspath | P::Fsrelpath => {
            question_of(event, kind, info, bytes).is_some_and(|question| names.resolve(index, question, out))
        }
        _ => false,
    }
}

/// Type, format and bytes of a value whose first byte selects its type; never again such a value.
fn dynamic<'a>(info: &ParamInfo, bytes: &'a [u8]) -> Option<(ParamType, PrintFormat, &'a [u8])> {
    let (&row, value) = bytes.split_first()?;
    let chosen = info.dynamic?.get(usize::from(row))?;
    (chosen.kind != ParamType::Dyn).then_some((chosen.kind, chosen.format, value))
}

fn unsigned(bytes: &[u8]) -> Option<u64> {
    let mut wide = [0; 8];
    wide.get_mut(..bytes.len())?.copy_from_slice(bytes);
    matches!(bytes.len(), 1 | 2 | 4 | 8).then(|| u64::from_le_bytes(wide))
}

fn signed(bytes: &[u8]) -> Option<i64> {
    let shift = 64 - 8 * bytes.len().min(8) as u32;
    unsigned(bytes).map(|value| (value << shift) as i64 >> shift)
}

/// Text up to its NUL; `None` for the text `(NULL)`.
fn text(bytes: &[u8]) -> Option<&[u8]> {
    let end = memchr::memchr(0, bytes).unwrap_or(bytes.len());
    (&bytes[..end] != b"(NULL)").then_some(&bytes[..end])
}

fn printable(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend(bytes.iter().map(|b| if (0x20..0x7f).contains(b) { *b } else { b'.' }));
}

/// Most texts of a batch are numbers: several times as fast as `write!`.
fn number(value: i64, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut start = digits.len();
    let mut rest = value.unsigned_abs();
    loop {
        start -= 1;
        digits[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if value < 0 {
        start -= 1;
        digits[start] = b'-';
    }
    out.extend_from_slice(&digits[start..]);
}

fn integer(value: i64, width: usize, format: PrintFormat, out: &mut Vec<u8>) {
    let mask = if width >= 8 { u64::MAX } else { (1 << (8 * width)) - 1 };
    let _ = match format {
        PrintFormat::Hex => write!(out, "{:X}", value as u64 & mask),
        PrintFormat::Oct => return octal(value as u64 & mask, out),
        PrintFormat::PaddedDec => write!(out, "{value:09}"),
        PrintFormat::Na | PrintFormat::Dec | PrintFormat::Id | PrintFormat::Dir => return number(value, out),
    };
}

fn octal(value: u64, out: &mut Vec<u8>) {
    let _ = if value == 0 {
        write!(out, "0")
    } else {
        write!(out, "0{value:o}")
    };
}

fn error(value: i64, out: &mut Vec<u8>) -> bool {
    match names::errno(value.saturating_neg()) {
        Some(name) => {
            out.extend_from_slice(name.as_bytes());
            true
        }
        None => false,
    }
}

/// Names of a flag word in table order; bits that a name took are gone for those after it.
fn flags(table: Option<usize>, value: u64, out: &mut Vec<u8>) -> bool {
    let Some(table) = table.and_then(|row| FLAG_TABLES.get(row)) else {
        return false;
    };
    let start = out.len();
    let mut rest = value;
    for (name, bits) in table.iter() {
        let bits = u64::from(*bits);
        if (bits == 0 && value == 0) || (bits != 0 && rest & bits == bits) {
            if out.len() > start {
                out.push(b'|');
            }
            out.extend_from_slice(name.as_bytes());
            rest &= !bits;
        }
    }
    out.len() > start
}

/// Every name of a table that equals the value.
fn equal(table: Option<usize>, value: u64, out: &mut Vec<u8>) -> bool {
    let Some(table) = table.and_then(|row| FLAG_TABLES.get(row)) else {
        return false;
    };
    let start = out.len();
    for (name, _) in table.iter().filter(|(_, number)| u64::from(*number) == value) {
        if out.len() > start {
            out.push(b'|');
        }
        out.extend_from_slice(name.as_bytes());
    }
    out.len() > start
}

fn sigset(mask: u64, out: &mut Vec<u8>) {
    let start = out.len();
    for bit in 0..32 {
        if mask >> bit & 1 == 1
            && let Some(name) = names::signal(bit + 1)
        {
            if out.len() > start {
                out.push(b' ');
            }
            out.extend_from_slice(name.as_bytes());
        }
    }
}

/// Nanoseconds as seconds with at most six digits: `0.01s`, `2e-05s`, `60s`.
fn seconds(ns: u64, out: &mut Vec<u8>) {
    general(ns as f64 / 1e9, out);
    out.push(b's');
}

/// C's `%g`.
pub fn general(value: f64, out: &mut Vec<u8>) {
    if value == 0.0 {
        out.push(b'0');
        return;
    }
    let scientific = format!("{value:.5e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trim = |digits: &str| match digits.contains('.') {
        true => digits.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => digits.to_owned(),
    };
    let _ = if (-4..6).contains(&exponent) {
        write!(out, "{}", trim(&format!("{value:.*}", (5 - exponent).max(0) as usize)))
    } else {
        let sign = if exponent < 0 { '-' } else { '+' };
        write!(out, "{}e{sign}{:02}", trim(mantissa), exponent.abs())
    };
}

/// `Y-m-d H:M:S.nnnnnnnnn`, UTC.
pub fn absolute(ns: u64, out: &mut Vec<u8>) {
    let (seconds, fraction) = (ns / 1_000_000_000, ns % 1_000_000_000);
    date(seconds, out);
    let day = seconds % 86_400;
    let _ = write!(
        out,
        " {:02}:{:02}:{:02}.{fraction:09}",
        day / 3600,
        day / 60 % 60,
        day % 60
    );
}

/// `Y-m-d` of a time in seconds, UTC (days to civil date by eras of 400 years).
pub fn date(seconds: u64, out: &mut Vec<u8>) {
    let days = seconds / 86_400 + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let _ = write!(out, "{year:04}-{month:02}-{day:02}");
}

#[cfg(test)]
#[path = "render_tests.rs"]
mod tests;
