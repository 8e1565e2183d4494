//! Fields of what is read and written, and of errors by what they are about.

use super::EventView;
use crate::generated::events::EventKind;
use crate::state::fds::FdKind;
use crate::table::{Category, READS_FROM_FD, WRITES_TO_FD};
use crate::value::Value;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Any,
    In,
    Out,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Any,
    File,
    Net,
}

/// What an error is about.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    File,
    Net,
    Memory,
    Other,
}

pub(super) fn direction<'a>(view: &EventView<'a>) -> Value<'a> {
    match view.event.kind().info().flags {
        flags if flags & WRITES_TO_FD != 0 => Value::Text(b"write"),
        flags if flags & READS_FROM_FD != 0 => Value::Text(b"read"),
        _ => Value::Absent,
    }
}

/// Whether the event writes to the system's log.
pub(super) fn is_syslog(view: &EventView) -> bool {
    view.event.kind().info().flags & WRITES_TO_FD != 0
        && view
            .file()
            .is_some_and(|fd| memchr::memmem::find(&fd.name, b"/dev/log").is_some())
}

/// Bytes that an event moved, one way and over one kind of descriptor.
pub(super) fn bytes<'a>(view: &EventView<'a>, way: Way, kind: Kind) -> Value<'a> {
    let moves = match view.event.kind().info().category {
        Category::IoRead => way != Way::Out,
        Category::IoWrite => way != Way::In,
        Category::IoOther => way == Way::Any,
        _ => false,
    };
    let over = view.file().is_some_and(|fd| match kind {
        Kind::Any => true,
        Kind::File => matches!(fd.kind, FdKind::File | FdKind::FileV2),
        Kind::Net => fd.is_ip(),
    });
    match view.event.result() {
        Some(count) if count >= 0 && moves && over => Value::Uint(count as u64),
        _ => Value::Absent,
    }
}

fn about(view: &EventView) -> Of {
    use EventKind as K;
    let kind = view.event.kind();
    match view.file().map(|fd| fd.kind) {
        Some(FdKind::File | FdKind::FileV2 | FdKind::Directory) => Of::File,
        Some(FdKind::Ipv4 | FdKind::Ipv6 | FdKind::Ipv4Server | FdKind::Ipv6Server | FdKind::Unix) => Of::Net,
        None if matches!(kind, K::Open | K::Openat | K::Openat2 | K::OpenByHandleAt | K::Creat) => Of::File,
        None if matches!(kind, K::Accept | K::Accept4 | K::Connect) => Of::Net,
        _ if kind.info().category == Category::Memory => Of::Memory,
        _ => Of::Other,
    }
}

/// Whether a call failed, of those about what is `wanted`.
pub(super) fn error<'a>(view: &EventView<'a>, wanted: impl Fn(Of) -> bool) -> Value<'a> {
    match view.event.result() {
        Some(result) if wanted(about(view)) => Value::Uint((result < 0).into()),
        _ => Value::Absent,
    }
}
