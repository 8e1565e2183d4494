//! Fields of the descriptors that poll and ppoll are given.

use super::{EventView, fd};
use crate::address::write_ip;
use crate::generated::events::EventKind;
use crate::state::fds::Fd;
use crate::value::Value;

/// Number and flags of each entry of an encoded list.
pub(super) fn entries(bytes: &[u8]) -> Option<impl Iterator<Item = (i64, u16)>> {
    let (count, entries) = bytes.split_at_checked(2)?;
    let count = usize::from(u16::from_le_bytes([count[0], count[1]]));
    let entry = |entry: &[u8]| {
        let number = i64::from_le_bytes(entry[..8].try_into().unwrap_or_default());
        (number, u16::from_le_bytes([entry[8], entry[9]]))
    };
    Some(entries.chunks_exact(10).take(count).map(entry))
}

/// What `each` writes of the descriptors, a comma between; absent without any.
fn joined<'a>(view: &EventView<'a>, each: impl Fn(i64, Option<&Fd>, &mut Vec<u8>)) -> Value<'a> {
    if !matches!(view.event.kind(), EventKind::Poll | EventKind::Ppoll) {
        return Value::Absent;
    }
    let (Some(slot), Some(entries)) = (view.seen.thread, view.event.param(1).and_then(entries)) else {
        return Value::Absent;
    };
    let (mut out, mut item) = (Vec::new(), Vec::new());
    for (number, _) in entries {
        item.clear();
        let fd = view.state.threads.fd(slot, number);
        each(number, fd.map(|fd| &**fd), &mut item);
        if !item.is_empty() {
            out.extend_from_slice(if out.is_empty() { b"" } else { b"," });
            out.extend_from_slice(&item);
        }
    }
    if out.is_empty() {
        Value::Absent
    } else {
        Value::Owned(out)
    }
}

pub(super) fn numbers<'a>(view: &EventView<'a>) -> Value<'a> {
    joined(view, |number, _, out| {
        out.extend_from_slice(number.to_string().as_bytes())
    })
}

pub(super) fn names<'a>(view: &EventView<'a>) -> Value<'a> {
    joined(view, |_, fd, out| match fd {
        Some(fd) if !fd.name.is_empty() => out.extend_from_slice(&fd.name),
        _ => out.extend_from_slice(b"<NA>"),
    })
}

pub(super) fn ips<'a>(view: &EventView<'a>, side: fd::Side) -> Value<'a> {
    joined(view, |_, fd, out| {
        if let Some(end) = fd.and_then(|fd| fd::end(view, fd, side)) {
            write_ip(end.ip, out);
        }
    })
}

/// Of connections alone: a socket that listens has none.
pub(super) fn ports<'a>(view: &EventView<'a>, side: fd::Side) -> Value<'a> {
    joined(view, |_, fd, out| {
        let connection = fd.filter(|fd| !fd.is_server_socket());
        if let Some(end) = connection.and_then(|fd| fd::end(view, fd, side)) {
            out.extend_from_slice(end.port.to_string().as_bytes());
        }
    })
}
