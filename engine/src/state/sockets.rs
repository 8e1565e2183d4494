//! Sockets: their addresses, and who is the client.

use super::fds::{Fd, FdKind, Protocol, Role, Socket};
use super::text::Text;
use super::threads::Slot;
use super::{Seen, State};
use crate::address::{self, Endpoint, SockAddr, SockTuple};
use crate::event::Event;
use crate::generated::events::EventKind;

const EINPROGRESS: i64 = -115;
const SOCK_STREAM: u64 = 1;
const SOCK_DGRAM: u64 = 2;
const SOCK_RAW: u64 = 3;
const SOCK_CLOEXEC: u64 = 0o2_000_000;

/// Transport of a new IP socket.
fn protocol(kind: u64, number: u64) -> Protocol {
    match (kind & 0xf, number) {
        (SOCK_RAW, _) | (_, 255) => Protocol::Raw,
        (_, 6) | (SOCK_STREAM, 0) => Protocol::Tcp,
        (_, 17) | (SOCK_DGRAM, 0) => Protocol::Udp,
        (_, 1) => Protocol::Icmp,
        _ => Protocol::Unknown,
    }
}

pub(super) fn ip_kind(end: Endpoint, server: bool) -> FdKind {
    match (end.ip.is_ipv4(), server) {
        (true, false) => FdKind::Ipv4,
        (true, true) => FdKind::Ipv4Server,
        (false, false) => FdKind::Ipv6,
        (false, true) => FdKind::Ipv6Server,
    }
}

impl State {
    pub(super) fn socket(&mut self, event: &Event, slot: Slot, seen: &mut Seen) {
        let Some(number) = event.int(0).filter(|fd| *fd >= 0) else {
            return;
        };
        let kind = match event.uint(1) {
            Some(1) => FdKind::Unix,
            Some(2) => FdKind::Ipv4,
            Some(10) => FdKind::Ipv6,
            Some(16) => FdKind::Netlink,
            _ => FdKind::Unknown,
        };
        let mut fd = Fd {
            kind,
            cloexec: event.uint(4).unwrap_or(0) & super::files::O_CLOEXEC != 0,
            ..Fd::default()
        };
        if fd.is_ip() {
            fd.protocol = protocol(event.uint(2).unwrap_or(0), event.uint(3).unwrap_or(0));
        }
        self.add_fd(slot, number, fd, seen);
    }

    pub(super) fn bound(&mut self, event: &Event, slot: Slot, seen: &mut Seen) {
        if event.int(0).is_none_or(|result| result < 0) {
            return;
        }
        let Some(number) = event.int(2) else { return };
        let addr = event.param(1).and_then(SockAddr::parse);
        match addr {
            Some(SockAddr::Ip(end)) if end.port > 0 => {
                let Some(fd) = self.fd_mut(slot, number).filter(|fd| fd.is_ip()) else {
                    return;
                };
                let mut name = Vec::new();
                end.write(&mut name);
                let end = end.unmapped();
                fd.kind = ip_kind(end, true);
                fd.socket = Socket::Server(end);
                fd.role = Role::Server;
                seen.name_changed = *fd.name != name[..];
                fd.name = Text::from(&name[..]);
            }
            Some(SockAddr::Unix(path)) => {
                if let Some(fd) = self.fd_mut(slot, number).filter(|fd| fd.kind == FdKind::Unix) {
                    seen.name_changed = *fd.name != *path;
                    fd.name = Text::from(path);
                }
            }
            _ => {}
        }
    }

    pub(super) fn connected(&mut self, event: &Event, slot: Slot, seen: &mut Seen) {
        if !event.int(0).is_some_and(|result| result >= 0 || result == EINPROGRESS) {
            return;
        }
        let Some(number) = event.int(2) else { return };
        let tuple = event.param(1).and_then(SockTuple::parse);
        let addr = event.param(3).and_then(SockAddr::parse);
        let (source, destination) = match (tuple, addr) {
            (
                Some(SockTuple::Unix {
                    source,
                    destination,
                    path,
                }),
                _,
            ) => {
                if let Some(fd) = self.fd_mut(slot, number).filter(|fd| fd.kind == FdKind::Unix) {
                    fd.socket = Socket::Unix { source, destination };
                    fd.connected = true;
                    fd.role = if fd.role == Role::None { Role::Client } else { fd.role };
                    let mut name = Vec::new();
                    address::write_unix(source, destination, path, &mut name);
                    fd.name = Text::from(&name[..]);
                    seen.name_changed = true;
                }
                return;
            }
            (Some(SockTuple::Ip(source, exit)), Some(SockAddr::Ip(enter))) => {
                (source, if enter == exit { exit } else { enter })
            }
            (Some(SockTuple::Ip(source, exit)), _) => (source, exit),
            (_, Some(SockAddr::Ip(enter))) => {
                let nowhere = if enter.ip.is_ipv4() {
                    [0; 4].into()
                } else {
                    [0; 16].into()
                };
                (Endpoint { ip: nowhere, port: 0 }, enter)
            }
            _ => return,
        };
        let (source, destination) = address::unmapped(source, destination);
        let Some(fd) = self.fd_mut(slot, number).filter(|fd| fd.is_ip()) else {
            return;
        };
        let server = fd.role == Role::Server && fd.protocol == Protocol::Udp;
        fd.kind = ip_kind(destination, false);
        fd.socket = if server {
            Socket::Pair(destination, source)
        } else {
            Socket::Pair(source, destination)
        };
        fd.connected = true;
        if fd.role == Role::None {
            fd.role = Role::Client;
        }
        let before = fd.name.clone();
        fd.rename();
        seen.name_changed = before != fd.name;
    }

    pub(super) fn accepted(&mut self, event: &Event, slot: Slot, seen: &mut Seen) {
        let Some(number) = event.int(0).filter(|fd| *fd >= 0) else {
            return;
        };
        let mut fd = Fd {
            role: Role::Server,
            connected: true,
            ..Fd::default()
        };
        match event.param(1).and_then(SockTuple::parse) {
            Some(SockTuple::Ip(source, destination)) => {
                let (source, destination) = address::unmapped(source, destination);
                fd.kind = ip_kind(destination, false);
                fd.protocol = Protocol::Tcp;
                fd.socket = Socket::Pair(source, destination);
                fd.rename();
            }
            Some(SockTuple::Unix {
                source,
                destination,
                path,
            }) => {
                fd.kind = FdKind::Unix;
                fd.socket = Socket::Unix { source, destination };
                let mut name = Vec::new();
                address::write_unix(source, destination, path, &mut name);
                fd.name = Text::from(&name[..]);
            }
            _ => return self.forget_fd(slot, number),
        }
        if event.kind() == EventKind::Accept4 {
            fd.cloexec = event.uint(5).unwrap_or(0) & SOCK_CLOEXEC != 0;
        }
        self.add_fd(slot, number, fd, seen);
    }

    /// A transfer over a socket: its tuple may tell more than is known.
    pub(super) fn transferred(&mut self, event: &Event, slot: Slot, param: usize, receives: bool, seen: &mut Seen) {
        if event.int(0).is_none_or(|result| result < 0) {
            return;
        }
        let Some(number) = seen.fd.filter(|fd| *fd >= 0) else {
            return;
        };
        let tuple = event
            .param(param)
            .filter(|bytes| !bytes.is_empty())
            .and_then(SockTuple::parse);
        let Some(fd) = self.threads.fd(slot, number) else {
            if let (Some(SockTuple::Ip(source, destination)), false) = (tuple, receives) {
                let (source, destination) = address::unmapped(source, destination);
                let fd = Fd {
                    kind: ip_kind(destination, false),
                    protocol: Protocol::Udp,
                    connected: true,
                    ..Fd::default()
                };
                self.add_fd(slot, number, fd, seen);
                self.addressed(slot, number, source, destination, receives, seen);
            }
            return;
        };
        if fd.is_ip()
            && !fd.connected
            && !fd.is_server_socket()
            && let Some(fd) = self.fd_mut(slot, number)
        {
            fd.connected = true;
        }
        let Some(fd) = self.threads.fd(slot, number) else {
            return;
        };
        if !fd.name.is_empty() && fd.protocol == Protocol::Tcp {
            return;
        }
        match tuple {
            Some(SockTuple::Ip(source, destination)) if fd.is_ip() => {
                let (source, destination) = address::unmapped(source, destination);
                self.addressed(slot, number, source, destination, receives, seen);
            }
            Some(SockTuple::Unix {
                source,
                destination,
                path,
            }) if fd.kind == FdKind::Unix => {
                let mut name = Vec::new();
                address::write_unix(source, destination, path, &mut name);
                if *fd.name != *name
                    && let Some(fd) = self.fd_mut(slot, number)
                {
                    fd.socket = Socket::Unix { source, destination };
                    fd.name = Text::from(&name[..]);
                    seen.name_changed = true;
                }
            }
            _ => {}
        }
    }

    /// Ends of an IP socket as a transfer tells them.
    fn addressed(
        &mut self,
        slot: Slot,
        number: i64,
        mut source: Endpoint,
        mut destination: Endpoint,
        receives: bool,
        seen: &mut Seen,
    ) {
        let Some(fd) = self.threads.fd(slot, number) else {
            return;
        };
        if let Socket::Pair(first, second) = fd.socket {
            let same = |a: Endpoint, b: Endpoint| a.port == b.port && (a.ip == b.ip || b.is_unspecified());
            if (same(first, source) && same(second, destination)) || (same(second, source) && same(first, destination))
            {
                return;
            }
        }
        if source.is_unspecified() {
            source.ip = self.interfaces.towards(destination.ip).unwrap_or(source.ip);
        } else if destination.is_unspecified() {
            destination.ip = self.interfaces.towards(source.ip).unwrap_or(destination.ip);
        }
        // Of a socket that never said: whom it hears first it serves. Of IPv6 Falco takes every such socket for a client.
        let role = match fd.role {
            Role::None if receives && destination.ip.is_ipv4() => Role::Server,
            Role::None => Role::Client,
            known => known,
        };
        let Some(fd) = self.fd_mut(slot, number) else { return };
        if fd.protocol == Protocol::Unknown {
            fd.protocol = Protocol::Udp;
        }
        fd.role = role;
        if (receives && role == Role::Client) || (!receives && role == Role::Server) {
            std::mem::swap(&mut source, &mut destination);
        }
        fd.kind = ip_kind(destination, false);
        fd.socket = Socket::Pair(source, destination);
        let before = fd.name.clone();
        fd.rename();
        seen.name_changed = before != fd.name;
    }
}
