//! Descriptors that come and go: open, close, dup, pipe and everything that is not a socket.

use std::sync::Arc;

use super::fds::{Fd, FdKind, Protocol, Socket, Table};
use super::paths;
use super::text::Text;
use super::threads::Slot;
use super::{Seen, State};
use crate::event::Event;
use crate::generated::events::EventKind;

pub(super) const O_DIRECTORY: u64 = 1024;
pub(super) const O_CLOEXEC: u64 = 4096;
const FD_UPPER_LAYER: u64 = 32768;
const FD_LOWER_LAYER: u64 = 65536;
const FIONCLEX: u64 = 0x5450;
const FIOCLEX: u64 = 0x5451;
const F_DUPFD: u64 = 1;
const F_SETFD: u64 = 3;
const F_DUPFD_CLOEXEC: u64 = 26;
const CLOSE_RANGE_CLOEXEC: u64 = 4;
const EBADF: i64 = -9;
const SOL_SOCKET: u32 = 1;
const SCM_RIGHTS: u32 = 1;

impl State {
    /// Put a descriptor into the table of a thread's process: it is what the event is about from now on.
    pub(super) fn add_fd(&mut self, slot: Slot, number: i64, mut fd: Fd, seen: &mut Seen) {
        if number < 0 {
            return;
        }
        let Some(owner) = self.threads.fd_owner(slot) else {
            return;
        };
        fd.version = self.threads.fresh_version();
        seen.fd = Some(number);
        let limit = self.limits.fds;
        self.counters.evicted_fds += self.fds_mut(owner).insert(number, Arc::new(fd), limit) as u64;
    }

    /// The table of a thread, for itself from now on if it was shared.
    pub(super) fn fds_mut(&mut self, owner: Slot) -> &mut Table {
        self.threads[owner].fds.own(&mut self.growth.since)
    }

    /// A descriptor of a thread's process, to be changed: it gets a new version.
    pub(super) fn fd_mut(&mut self, slot: Slot, number: i64) -> Option<&mut Fd> {
        let owner = self.threads.fd_owner(slot)?;
        self.threads[owner].fds.get(number)?;
        let version = self.threads.fresh_version();
        let fd = self.fds_mut(owner).get_mut(number)?;
        fd.version = version;
        Some(fd)
    }

    pub(super) fn opened(&mut self, event: &Event, slot: Slot, seen: &mut Seen) {
        use EventKind as K;
        let Some(number) = event.int(0).filter(|fd| *fd >= 0) else {
            return;
        };
        // Parameters: directory, name, flags, device and inode.
        let (dirfd, name, flags, dev) = match event.kind() {
            K::Open => (None, 1, 2, 4),
            K::Creat => (None, 1, 5, 3),
            K::Openat => (Some(1), 2, 3, 5),
            K::Openat2 => (Some(1), 2, 3, 6),
            _ => (None, 3, 2, 4),
        };
        let raw = event.text(name).unwrap_or_default();
        let flags = event.uint(flags).unwrap_or(0);
        let layers = if event.kind() == K::Creat { flags << 15 } else { flags };
        let name = if paths::is_normal(raw) {
            Text::from(raw)
        } else {
            let mut joined = std::mem::take(&mut self.scratch);
            let base = if event.kind() == K::OpenByHandleAt {
                b"/"
            } else {
                self.directory(slot, dirfd.and_then(|param| event.int(param)))
            };
            paths::join(base, raw, &mut joined);
            let name = Text::from(&joined[..]);
            self.scratch = joined;
            name
        };
        let directory = event.kind() != K::Creat && flags & O_DIRECTORY != 0;
        let fd = Fd {
            kind: if directory { FdKind::Directory } else { FdKind::File },
            raw: name.or_new(raw),
            name,
            cloexec: event.kind() != K::Creat && flags & O_CLOEXEC != 0,
            upper: layers & FD_UPPER_LAYER != 0,
            lower: layers & FD_LOWER_LAYER != 0,
            dev: event.uint(dev).unwrap_or(0) as u32,
            ino: event.uint(dev + 1).unwrap_or(0),
            ..Fd::default()
        };
        self.add_fd(slot, number, fd, seen);
    }

    pub(super) fn closed(&mut self, event: &Event, slot: Slot) {
        let result = event.int(0).unwrap_or(EBADF);
        // Whatever else close returns, the number is free: a file that could not be flushed is closed all the same.
        if result == EBADF || (result < 0 && event.kind() == EventKind::CloseRange) {
            return;
        }
        if event.kind() == EventKind::Close {
            if let Some(fd) = event.int(1) {
                self.closing = Some((event.tid(), fd));
            }
            return;
        }
        let bound = |param| event.uint(param).map_or(0, |number| number.min(i64::MAX as u64) as i64);
        let range = bound(1)..=bound(2);
        let Some(owner) = self.threads.fd_owner(slot) else {
            return;
        };
        let fds = &self.threads[owner].fds;
        if !fds.any(|number, _| range.contains(&number)) {
            return;
        }
        let fds = self.fds_mut(owner);
        if event.uint(3).unwrap_or(0) & CLOSE_RANGE_CLOEXEC != 0 {
            fds.change(range, |fd| fd.cloexec = true);
        } else {
            fds.retain(|number, _| !range.contains(&number));
        }
    }

    /// dup and its kin, fcntl.
    pub(super) fn duplicated(&mut self, event: &Event, slot: Slot, seen: &mut Seen) {
        let Some(new) = event.int(0).filter(|fd| *fd >= 0) else {
            return;
        };
        let Some(old) = event.int(1) else { return };
        // dup2 of a number to itself leaves all as it is.
        if new == old && event.kind() != EventKind::Fcntl {
            return;
        }
        let cloexec = match event.kind() {
            EventKind::Dup3 => event.uint(3).unwrap_or(0) & O_CLOEXEC != 0,
            EventKind::Fcntl => match event.uint(2) {
                Some(F_DUPFD) => false,
                Some(F_DUPFD_CLOEXEC) => true,
                Some(F_SETFD) => {
                    return self.set_cloexec(slot, old, event.uint(3).unwrap_or(0) & 1 != 0);
                }
                _ => return,
            },
            _ => false,
        };
        let Some(fd) = self.threads.fd(slot, old) else {
            return self.forget_fd(slot, new);
        };
        let fd = Fd {
            cloexec,
            ..Fd::clone(fd)
        };
        self.add_fd(slot, new, fd, seen);
    }

    /// ioctl, which sets the flag of a descriptor as fcntl does.
    pub(super) fn flagged(&mut self, event: &Event, slot: Slot) {
        let cloexec = match event.uint(2) {
            Some(FIOCLEX) => true,
            Some(FIONCLEX) => false,
            _ => return,
        };
        if let (Some(0), Some(number)) = (event.int(0), event.int(1)) {
            self.set_cloexec(slot, number, cloexec);
        }
    }

    fn set_cloexec(&mut self, slot: Slot, number: i64, cloexec: bool) {
        if self.threads.fd(slot, number).is_some_and(|fd| fd.cloexec != cloexec)
            && let Some(fd) = self.fd_mut(slot, number)
        {
            fd.cloexec = cloexec;
        }
    }

    /// pipe, pipe2, socketpair.
    pub(super) fn paired(&mut self, event: &Event, slot: Slot, seen: &mut Seen) {
        if event.int(0).is_none_or(|result| result < 0) {
            return;
        }
        let fd = if event.kind() == EventKind::Socketpair {
            let mut fd = Fd {
                kind: FdKind::Unix,
                protocol: Protocol::NotApplicable,
                socket: Socket::Unix {
                    source: event.uint(3).unwrap_or(0),
                    destination: event.uint(4).unwrap_or(0),
                },
                ..Fd::default()
            };
            fd.cloexec = event.uint(6).unwrap_or(0) & 0o2_000_000 != 0;
            fd
        } else {
            Fd {
                kind: FdKind::Pipe,
                ino: event.uint(3).unwrap_or(0),
                cloexec: event.kind() == EventKind::Pipe2 && event.uint(4).unwrap_or(0) & O_CLOEXEC != 0,
                ..Fd::default()
            }
        };
        for param in [1, 2] {
            self.add_fd(slot, event.int(param).unwrap_or(-1), fd.clone(), seen);
        }
    }

    /// Descriptors of anonymous things.
    pub(super) fn made(&mut self, event: &Event, slot: Slot, seen: &mut Seen) {
        use EventKind as K;
        let Some(number) = event.int(0).filter(|fd| *fd >= 0) else {
            return;
        };
        let mut fd = Fd::default();
        let flagged = |param| event.uint(param).unwrap_or(0) & O_CLOEXEC != 0;
        match event.kind() {
            K::Eventfd => fd.kind = FdKind::Event,
            K::Eventfd2 => (fd.kind, fd.cloexec) = (FdKind::Event, flagged(1)),
            K::Signalfd => fd.kind = FdKind::Signalfd,
            K::Signalfd4 => (fd.kind, fd.cloexec) = (FdKind::Signalfd, flagged(1)),
            K::TimerfdCreate => (fd.kind, fd.cloexec) = (FdKind::Timerfd, event.uint(2).unwrap_or(0) & 1 != 0),
            K::InotifyInit => fd.kind = FdKind::Inotify,
            K::InotifyInit1 => (fd.kind, fd.cloexec) = (FdKind::Inotify, flagged(1)),
            K::EpollCreate => fd.kind = FdKind::Eventpoll,
            K::EpollCreate1 => (fd.kind, fd.cloexec) = (FdKind::Eventpoll, event.uint(1).unwrap_or(0) != 0),
            K::Bpf => (fd.kind, fd.cloexec) = (FdKind::Bpf, true),
            K::Userfaultfd => (fd.kind, fd.cloexec) = (FdKind::Userfaultfd, flagged(1)),
            K::IoUringSetup => (fd.kind, fd.cloexec) = (FdKind::IoUring, true),
            K::MemfdCreate => {
                fd.kind = FdKind::Memfd;
                fd.cloexec = event.uint(2).unwrap_or(0) & 1 != 0;
                fd.name = Text::from(event.text(1).unwrap_or_default());
            }
            K::PidfdOpen => {
                fd.kind = FdKind::Pidfd;
                fd.cloexec = true;
                fd.name = Text::from(format!("/proc/{}", event.int(1).unwrap_or(-1)).as_bytes());
            }
            _ => return,
        }
        // bpf returns a descriptor for some of its commands only; the others return small numbers, mostly 0.
        if event.kind() == K::Bpf && !makes_fd(event.uint(1).unwrap_or(0)) {
            return;
        }
        self.add_fd(slot, number, fd, seen);
    }

    /// pidfd_getfd: a copy of another process's descriptor.
    pub(super) fn fetched(&mut self, event: &Event, slot: Slot, seen: &mut Seen) {
        let Some(number) = event.int(0).filter(|fd| *fd >= 0) else {
            return;
        };
        let target = event.int(1).and_then(|pidfd| {
            let name = self.threads.fd(slot, pidfd)?.name.strip_prefix(b"/proc/")?.to_vec();
            self.threads.find(std::str::from_utf8(&name).ok()?.parse().ok()?)
        });
        let fd = target
            .and_then(|target| self.threads.fd(target, event.int(2)?))
            .map(|fd| Fd {
                cloexec: true,
                ..Fd::clone(fd)
            });
        match fd {
            Some(fd) => self.add_fd(slot, number, fd, seen),
            None => self.forget_fd(slot, number),
        }
    }

    /// recvmsg, recvmmsg: descriptors that came with the message. What they are its event does not tell, but what their numbers
    /// were before they are no longer.
    pub(super) fn handed(&mut self, event: &Event, slot: Slot, param: usize) {
        let control = event.param(param).unwrap_or_default();
        if control.is_empty() || event.int(0).is_none_or(|result| result < 0) {
            return;
        }
        for number in handed_fds(control) {
            self.forget_fd(slot, number);
        }
    }

    /// A number means something else now, and nobody knows what.
    pub(super) fn forget_fd(&mut self, slot: Slot, number: i64) {
        let Some(owner) = self.threads.fd_owner(slot) else {
            return;
        };
        if self.threads[owner].fds.get(number).is_some() {
            self.threads[owner].fds.own(&mut self.growth.since).remove(number);
        }
    }
}

/// The descriptors in control messages, as the kernel lays them out: length, level, type, data, aligned to 8 bytes.
fn handed_fds(mut control: &[u8]) -> impl Iterator<Item = i64> {
    std::iter::from_fn(move || {
        let (length, rest) = control.split_first_chunk::<8>()?;
        let (level, rest) = rest.split_first_chunk::<4>()?;
        let (kind, _) = rest.split_first_chunk::<4>()?;
        let length = usize::try_from(u64::from_le_bytes(*length))
            .ok()
            .filter(|length| *length >= 16)?;
        // The copy in the event may be cut.
        let data = &control[16..length.min(control.len())];
        let rights = u32::from_le_bytes(*level) == SOL_SOCKET && u32::from_le_bytes(*kind) == SCM_RIGHTS;
        control = control.get(length.checked_next_multiple_of(8)?..).unwrap_or_default();
        Some(if rights { data } else { &[] })
    })
    .flat_map(|data| data.as_chunks::<4>().0)
    .map(|fd| i64::from(i32::from_le_bytes(*fd)))
}

/// Whether a command of bpf returns a descriptor.
fn makes_fd(command: u64) -> bool {
    // MAP_CREATE, PROG_LOAD, OBJ_GET, *_GET_FD_BY_ID, RAW_TRACEPOINT_OPEN, BTF_LOAD, LINK_CREATE, ENABLE_STATS, ITER_CREATE.
    matches!(command, 0 | 5 | 7 | 13 | 14 | 17 | 18 | 19 | 28 | 30 | 32 | 33)
}
