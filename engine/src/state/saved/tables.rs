//! Threads, descriptors, users, interfaces and facts of processes: every field of each.

use std::hash::Hash;
use std::sync::Arc;

use hashbrown::HashMap;

use super::Error;
use super::wire::{Reader, Saved, Writer, saved};
use crate::address::Endpoint;
use crate::facts::{Ancestor, Container, Mount, Port, Process};
use crate::state::Counters;
use crate::state::fds::{Fd, FdKind, Protocol, Role, Socket, Table};
use crate::state::interfaces::{Interface4, Interfaces};
use crate::state::lifecycle::Exits;
use crate::state::limits::{Growth, Kept};
use crate::state::memory::Memory;
use crate::state::metadata::Containers;
use crate::state::threads::{Group, Thread};
use crate::state::users::{User, Users};

saved!(Thread {
    tid, pid, ptid, vtid, vpid, sid, pgid, vpgid, reaper,
    comm, exe, exepath, args, env, cwd, root, cgroups, container,
    uid, gid, loginuid, tty, flags, exe_flags,
    cap_inheritable, cap_permitted, cap_effective,
    exe_ino, exe_ctime, exe_mtime, ctime_to_clone, ctime_to_pidns,
    fdlimit, clone_ts, pidns_start, dead, program, used, member_at,
    fds, children, children_room, since, facts, told_in, told_at,
    memory since 2, told since 2, guessed_until since 2,
} versions { version, facts_version });

saved!(Group { members, alive, reaper });

saved!(Fd {
    kind, protocol, role, connected, cloexec, upper, lower, socket, dev, ino, name, raw,
} versions { version });

saved!(Table { map });

saved!(Endpoint { ip, port });

saved!(Process {
    id,
    since,
    pid,
    ppid,
    vpid,
    sid,
    pgid,
    vpgid,
    name,
    exe,
    exepath,
    args,
    cwd,
    sname,
    tty,
    uid,
    user,
    gid,
    group,
    loginuid,
    login,
    container_id,
    cap_effective,
    cap_permitted,
    cap_inheritable,
    exe_flags,
    exe_ino,
    exe_ctime,
    exe_mtime,
    exe_ctime_to_start,
    started,
    ancestors,
    guessed since 2,
});

saved!(Ancestor {
    pid,
    name,
    exe,
    exepath,
    cmdline,
    started
});

saved!(Memory {
    size,
    resident,
    swapped,
    major_faults,
    minor_faults
});

saved!(User { name, home, shell });

saved!(Users { users, groups });

saved!(Containers {
    known,
    fresh,
    unreadable
});

saved!(Container {
    id,
    since,
    full_id,
    engine,
    name,
    image,
    image_id,
    repository,
    tag,
    digest,
    user,
    ip,
    cni_json,
    sandbox_id,
    in_pod,
    pod_ip,
    pod_cni_json,
    privileged,
    host_pid,
    host_network,
    host_ipc,
    is_sandbox,
    created,
    labels,
    sandbox_labels,
    mounts,
    ports,
});

saved!(Mount {
    source,
    destination,
    mode,
    writable,
    propagation
});

saved!(Port {
    host_ip,
    host_port,
    port
});

impl Saved for Arc<Container> {
    fn save(&self, out: &mut Writer) {
        Container::save(self, out);
    }

    fn load(input: &mut Reader) -> Result<Arc<Container>, Error> {
        Container::load(input).map(Arc::new)
    }
}

saved!(Interface4 { addr, netmask });

saved!(Interfaces { v4, v6 });

impl Saved for Growth {
    fn save(&self, out: &mut Writer) {
        let Growth { since, room } = self;
        since.save(out);
        room.save(out);
    }

    fn load(input: &mut Reader) -> Result<Growth, Error> {
        Ok(Growth {
            since: input.count()?,
            room: input.number()?,
        })
    }
}

impl Saved for Counters {
    fn save(&self, out: &mut Writer) {
        let Counters {
            unknown_threads,
            evicted_threads,
            evicted_fds,
            shrunk,
            reused_threads,
        } = self;
        for count in [unknown_threads, evicted_threads, evicted_fds, shrunk, reused_threads] {
            count.save(out);
        }
    }

    fn load(input: &mut Reader) -> Result<Counters, Error> {
        Ok(Counters {
            unknown_threads: input.count()?,
            evicted_threads: input.count()?,
            evicted_fds: input.count()?,
            shrunk: input.count()?,
            reused_threads: input.count()?,
        })
    }
}

impl Saved for FdKind {
    fn save(&self, out: &mut Writer) {
        out.number(*self as u64);
    }

    fn load(input: &mut Reader) -> Result<FdKind, Error> {
        let number = input.number()?;
        let kind = FdKind::from_number(number);
        let kind = if number == FdKind::FileV2 as u64 {
            FdKind::FileV2
        } else {
            kind
        };
        if kind as u64 == number {
            Ok(kind)
        } else {
            Err(Error::Invalid("a descriptor of no known kind"))
        }
    }
}

impl Saved for Protocol {
    fn save(&self, out: &mut Writer) {
        out.number(match self {
            Protocol::Unknown => 0,
            Protocol::NotApplicable => 1,
            Protocol::Tcp => 2,
            Protocol::Udp => 3,
            Protocol::Icmp => 4,
            Protocol::Raw => 5,
        });
    }

    fn load(input: &mut Reader) -> Result<Protocol, Error> {
        match input.number()? {
            number @ 0..=5 => Ok(Protocol::from_number(number)),
            _ => Err(Error::Invalid("an unknown protocol")),
        }
    }
}

impl Saved for Role {
    fn save(&self, out: &mut Writer) {
        out.number(match self {
            Role::None => 0,
            Role::Client => 1,
            Role::Server => 2,
        });
    }

    fn load(input: &mut Reader) -> Result<Role, Error> {
        match input.number()? {
            0 => Ok(Role::None),
            1 => Ok(Role::Client),
            2 => Ok(Role::Server),
            _ => Err(Error::Invalid("an unknown role")),
        }
    }
}

impl Saved for Socket {
    fn save(&self, out: &mut Writer) {
        match self {
            Socket::None => out.number(0),
            Socket::Pair(source, destination) => {
                out.number(1);
                source.save(out);
                destination.save(out);
            }
            Socket::Server(end) => {
                out.number(2);
                end.save(out);
            }
            Socket::Unix { source, destination } => {
                out.number(3);
                source.save(out);
                destination.save(out);
            }
        }
    }

    fn load(input: &mut Reader) -> Result<Socket, Error> {
        Ok(match input.number()? {
            0 => Socket::None,
            1 => Socket::Pair(Saved::load(input)?, Saved::load(input)?),
            2 => Socket::Server(Saved::load(input)?),
            3 => Socket::Unix {
                source: Saved::load(input)?,
                destination: Saved::load(input)?,
            },
            _ => return Err(Error::Invalid("an unknown socket")),
        })
    }
}

impl Saved for Exits {
    fn save(&self, out: &mut Writer) {
        let Exits { order, last, forgotten } = self;
        forgotten.save(out);
        out.number(order.len() as u64);
        for exit in order {
            exit.save(out);
        }
        last.save(out);
    }

    fn load(input: &mut Reader) -> Result<Exits, Error> {
        let forgotten = input.count()?;
        let order = (0..input.length()?)
            .map(|_| Saved::load(input))
            .collect::<Result<_, _>>()?;
        let last = Saved::load(input)?;
        Ok(Exits { order, last, forgotten })
    }
}

/// In the order in which the values were told.
impl<K: Saved + Hash + Eq, V: Saved> Saved for Kept<K, V> {
    fn save(&self, out: &mut Writer) {
        let Kept { map, told, evicted } = self;
        told.save(out);
        evicted.save(out);
        out.number(map.len() as u64);
        let mut rows: Vec<_> = map.iter().collect();
        rows.sort_unstable_by_key(|(_, (told, _))| *told);
        for (key, (told, value)) in rows {
            key.save(out);
            told.save(out);
            value.save(out);
        }
    }

    fn load(input: &mut Reader) -> Result<Kept<K, V>, Error> {
        let (told, evicted) = (input.count()?, input.count()?);
        let mut map = HashMap::new();
        for _ in 0..input.length()? {
            let (key, value) = (K::load(input)?, Saved::load(input)?);
            if map.insert(key, value).is_some() {
                return Err(Error::Invalid("a key twice"));
            }
        }
        Ok(Kept { map, told, evicted })
    }
}
