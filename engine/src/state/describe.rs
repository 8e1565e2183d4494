//! What is known of one thread, as JSON: for whoever asks, never per event.

use serde_json::{Map, Value, json};

use super::State;
use super::fds::{Fd, Role, Socket};
use super::text::items;
use crate::address::Endpoint;

fn text(bytes: &[u8]) -> Value {
    String::from_utf8_lossy(bytes).into()
}

fn texts(list: &[u8]) -> Value {
    items(list).map(text).collect()
}

fn end(end: Endpoint) -> Value {
    json!([end.ip.to_string(), end.port])
}

fn describe(fd: &Fd) -> Value {
    let mut facts = json!({
        "type": fd.kind.names().0, "name": text(&fd.name), "cloexec": fd.cloexec, "dev": fd.dev, "ino": fd.ino,
    });
    let role = match fd.role {
        Role::None => Value::Null,
        Role::Client => "client".into(),
        Role::Server => "server".into(),
    };
    let ends = match fd.socket {
        Socket::None if !fd.is_ip() => return facts,
        Socket::None => (Value::Null, Value::Null),
        Socket::Pair(source, destination) => (end(source), end(destination)),
        Socket::Server(own) => (Value::Null, end(own)),
        Socket::Unix { source, destination } => (source.into(), destination.into()),
    };
    facts["l4proto"] = fd.protocol.name().into();
    facts["role"] = role;
    facts["connected"] = fd.connected.into();
    (facts["source"], facts["destination"]) = ends;
    facts
}

impl State {
    /// The thread with this number.
    pub fn describe(&self, tid: i64) -> Option<Value> {
        let slot = self.threads.find(tid)?;
        let thread = &self.threads[slot];
        let group = self.threads.group(thread.pid);
        let mut threads = group.map(|group| group.members.clone()).unwrap_or_default();
        threads.sort_unstable();
        let mut children: Vec<i64> = self
            .threads
            .children(slot)
            .map(|child| self.threads[child].tid)
            .collect();
        children.sort_unstable();
        children.dedup();
        let mut fds: Vec<_> = match self.threads.fd_owner(slot) {
            Some(owner) => self.threads[owner].fds.iter().collect(),
            None => Vec::new(),
        };
        fds.sort_unstable_by_key(|(number, _)| *number);
        let fds: Map<String, Value> = fds
            .into_iter()
            .map(|(number, fd)| (number.to_string(), describe(fd)))
            .collect();
        Some(json!({
            "tid": thread.tid, "pid": thread.pid, "ptid": thread.ptid, "vtid": thread.vtid, "vpid": thread.vpid,
            "sid": thread.sid, "pgid": thread.pgid, "vpgid": thread.vpgid,
            "comm": text(&thread.comm), "exe": text(&thread.exe), "exepath": text(&thread.exepath),
            "args": texts(&thread.args), "cwd": text(self.cwd(slot)), "root": text(&thread.root),
            "cgroups": texts(&thread.cgroups), "container": text(&thread.container),
            "uid": i64::from(thread.uid as i32), "gid": i64::from(thread.gid as i32),
            "loginuid": i64::from(thread.loginuid as i32), "tty": thread.tty, "fdlimit": thread.fdlimit,
            "flags": thread.flags, "cap_inheritable": thread.cap_inheritable,
            "cap_permitted": thread.cap_permitted, "cap_effective": thread.cap_effective,
            "clone_ts": thread.clone_ts, "dead": thread.dead,
            "reaper": group.is_some_and(|group| group.reaper),
            "threads": threads, "children": children, "fds": fds,
        }))
    }
}
