//! Fields of messages to the system's log: `<38>sshd[7]: …`, facility and severity in one number.

use super::{EventView, io};
use crate::value::Value;

const UNKNOWN: &[u8] = b"<NA>";
static FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "clock", "authpriv", "ftp", "ntp",
    "logaudit", "logalert", "cron", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
];
static SEVERITIES: [&str; 8] = ["emerg", "alert", "crit", "err", "warn", "notice", "info", "debug"];
/// Digits of the largest number in use, 191, and one more.
const MAX_DIGITS: usize = 4;

/// Priority and text of the message that an event sends; the end may be missing, as of every buffer.
fn parsed<'a>(view: &EventView<'a>) -> Option<(u32, &'a [u8])> {
    if !io::is_syslog(view) {
        return None;
    }
    let data = view.event.param(view.arg_text(b"data")?)?;
    let inside = data.strip_prefix(b"<")?;
    let end = inside.iter().take(MAX_DIGITS + 1).position(|byte| *byte == b'>')?;
    let priority = std::str::from_utf8(&inside[..end]).ok()?.parse::<u32>().ok()?;
    let text = &inside[end + 1..];
    Some((priority, text.strip_suffix(b"\0").unwrap_or(text)))
}

fn name<'a>(names: &'static [&'static str], row: u32) -> Value<'a> {
    Value::Text(names.get(row as usize).map_or(UNKNOWN, |name| name.as_bytes()))
}

pub(super) fn facility<'a>(view: &EventView<'a>) -> Value<'a> {
    parsed(view).map_or(Value::Absent, |(priority, _)| Value::Uint((priority >> 3).into()))
}

pub(super) fn facility_name<'a>(view: &EventView<'a>) -> Value<'a> {
    parsed(view).map_or(Value::Absent, |(priority, _)| name(&FACILITIES, priority >> 3))
}

pub(super) fn severity<'a>(view: &EventView<'a>) -> Value<'a> {
    parsed(view).map_or(Value::Absent, |(priority, _)| Value::Uint((priority & 7).into()))
}

pub(super) fn severity_name<'a>(view: &EventView<'a>) -> Value<'a> {
    parsed(view).map_or(Value::Absent, |(priority, _)| name(&SEVERITIES, priority & 7))
}

pub(super) fn message<'a>(view: &EventView<'a>) -> Value<'a> {
    parsed(view).map_or(Value::Absent, |(_, text)| Value::Text(text))
}
