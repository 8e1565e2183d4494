//! The state of one host: threads, descriptors, users, interfaces, as its events change them.
//!
//! [`State::apply`] takes one event and says what it was about; fields (`crate::fields`) then read the state. Everything is
//! bounded, whatever the events claim: tables have limits with counters, chains of parents are cut.

mod capabilities;
pub mod containers;
pub mod describe;
pub mod fds;
mod files;
pub mod hash;
mod identity;
pub mod interfaces;
mod lifecycle;
pub mod limits;
pub mod memory;
pub mod metadata;
pub mod paths;
pub mod saved;
mod snapshot;
mod sockets;
pub mod text;
pub mod threads;
pub mod users;

use std::sync::Arc;

use crate::event::Event;
use crate::generated::events::EventKind;
use crate::table;
use fds::Fd;
use interfaces::Interfaces;
use lifecycle::Exits;
pub use limits::Limits;
use limits::{Growth, Kept};
use metadata::Containers;
use text::Text;
use threads::{Slot, Thread, Threads};
use users::{Id, Users};

/// What limits and holes have cost so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Threads that nobody had announced.
    pub unknown_threads: u64,
    /// Threads and descriptors that went because there were too many.
    pub evicted_threads: u64,
    pub evicted_fds: u64,
    /// Times that the state took too many bytes.
    pub shrunk: u64,
    /// Threads whose number came again before their exit was seen.
    pub reused_threads: u64,
}

/// What an event was about.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub thread: Option<Slot>,
    /// Number of the descriptor, -1: none. Only of events that have to do with descriptors.
    pub fd: Option<i64>,
    pub file: Option<Arc<Fd>>,
    /// This event gave the descriptor another name; then also a number for just this event's view of it.
    pub name_changed: bool,
    pub fd_version: u64,
}

#[derive(Debug, Default)]
pub struct State {
    pub threads: Threads,
    pub users: Users,
    pub interfaces: Interfaces,
    pub containers: Containers,
    pub limits: Limits,
    pub counters: Counters,
    /// Work that waits for the next event, so that an exit still sees its thread and a close its descriptor.
    exiting: Option<i64>,
    closing: Option<(i64, i64)>,
    exits: Exits,
    /// Ports at which the host said that something listens, by container. Who accepted a connection need not listen himself.
    listening: Kept<Id, ()>,
    growth: Growth,
    /// Control groups of the last thread looked up, and its container.
    last_container: (Text, Text),
    scratch: Vec<u8>,
    /// Times of the event before the one at hand (0: there was none) and of this one.
    pub times: (u64, u64),
}

const FD_EVENT: u8 = table::CREATES_FD | table::USES_FD | table::DESTROYS_FD;

impl State {
    pub fn new(limits: Limits) -> State {
        State {
            limits,
            threads: Threads::of_another_host(limits.orphans),
            growth: Growth {
                since: 0,
                room: limits.bytes,
            },
            ..State::default()
        }
    }

    /// Forget the host: a capture begins anew.
    pub fn clear(&mut self) {
        self.threads.clear();
        self.interfaces.clear();
        self.containers = Containers::default();
        self.users = Users::default();
        self.exits = Exits::default();
        self.listening = Kept::default();
        self.growth = Growth {
            since: 0,
            room: self.limits.bytes,
        };
        (self.exiting, self.closing) = (None, None);
        self.times = (0, 0);
    }

    /// Let one event, the `number`-th, change the state.
    pub fn apply(&mut self, event: &Event, number: u64) -> Seen {
        self.threads.now = (number, event.ts());
        self.finish();
        self.make_room(event);
        let kind = event.kind();
        let info = kind.info();
        if !kind.is_kernel() {
            self.tell(event);
            return Seen::default();
        }
        self.times = (self.times.1, event.ts());
        let mut seen = Seen::default();
        if info.flags & FD_EVENT != 0 {
            seen.fd = Some(
                info.fd
                    .and_then(|param| event.int(param))
                    .filter(|fd| *fd >= 0 || *fd == -100)
                    .unwrap_or(-1),
            );
        }
        seen.thread = match kind {
            EventKind::Clone | EventKind::Fork | EventKind::Vfork | EventKind::Clone3 => self.cloned(event),
            EventKind::Switch | EventKind::Procexit => self.threads.find(event.tid()),
            _ => self.thread_of(event.tid()),
        };
        if let Some(slot) = seen.thread {
            self.threads[slot].used = event.ts();
            // What was told after this event is certain for those that follow.
            let guessed = self.threads[slot].guessed_until;
            if guessed != 0 && guessed < event.ts() {
                self.threads[slot].guessed_until = 0;
                self.threads.touch(slot);
            }
            let thread = &self.threads[slot];
            // It was there when the host began to tell of it, and nothing else would take it away.
            let exits = kind == EventKind::Procexit && thread.clone_ts != 0 && thread.clone_ts <= event.ts();
            if event.ts() < thread.told && !exits && !self.reaches_another(event, slot) {
                // What the host told of this thread later holds: an older event could only take it back.
                if info.flags & table::CREATES_FD != 0 && seen.fd == Some(-1) {
                    seen.fd = event.int(0).filter(|fd| *fd >= 0).or(Some(-1));
                }
            } else if info.flags & table::MODIFIES_STATE != 0
                || !matches!(info.category, table::Category::IoRead | table::Category::IoWrite)
            {
                self.dispatch(event, slot, &mut seen);
            } else if matches!(kind, EventKind::Send | EventKind::Recv) {
                self.transferred(event, slot, 4, kind == EventKind::Recv, &mut seen);
            }
            self.threads.refresh(slot);
            if let Some(fd) = seen.fd.filter(|fd| *fd >= 0) {
                seen.file = self.threads.fd(slot, fd).cloned();
            }
            if let Some(file) = &seen.file {
                let version = if seen.name_changed {
                    self.threads.fresh_version()
                } else {
                    file.version
                };
                // A container sees other addresses as its own.
                seen.fd_version = version | u64::from(self.threads[slot].in_container()) << 63;
            }
        }
        seen
    }

    /// Do what the event before left for later.
    fn finish(&mut self) {
        if let Some(tid) = self.exiting.take() {
            self.remove(tid);
        }
        if let Some((tid, fd)) = self.closing.take()
            && let Some(slot) = self.threads.find(tid)
            && let Some(owner) = self.threads.fd_owner(slot)
        {
            self.fds_mut(owner).remove(fd);
        }
    }

    pub fn forgotten_exits(&self) -> u64 {
        self.exits.forgotten
    }

    /// The thread with this number, a placeholder if nobody announced it.
    fn thread_of(&mut self, tid: i64) -> Option<Slot> {
        if let Some(slot) = self.threads.find(tid) {
            return Some(slot);
        }
        if tid < 0 {
            return None;
        }
        self.counters.unknown_threads += 1;
        let unknown = Text::from(&b"<NA>"[..]);
        let thread = Thread {
            tid,
            comm: unknown.clone(),
            exe: unknown,
            container: Text::from(containers::HOST),
            guessed_until: u64::MAX,
            ..Thread::default()
        };
        let slot = self.threads.insert(thread);
        self.threads.touch_all();
        Some(slot)
    }

    /// Container of a thread with these control groups.
    fn container_of(&mut self, cgroups: &Text) -> Text {
        if self.last_container.0 != *cgroups {
            let id = self.last_container.1.or_new(containers::id_of(cgroups));
            self.last_container = (cgroups.clone(), id);
        } else if self.last_container.1.is_empty() {
            self.last_container.1 = Text::from(containers::HOST);
        }
        self.last_container.1.clone()
    }

    /// Directory that the relative paths of a thread start from.
    pub fn cwd(&self, slot: Slot) -> &[u8] {
        self.threads.main(slot).map_or(b"./", |main| &self.threads[main].cwd)
    }

    /// Name of the directory behind a descriptor, or the current one.
    pub fn directory(&self, slot: Slot, dirfd: Option<i64>) -> &[u8] {
        match dirfd {
            None | Some(-100) => self.cwd(slot),
            Some(fd) if fd < 0 => b"",
            Some(fd) => self.threads.fd(slot, fd).map_or(b"<UNKNOWN>", |fd| &fd.name),
        }
    }

    fn dispatch(&mut self, event: &Event, slot: Slot, seen: &mut Seen) {
        use EventKind as K;
        match event.kind() {
            K::Open | K::Openat | K::Openat2 | K::Creat | K::OpenByHandleAt => self.opened(event, slot, seen),
            K::Close | K::CloseRange => self.closed(event, slot),
            K::Dup | K::Dup2 | K::Dup3 | K::Fcntl => self.duplicated(event, slot, seen),
            K::Pipe | K::Pipe2 | K::Socketpair => self.paired(event, slot, seen),
            K::Eventfd
            | K::Eventfd2
            | K::Signalfd
            | K::Signalfd4
            | K::TimerfdCreate
            | K::InotifyInit
            | K::InotifyInit1 => {
                self.made(event, slot, seen);
            }
            K::EpollCreate
            | K::EpollCreate1
            | K::Bpf
            | K::Userfaultfd
            | K::IoUringSetup
            | K::MemfdCreate
            | K::PidfdOpen => {
                self.made(event, slot, seen);
            }
            K::Ioctl => self.flagged(event, slot),
            K::PidfdGetfd => self.fetched(event, slot, seen),
            K::Socket => self.socket(event, slot, seen),
            K::Bind => self.bound(event, slot, seen),
            K::Connect => self.connected(event, slot, seen),
            K::Accept | K::Accept4 => self.accepted(event, slot, seen),
            K::Sendto | K::Sendmsg | K::Sendmmsg => self.transferred(event, slot, 4, false, seen),
            K::Recvfrom => self.transferred(event, slot, 2, true, seen),
            K::Recvmsg => {
                self.transferred(event, slot, 3, true, seen);
                self.handed(event, slot, 4);
            }
            K::Recvmmsg => {
                self.transferred(event, slot, 4, true, seen);
                self.handed(event, slot, 5);
            }
            K::Execve | K::Execveat => self.executed(event, slot),
            K::Procexit => self.exited(event, slot),
            K::Setuid | K::Setgid | K::Setresuid | K::Setresgid | K::Setreuid | K::Setregid => {
                self.identified(event, slot)
            }
            K::Chdir | K::Fchdir | K::Getcwd | K::Chroot => self.moved(event, slot),
            K::Setsid | K::Setpgid => self.grouped(event, slot),
            K::Prctl | K::Capset | K::Unshare | K::Setns => self.changed(event, slot),
            K::Getrlimit | K::Setrlimit | K::Prlimit => self.limited(event, slot),
            K::Brk | K::Mmap | K::Mmap2 | K::Munmap | K::Switch => self.measured(event, slot),
            _ => {}
        }
    }
}

#[cfg(test)]
#[path = "tests.rs"]
pub(crate) mod tests;
#[cfg(test)]
pub(crate) mod tests_acts;
#[cfg(test)]
pub(crate) mod tests_events;
#[cfg(test)]
mod tests_files;
#[cfg(test)]
mod tests_kernel;
#[cfg(test)]
mod tests_process;
