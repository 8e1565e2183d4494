//! Descriptors: what one is, and the table of a process.

use std::sync::Arc;

use super::hash::IntMap;
use super::text::Text;
use crate::address::{self, Endpoint};

/// What a descriptor refers to; the numbers are those of capture files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum FdKind {
    #[default]
    Unknown = 0,
    File = 1,
    Directory = 2,
    Ipv4 = 3,
    Ipv6 = 4,
    Ipv4Server = 5,
    Ipv6Server = 6,
    Pipe = 7,
    Unix = 8,
    Event = 9,
    Unsupported = 10,
    Signalfd = 11,
    Eventpoll = 12,
    Inotify = 13,
    Timerfd = 14,
    Netlink = 15,
    FileV2 = 16,
    Bpf = 17,
    Userfaultfd = 18,
    IoUring = 19,
    Memfd = 20,
    Pidfd = 21,
}

impl FdKind {
    pub fn from_number(number: u64) -> FdKind {
        use FdKind as K;
        const KINDS: [FdKind; 22] = [
            K::Unknown,
            K::File,
            K::Directory,
            K::Ipv4,
            K::Ipv6,
            K::Ipv4Server,
            K::Ipv6Server,
            K::Pipe,
            K::Unix,
            K::Event,
            K::Unsupported,
            K::Signalfd,
            K::Eventpoll,
            K::Inotify,
            K::Timerfd,
            K::Netlink,
            K::File,
            K::Bpf,
            K::Userfaultfd,
            K::IoUring,
            K::Memfd,
            K::Pidfd,
        ];
        usize::try_from(number)
            .ok()
            .and_then(|row| KINDS.get(row))
            .copied()
            .unwrap_or_default()
    }

    /// `fd.type` and `fd.typechar`.
    pub fn names(self) -> (&'static str, u8) {
        match self {
            FdKind::Unknown => ("<NA>", b'o'),
            FdKind::File | FdKind::FileV2 => ("file", b'f'),
            FdKind::Directory => ("directory", b'd'),
            FdKind::Ipv4 | FdKind::Ipv4Server => ("ipv4", b'4'),
            FdKind::Ipv6 | FdKind::Ipv6Server => ("ipv6", b'6'),
            FdKind::Pipe => ("pipe", b'p'),
            FdKind::Unix => ("unix", b'u'),
            FdKind::Event => ("event", b'e'),
            FdKind::Unsupported => ("<NA>", b'X'),
            FdKind::Signalfd => ("signalfd", b's'),
            FdKind::Eventpoll => ("eventpoll", b'l'),
            FdKind::Inotify => ("inotify", b'i'),
            FdKind::Timerfd => ("timerfd", b't'),
            FdKind::Netlink => ("netlink", b'n'),
            FdKind::Bpf => ("bpf", b'b'),
            FdKind::Userfaultfd => ("userfaultfd", b'u'),
            FdKind::IoUring => ("io_uring", b'r'),
            FdKind::Memfd => ("memfd", b'm'),
            FdKind::Pidfd => ("pidfd", b'P'),
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    #[default]
    Unknown,
    NotApplicable,
    Tcp,
    Udp,
    Icmp,
    Raw,
}

impl Protocol {
    /// The number that capture files use.
    pub fn from_number(number: u64) -> Protocol {
        match number {
            1 => Protocol::NotApplicable,
            2 => Protocol::Tcp,
            3 => Protocol::Udp,
            4 => Protocol::Icmp,
            5 => Protocol::Raw,
            _ => Protocol::Unknown,
        }
    }

    pub fn name(self) -> Option<&'static str> {
        match self {
            Protocol::Tcp => Some("tcp"),
            Protocol::Udp => Some("udp"),
            Protocol::Icmp => Some("icmp"),
            Protocol::Raw => Some("raw"),
            Protocol::Unknown | Protocol::NotApplicable => None,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    #[default]
    None,
    Client,
    Server,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Socket {
    #[default]
    None,
    /// Source (client) and destination (server).
    Pair(Endpoint, Endpoint),
    Server(Endpoint),
    Unix {
        source: u64,
        destination: u64,
    },
}

/// An open descriptor. `version` is another number whenever anything else in it is another.
#[derive(Clone, Debug, Default)]
pub struct Fd {
    pub kind: FdKind,
    pub protocol: Protocol,
    pub role: Role,
    pub connected: bool,
    pub cloexec: bool,
    pub upper: bool,
    pub lower: bool,
    pub socket: Socket,
    pub dev: u32,
    pub ino: u64,
    pub name: Text,
    pub raw: Text,
    pub version: u64,
}

impl Fd {
    pub fn is_ip(&self) -> bool {
        matches!(
            self.kind,
            FdKind::Ipv4 | FdKind::Ipv6 | FdKind::Ipv4Server | FdKind::Ipv6Server
        )
    }

    pub fn is_server_socket(&self) -> bool {
        matches!(self.kind, FdKind::Ipv4Server | FdKind::Ipv6Server)
    }

    /// `fd.l4proto`: known with the role, of raw sockets always.
    pub fn l4proto(&self) -> Option<&'static str> {
        let known = self.is_ip() && (self.role != Role::None || self.protocol == Protocol::Raw);
        if known { self.protocol.name() } else { None }
    }

    /// Name the socket after its addresses.
    pub fn rename(&mut self) {
        let mut out = Vec::new();
        match self.socket {
            Socket::None => {}
            Socket::Pair(source, destination) => {
                source.write(&mut out);
                out.extend_from_slice(b"->");
                destination.write(&mut out);
            }
            Socket::Server(end) => end.write(&mut out),
            Socket::Unix { source, destination } => address::write_unix(source, destination, b"", &mut out),
        }
        self.name = Text::from(&out[..]);
    }
}

/// The descriptors of a process; a fork shares them until one side changes one.
#[derive(Clone, Debug, Default)]
pub struct Fds(pub(super) Arc<Table>);

impl Fds {
    /// The table, to be changed. If others share it, it is copied first, and the bytes of the copy are added to `grown`.
    pub fn own(&mut self, grown: &mut u64) -> &mut Table {
        if Arc::strong_count(&self.0) > 1 {
            *grown += (self.len() * COPIED) as u64;
        }
        Arc::make_mut(&mut self.0)
    }

    /// Where the table is in memory: the same for all who share it.
    pub fn address(&self) -> u64 {
        Arc::as_ptr(&self.0).addr() as u64
    }

    /// How many share the table.
    pub fn holders(&self) -> usize {
        Arc::strong_count(&self.0)
    }
}

impl From<Table> for Fds {
    fn from(table: Table) -> Fds {
        Fds(Arc::new(table))
    }
}

impl std::ops::Deref for Fds {
    type Target = Table;

    fn deref(&self) -> &Table {
        &self.0
    }
}

/// Bytes of a row of a table, spare room included.
const COPIED: usize = 32;

#[derive(Clone, Debug, Default)]
pub struct Table {
    pub(super) map: IntMap<i64, Arc<Fd>>,
}

impl Table {
    pub fn get(&self, number: i64) -> Option<&Arc<Fd>> {
        self.map.get(&number)
    }

    pub fn len(&self) -> usize {
        self.map.len()
    }

    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    /// Enter a descriptor; if there are `limit` others, some of these go: how many.
    pub fn insert(&mut self, number: i64, fd: Arc<Fd>, limit: usize) -> usize {
        let mut gone = 0;
        if self.map.len() >= limit && !self.map.contains_key(&number) {
            gone = self.evict(self.map.len() - limit + super::limits::share(limit));
        }
        self.map.insert(number, fd);
        gone
    }

    /// Take out so many: what is no socket before sockets, standard streams last, of these the longest unchanged.
    fn evict(&mut self, count: usize) -> usize {
        let worth = |number: i64, fd: &Fd| {
            let socket = fd.socket != Socket::None;
            (number <= 2, socket, fd.version, number)
        };
        let mut order: Vec<_> = self.map.iter().map(|(number, fd)| worth(*number, fd)).collect();
        let before = order.len();
        if count < before {
            let first_kept = *order.select_nth_unstable(count).1;
            self.map.retain(|number, fd| worth(*number, fd) >= first_kept);
        } else {
            self.map.clear();
        }
        before - self.map.len()
    }

    pub fn iter(&self) -> impl Iterator<Item = (i64, &Arc<Fd>)> {
        self.map.iter().map(|(number, fd)| (*number, fd))
    }

    pub fn remove(&mut self, number: i64) -> bool {
        self.map.remove(&number).is_some()
    }

    pub fn get_mut(&mut self, number: i64) -> Option<&mut Fd> {
        self.map.get_mut(&number).map(Arc::make_mut)
    }

    pub fn any(&self, mut test: impl FnMut(i64, &Fd) -> bool) -> bool {
        self.map.iter().any(|(number, fd)| test(*number, fd))
    }

    pub fn retain(&mut self, mut keep: impl FnMut(i64, &Fd) -> bool) {
        self.map.retain(|number, fd| keep(*number, fd));
    }

    /// Change every descriptor of a range of numbers.
    pub fn change(&mut self, range: std::ops::RangeInclusive<i64>, mut change: impl FnMut(&mut Fd)) {
        for (_, fd) in self.map.iter_mut().filter(|(number, _)| range.contains(number)) {
            change(Arc::make_mut(fd));
        }
    }
}
