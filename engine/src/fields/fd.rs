//! Fields of the descriptor that an event is about.

use std::io::Write;
use std::net::IpAddr;

use super::EventView;
use crate::address::Endpoint;
use crate::generated::events::EventKind;
use crate::render::{self, Question};
use crate::state::fds::{Fd, FdKind, Role, Socket};
use crate::state::paths;
use crate::state::threads::Thread;
use crate::value::Value;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Client,
    Server,
    Local,
    Remote,
}

pub(super) fn of<'a>(view: &EventView<'a>, field: impl Fn(&'a Fd) -> Value<'a>) -> Value<'a> {
    view.file().map_or(Value::Absent, |fd| field(fd))
}

/// Whether an address is the host's own as a thread sees it: the loopback of a container is not the host's.
fn is_local(view: &EventView, ip: IpAddr) -> bool {
    let contained = view.thread().is_some_and(Thread::in_container);
    !(contained && ip.is_loopback()) && view.state.interfaces.is_local(ip)
}

/// One end of a connection, or the address of a server; none without a role.
pub(super) fn end(view: &EventView, fd: &Fd, side: Side) -> Option<Endpoint> {
    match fd.socket {
        Socket::Pair(source, destination) if fd.role != Role::None => {
            let source_is_local = is_local(view, source.ip);
            let source_wanted = match side {
                Side::Client => true,
                Side::Server => false,
                Side::Local => source_is_local,
                Side::Remote => !source_is_local,
            };
            Some(if source_wanted { source } else { destination })
        }
        Socket::Server(end) if side == Side::Server => Some(end),
        _ => None,
    }
}

pub(crate) fn is_server(view: &EventView, fd: &Fd) -> bool {
    match fd.socket {
        Socket::Server(_) => true,
        Socket::Pair(_, destination) => is_local(view, destination.ip),
        _ => false,
    }
}

pub(super) fn ip<'a>(view: &EventView<'a>, side: Side) -> Value<'a> {
    of(view, |fd| {
        end(view, fd, side).map_or(Value::Absent, |end| Value::Ip(end.ip))
    })
}

pub(super) fn port<'a>(view: &EventView<'a>, side: Side) -> Value<'a> {
    of(view, |fd| {
        end(view, fd, side).map_or(Value::Absent, |end| Value::Uint(u64::from(end.port)))
    })
}

/// A port as text: `fd.cproto` and its kin, as ports have no names here.
pub(super) fn port_text<'a>(view: &EventView<'a>, side: Side) -> Value<'a> {
    of(view, |fd| {
        end(view, fd, side).map_or(Value::Absent, |end| Value::Owned(end.port.to_string().into_bytes()))
    })
}

/// `fd.uid`: a number for a thread's descriptor, digits of both.
pub(super) fn uid<'a>(view: &EventView<'a>) -> Value<'a> {
    match (view.thread(), view.seen.fd) {
        (Some(thread), Some(fd)) => Value::Owned(format!("{}{fd}", thread.tid).into_bytes()),
        _ => Value::Absent,
    }
}

/// A text of the descriptor behind its container: `host:/etc/passwd`.
pub(super) fn in_container<'a>(view: &EventView<'a>, text: Value<'a>) -> Value<'a> {
    match (super::container::id(view).bytes(), text.bytes()) {
        (Some(container), Some(text)) => Value::Owned([container, b":", text].concat()),
        _ => Value::Absent,
    }
}

pub(super) fn ips<'a>(view: &EventView<'a>) -> Value<'a> {
    of(view, |fd| match fd.socket {
        Socket::Pair(source, destination) => Value::Ips(source.ip, destination.ip),
        Socket::Server(end) => Value::Ip(end.ip),
        _ => Value::Absent,
    })
}

pub(super) fn ports<'a>(view: &EventView<'a>) -> Value<'a> {
    of(view, |fd| match fd.socket {
        Socket::Pair(source, destination) => Value::Ports(source.port, destination.port),
        Socket::Server(end) => Value::Uint(u64::from(end.port)),
        _ => Value::Absent,
    })
}

pub(super) fn family<'a>(view: &EventView<'a>) -> Value<'a> {
    of(view, |fd| match fd.kind {
        FdKind::Unix => Value::Text(b"unix"),
        _ if fd.is_ip() => Value::Text(b"ip"),
        _ => Value::Absent,
    })
}

/// `fd.typechar`; of an unknown descriptor, what such an event works on.
pub(super) fn typechar<'a>(view: &EventView<'a>) -> Value<'a> {
    if view.seen.fd.is_none() || view.seen.thread.is_none() {
        return Value::Absent;
    }
    let letter = view
        .file()
        .map_or_else(|| letter(view.event.kind()), |fd| fd.kind.names().1);
    Value::Text(std::slice::from_ref(&LETTERS[usize::from(letter)]))
}

/// Every byte as itself, to borrow it as a text.
static LETTERS: [u8; 256] = {
    let mut letters = [0; 256];
    let mut at = 0;
    while at < 256 {
        letters[at] = at as u8;
        at += 1;
    }
    letters
};

/// Letter of what an event with an unknown descriptor works on.
pub(crate) fn letter(kind: EventKind) -> u8 {
    use EventKind as K;
    match kind {
        K::Open | K::Openat | K::Openat2 | K::Creat | K::OpenByHandleAt => b'f',
        K::Socket | K::Accept | K::Accept4 => b'4',
        K::Pipe | K::Pipe2 => b'p',
        K::Eventfd | K::Eventfd2 => b'e',
        K::Signalfd | K::Signalfd4 => b's',
        K::TimerfdCreate => b't',
        K::InotifyInit | K::InotifyInit1 => b'i',
        K::EpollCreate | K::EpollCreate1 => b'l',
        K::Socketpair => b'u',
        K::Bpf => b'b',
        K::IoUringSetup => b'r',
        K::Userfaultfd => b'u',
        K::MemfdCreate => b'm',
        K::PidfdOpen => b'P',
        _ => b'o',
    }
}

/// `fd.name`; of an unknown descriptor, what the event's parameters say.
pub(super) fn name<'a>(view: &EventView<'a>) -> Value<'a> {
    if view.seen.fd.is_none() || view.seen.thread.is_none() {
        return Value::Absent;
    }
    match view.file() {
        Some(fd) => Value::Text(&fd.name),
        None => Value::Owned(unknown_name(view)),
    }
}

pub(crate) fn unknown_name(view: &EventView) -> Vec<u8> {
    use EventKind as K;
    let mut out = Vec::new();
    let slot = view.seen.thread;
    match view.event.kind() {
        K::Open | K::Creat | K::Accept | K::Accept4 | K::Connect => {
            render::arg(&view.event, 1, view, &mut out);
        }
        K::Openat | K::Openat2 => {
            if let (Some(slot), Some(text)) = (slot, view.event.text(2)) {
                paths::join(view.state.directory(slot, view.event.int(1)), text, &mut out);
            }
        }
        K::OpenByHandleAt => out.extend_from_slice(view.event.text(3).unwrap_or_default()),
        _ => {}
    }
    out
}

/// `fd.nameraw`; of a failed open, the path that it was given.
pub(super) fn name_raw<'a>(view: &EventView<'a>) -> Value<'a> {
    if view.seen.fd.is_none() || view.seen.thread.is_none() {
        return Value::Absent;
    }
    match view.file() {
        Some(fd) if !has_doubled_slash(&fd.raw) => Value::Text(&fd.raw),
        Some(fd) => Value::Owned(raw(&fd.raw)),
        None => unknown_raw(view).map_or(Value::Absent, Value::Owned),
    }
}

fn has_doubled_slash(path: &[u8]) -> bool {
    path.windows(2).any(|pair| pair == b"//")
}

/// The path that an open was given which made no descriptor.
pub(crate) fn unknown_raw(view: &EventView) -> Option<Vec<u8>> {
    use EventKind as K;
    let path = match view.event.kind() {
        K::Open | K::Creat => 1,
        K::Openat | K::Openat2 => 2,
        _ => return None,
    };
    view.event.text(path).filter(|path| !path.is_empty()).map(raw)
}

pub(super) fn directory<'a>(view: &EventView<'a>) -> Value<'a> {
    if view.seen.fd.is_none() || view.seen.thread.is_none() {
        return Value::Absent;
    }
    match view.file() {
        Some(fd) => match fd.kind {
            FdKind::File | FdKind::FileV2 => Value::Text(parent(&fd.name)),
            FdKind::Directory => Value::Text(&fd.name),
            _ => Value::Absent,
        },
        None => Value::Owned(parent(&unknown_name(view)).to_vec()),
    }
}

fn parent(name: &[u8]) -> &[u8] {
    match memchr::memrchr(b'/', name) {
        None | Some(0) => b"/",
        Some(_) if name.ends_with(b"/") => name,
        Some(at) => &name[..at],
    }
}

pub(super) fn filename<'a>(view: &EventView<'a>) -> Value<'a> {
    of(view, |fd| match fd.kind {
        FdKind::File | FdKind::FileV2 if *fd.name == b"/"[..] => Value::Text(b"/"),
        FdKind::File | FdKind::FileV2 => {
            Value::Text(memchr::memrchr(b'/', &fd.name).map_or(&b"/"[..], |at| &fd.name[at + 1..]))
        }
        _ => Value::Absent,
    })
}

/// A path as it was given, without doubled slashes.
pub(crate) fn raw(path: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(path.len());
    for byte in path {
        if *byte != b'/' || out.last() != Some(&b'/') {
            out.push(*byte);
        }
    }
    out
}

/// `3:f1 4:p40`: each descriptor of poll's list, the letter of its type, its flags.
pub(super) fn poll_list(view: &EventView, question: Question, out: &mut Vec<u8>) -> bool {
    let Question::Fds(bytes) = question else { return false };
    let Some(entries) = super::fdlist::entries(bytes) else {
        return false;
    };
    for (index, (number, flags)) in entries.enumerate() {
        let letter = view
            .seen
            .thread
            .and_then(|slot| view.state.threads.fd(slot, number))
            .map_or(b'?', |fd| fd.kind.names().1);
        let blank = if index > 0 { " " } else { "" };
        let _ = write!(out, "{blank}{}:{}{flags:x}", number as u64, letter as char);
    }
    true
}

/// All addresses of a descriptor's sides, for the enriched event.
pub(crate) fn pair(view: &EventView, fd: &Fd, side: Side) -> Option<(IpAddr, u16)> {
    end(view, fd, side).map(|end| (end.ip, end.port))
}
