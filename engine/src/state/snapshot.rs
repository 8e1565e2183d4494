//! What a host tells about itself: threads, descriptors, interfaces, users.

use super::fds::{Fd, FdKind, Protocol, Role, Socket};
use super::memory::Memory;
use super::sockets::ip_kind;
use super::text::Text;
use super::threads::{CLONE_FILES, Slot, Thread};
use super::users::{self, User};
use super::{Seen, State};
use crate::address::{self, SockAddr, SockTuple};
use crate::event::Event;
use crate::generated::events::EventKind;

/// Ports, by container, at which something listens.
const MOST_LISTENING: usize = 1 << 16;

impl State {
    /// An event that no system call made.
    pub(super) fn tell(&mut self, event: &Event) {
        use EventKind as K;
        let text = |param| event.text(param).unwrap_or_default();
        let id = |param| event.uint(param).unwrap_or(0) as u32;
        match event.kind() {
            K::ThreadSnapshot => return self.told_thread(event),
            K::FdSnapshot => return self.told_fd(event),
            K::ThreadGuessed => return self.told_guess(event),
            K::InterfaceSnapshot => {
                self.interfaces
                    .add(event.param(1).unwrap_or_default(), event.param(2).unwrap_or_default());
            }
            K::Useradded => {
                let user = User {
                    name: Text::from(text(2)),
                    home: Text::from(text(3)),
                    shell: Text::from(text(4)),
                };
                self.users.add_user(text(5), id(0), user, self.limits.users);
            }
            K::Userdeleted => self.users.remove_user(text(5), id(0)),
            K::Groupadded => self
                .users
                .add_group(text(2), id(0), Text::from(text(1)), self.limits.users),
            K::Groupdeleted => self.users.remove_group(text(2), id(0)),
            // No fact of a process hangs on these: nothing is touched.
            K::Container => {
                return self
                    .containers
                    .tell(event.param(0).unwrap_or_default(), event.ts(), self.limits.containers);
            }
            K::Asyncevent => match text(1) {
                b"container" => {
                    return self.containers.tell(
                        event.param(2).unwrap_or_default(),
                        event.ts(),
                        self.limits.containers,
                    );
                }
                b"container_removed" => return self.containers.remove(event.param(2).unwrap_or_default()),
                _ => return,
            },
            _ => return,
        }
        self.threads.touch_all();
    }

    fn told_thread(&mut self, event: &Event) {
        let number = |param| event.int(param).unwrap_or(-1);
        let text = |param| Text::from(event.text(param).unwrap_or_default());
        let list = |param| Text::from(event.param(param).unwrap_or_default());
        let word = |param| event.uint(param).unwrap_or(0) as u32;
        let wide = |param| event.uint(param).unwrap_or(0);
        let tid = event.tid();
        if tid < 0 {
            return;
        }
        let cgroups = list(14);
        let container = self.container_of(&cgroups);
        let mut cwd = event.text(12).unwrap_or_default().to_vec();
        if !cwd.is_empty() && cwd.last() != Some(&b'/') {
            cwd.push(b'/');
        }
        let mut thread = Thread {
            tid,
            pid: number(0),
            ptid: number(1),
            sid: number(2),
            pgid: number(3),
            vpgid: number(4),
            vtid: number(5),
            vpid: number(6),
            comm: text(7),
            exe: text(8),
            exepath: text(9),
            args: list(10),
            env: list(11),
            cwd: Text::from(&cwd[..]),
            root: text(13),
            cgroups,
            container,
            fdlimit: number(15),
            uid: event.uint(16).map_or(u32::MAX, |id| id as u32),
            gid: event.uint(17).map_or(u32::MAX, |id| id as u32),
            loginuid: event.uint(18).map_or(u32::MAX, |id| id as u32),
            tty: word(19),
            flags: word(20),
            exe_flags: word(21),
            cap_inheritable: wide(22),
            cap_permitted: wide(23),
            cap_effective: wide(24),
            exe_ino: wide(25),
            exe_ctime: wide(26),
            exe_mtime: wide(27),
            clone_ts: wide(28),
            pidns_start: wide(29),
            told: event.ts(),
            memory: Memory::default().sizes(event, 30).faults(event, 33),
            // The lists of a capture have no time, and nothing comes before them.
            guessed_until: event.ts(),
            program: true,
            ..Thread::default()
        };
        if thread.tid != thread.pid {
            thread.flags |= CLONE_FILES;
        }
        if let Some(old) = self.threads.find(tid) {
            // The same process told again: what is known of its children stays. Its descriptors are told anew, but for
            // those of a capture, which may tell them apart.
            let old = &mut self.threads[old];
            if old.pid == thread.pid && event.ts() == 0 {
                thread.fds = std::mem::take(&mut old.fds);
            }
            thread.children = std::mem::take(&mut old.children);
        }
        let slot = self.threads.insert(thread);
        if event.ts() != 0 {
            self.told_alone(slot);
        }
        self.threads.touch_all();
    }

    /// A live host tells a process by its first thread, and those that it has follow: what it had before is gone, whoever
    /// saw it go.
    fn told_alone(&mut self, slot: Slot) {
        let (tid, pid) = (self.threads[slot].tid, self.threads[slot].pid);
        if tid != pid {
            return;
        }
        let members = self.threads.group(pid).map(|group| group.members.clone());
        for other in members.unwrap_or_default().into_iter().filter(|member| *member != tid) {
            self.remove_for(other, Some(slot));
        }
    }

    /// Nobody can say any more what this thread, or its process, is.
    fn told_guess(&mut self, event: &Event) {
        let Some(slot) = self.thread_of(event.tid()) else {
            return;
        };
        let group = self.threads.group(self.threads[slot].pid);
        let members = match group {
            Some(group) if event.uint(0) == Some(1) => group.members.clone(),
            _ => vec![event.tid()],
        };
        for slot in members
            .into_iter()
            .filter_map(|tid| self.threads.find(tid))
            .collect::<Vec<_>>()
        {
            if std::mem::replace(&mut self.threads[slot].guessed_until, u64::MAX) == 0 {
                self.threads.touch(slot);
            }
        }
    }

    fn told_fd(&mut self, event: &Event) {
        let Some(slot) = self.threads.find(event.tid()) else {
            return;
        };
        if self.threads[slot].told < event.ts() {
            self.threads.told_at(slot, event.ts());
        }
        let mut fd = Fd {
            kind: FdKind::from_number(event.uint(1).unwrap_or(0)),
            protocol: Protocol::from_number(event.uint(6).unwrap_or(0)),
            name: Text::from(event.text(2).unwrap_or_default()),
            dev: event.uint(4).unwrap_or(0) as u32,
            ino: event.uint(5).unwrap_or(0),
            ..Fd::default()
        };
        let flags = event.uint(3).unwrap_or(0);
        fd.cloexec = flags & super::files::O_CLOEXEC != 0;
        fd.raw = fd.name.clone();
        let tuple = event.param(7).and_then(SockTuple::parse);
        let addr = event.param(8).and_then(SockAddr::parse);
        match (tuple, addr) {
            (Some(SockTuple::Ip(source, destination)), _) => {
                let (source, destination) = address::unmapped(source, destination);
                fd.kind = ip_kind(destination, false);
                fd.socket = Socket::Pair(source, destination);
                fd.connected = fd.protocol == Protocol::Tcp;
                fd.role = Role::Client;
                let scope = users::scope_of(&self.threads[slot].container);
                if fd.connected && self.listening.get(&users::Key(scope, source.port.into())).is_some() {
                    fd.socket = Socket::Pair(destination, source);
                    fd.role = Role::Server;
                }
                fd.rename();
            }
            (
                Some(SockTuple::Unix {
                    source,
                    destination,
                    path,
                }),
                _,
            ) => {
                fd.socket = Socket::Unix { source, destination };
                fd.role = if path.is_empty() && fd.name.is_empty() {
                    Role::Client
                } else {
                    Role::Server
                };
                if fd.name.is_empty() {
                    fd.name = Text::from(path);
                }
            }
            (_, Some(SockAddr::Ip(end))) => {
                // As bind has it: the name is the address as it is.
                fd.socket = Socket::Server(end);
                fd.rename();
                fd.kind = ip_kind(end.unmapped(), true);
                fd.socket = Socket::Server(end.unmapped());
                fd.role = Role::Server;
            }
            _ => {}
        }
        let listening = match fd.socket {
            Socket::Server(end) if fd.protocol == Protocol::Tcp => Some(end.port),
            _ => None,
        };
        self.add_fd(slot, event.int(0).unwrap_or(-1), fd, &mut Seen::default());
        if let Some(port) = listening {
            let scope = Text::from(users::scope_of(&self.threads[slot].container));
            self.listening
                .insert((scope, port.into()), (), MOST_LISTENING, |id| u8::from(id.0.is_empty()));
            self.turn_connections(slot, port);
        }
    }

    /// Connections told before the socket that accepted them: they are the server's.
    fn turn_connections(&mut self, slot: Slot, port: u16) {
        let Some(owner) = self.threads.fd_owner(slot) else {
            return;
        };
        let accepted =
            |fd: &Fd| matches!(fd.socket, Socket::Pair(source, _) if fd.role == Role::Client && source.port == port);
        let numbers: Vec<i64> = self.threads[owner]
            .fds
            .iter()
            .filter(|(_, fd)| accepted(fd))
            .map(|(number, _)| number)
            .collect();
        for number in numbers {
            if let Some(fd) = self.fd_mut(slot, number)
                && let Socket::Pair(source, destination) = fd.socket
            {
                fd.socket = Socket::Pair(destination, source);
                fd.role = Role::Server;
                fd.rename();
            }
        }
    }
}
