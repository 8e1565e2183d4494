//! How threads come, become other programs, and go: clone and its kin, exec, exit.

use std::collections::VecDeque;

use super::State;
use super::hash::IntMap;
use super::memory::Memory;
use super::paths;
use super::text::Text;
use super::threads::{
    CHILD_IN_PIDNS, CLONE_FILES, CLONE_INVERTED, CLONE_NEWPID, CLONE_PARENT, CLONE_THREAD, Slot, Thread,
};
use crate::event::Event;
use crate::generated::events::EventKind;

/// A clone's child and its parent tell of the same event at most this far apart.
const STALE_NS: u64 = 2_000_000_000;

/// Threads that exited lately: a parent's report of a clone may come after the child's exit.
#[derive(Debug, Default)]
pub(super) struct Exits {
    /// In the order of their exits.
    pub order: VecDeque<(i64, u64)>,
    /// The last exit of each.
    pub last: IntMap<i64, u64>,
    /// Exits forgotten although late reports could still come.
    pub forgotten: u64,
}

impl Exits {
    fn add(&mut self, tid: i64, ts: u64, limit: usize) {
        while let Some((tid, exit)) = self.order.front().copied() {
            let late = ts.saturating_sub(exit) >= STALE_NS;
            if !late && self.order.len() < limit {
                break;
            }
            self.forgotten += u64::from(!late);
            self.order.pop_front();
            if self.last.get(&tid) == Some(&exit) {
                self.last.remove(&tid);
            }
        }
        self.order.push_back((tid, ts));
        self.last.insert(tid, ts);
    }

    fn lately(&self, tid: i64, ts: u64) -> bool {
        self.last
            .get(&tid)
            .is_some_and(|exit| ts.saturating_sub(*exit) < STALE_NS)
    }

    pub fn bytes(&self) -> u64 {
        48 * self.order.len() as u64
    }
}

/// What the parameters of a clone event say.
struct Cloned<'a> {
    exe: &'a [u8],
    args: &'a [u8],
    pid: i64,
    ptid: i64,
    cwd: &'a [u8],
    fdlimit: i64,
    comm: &'a [u8],
    cgroups: &'a [u8],
    flags: u32,
    uid: u32,
    gid: u32,
    vtid: i64,
    vpid: i64,
    pidns_start: u64,
    memory: Memory,
}

impl<'a> Cloned<'a> {
    fn of(event: &Event<'a>) -> Cloned<'a> {
        let number = |param| event.int(param).unwrap_or(-1);
        let word = |param| event.uint(param).map_or(u32::MAX, |value| value as u32);
        Cloned {
            exe: event.text(1).unwrap_or_default(),
            args: event.param(2).unwrap_or_default(),
            pid: number(4),
            ptid: number(5),
            cwd: event.text(6).unwrap_or_default(),
            fdlimit: number(7),
            comm: event.text(13).unwrap_or_default(),
            cgroups: event.param(14).unwrap_or_default(),
            flags: event.uint(15).unwrap_or(0) as u32,
            uid: word(16),
            gid: word(17),
            vtid: event.int(18).unwrap_or_else(|| event.tid()),
            vpid: number(19),
            pidns_start: event.uint(20).unwrap_or(0),
            memory: Memory::default().sizes(event, 10).faults(event, 8),
        }
    }
}

impl State {
    /// A clone, from its caller's or its child's side; the thread of the event.
    pub(super) fn cloned(&mut self, event: &Event) -> Option<Slot> {
        match event.int(0) {
            Some(0) => self.cloned_child(event),
            Some(child) if child > 0 => self.cloned_caller(event, child),
            _ => self.threads.find(event.tid()),
        }
    }

    fn cloned_caller(&mut self, event: &Event, child: i64) -> Option<Slot> {
        let told = Cloned::of(event);
        let caller = self.thread_of(event.tid())?;
        let unknown = self.threads[caller].is_invalid();
        if unknown {
            let thread = &mut self.threads[caller];
            (thread.pid, thread.ptid, thread.vtid, thread.vpid) = (told.pid, told.ptid, told.vtid, told.vpid);
            self.related(caller);
        }
        let known = self.threads.find(child);
        let elsewhere = told.flags & (CHILD_IN_PIDNS | CLONE_NEWPID | CLONE_PARENT) != 0 || event.tid() != told.vtid;
        if elsewhere || event.kind() == EventKind::Vfork {
            return Some(caller);
        }
        if let Some(slot) = known {
            if event.ts() < self.threads[slot].told {
                return Some(caller);
            }
            if self.threads[slot].flags & CLONE_INVERTED != 0 {
                self.threads[slot].flags &= !CLONE_INVERTED;
                return Some(caller);
            }
            self.counters.reused_threads += 1;
            self.remove_for(child, Some(caller));
        } else if self.exits.lately(child, event.ts()) {
            return Some(caller);
        }
        // The caller's row may have been freed with the reused thread's group only if it was that thread itself.
        let caller = self.threads.find(event.tid())?;
        let mut thread = if unknown {
            // What the caller is called it learns from a child that it has made known itself.
            let thread = &mut self.threads[caller];
            (thread.comm, thread.exe, thread.args) =
                (Text::from(told.comm), Text::from(told.exe), Text::from(told.args));
            self.threads.touch_tree(caller);
            self.orphan(&told)
        } else {
            self.descendant(caller, &told, told.flags & CLONE_THREAD != 0)
        };
        thread.tid = child;
        if told.flags & CLONE_THREAD != 0 {
            (thread.pid, thread.ptid) = (told.pid, told.ptid);
        } else {
            (thread.pid, thread.ptid) = (child, event.tid());
        }
        (thread.vtid, thread.vpid) = (thread.tid, thread.pid);
        thread.clone_ts = event.ts();
        self.threads.insert(thread);
        Some(caller)
    }

    fn cloned_child(&mut self, event: &Event) -> Option<Slot> {
        let told = Cloned::of(event);
        let tid = event.tid();
        if let Some(slot) = self.threads.find(tid) {
            let thread = &self.threads[slot];
            let told = event.ts() < thread.told;
            if told || (thread.clone_ts != 0 && event.ts().saturating_sub(thread.clone_ts) < STALE_NS) {
                return Some(slot);
            }
            self.remove_for(tid, None);
        }
        let is_thread = told.flags & CLONE_THREAD != 0;
        let from = self.thread_of(if is_thread { told.pid } else { told.ptid });
        let mut thread = match from {
            Some(from) if !self.threads[from].is_invalid() => self.descendant(from, &told, is_thread),
            _ => self.orphan(&told),
        };
        if let Some(from) = from.filter(|from| is_thread && self.threads[*from].is_invalid()) {
            let main = &mut self.threads[from];
            (main.pid, main.ptid, main.vpid, main.vtid) = (told.pid, told.ptid, told.vpid, told.vpid);
            (main.comm, main.exe, main.args) = (thread.comm.clone(), thread.exe.clone(), thread.args.clone());
            self.related(from);
        }
        thread.tid = tid;
        (thread.pid, thread.ptid, thread.vtid, thread.vpid) = (told.pid, told.ptid, told.vtid, told.vpid);
        thread.clone_ts = event.ts();
        thread.flags |= CLONE_INVERTED;
        if !is_thread && told.vpid == 1 {
            // The first of a pid namespace: its session and its group have no number there.
            (thread.sid, thread.vpgid) = (0, 0);
        }
        Some(self.threads.insert(thread))
    }

    /// A placeholder has got its process and parent.
    fn related(&mut self, slot: Slot) {
        self.threads.join_group(slot);
        let thread = &self.threads[slot];
        if thread.is_main() {
            self.threads.adopt(thread.ptid, thread.tid);
        }
        self.threads.touch_tree(slot);
    }

    /// A thread of which nothing but the event is known.
    fn orphan(&mut self, told: &Cloned) -> Thread {
        let cgroups = Text::from(told.cgroups);
        let container = self.container_of(&cgroups);
        Thread {
            comm: Text::from(told.comm),
            exe: Text::from(told.exe),
            args: Text::from(told.args),
            cwd: Text::from(told.cwd),
            cgroups,
            container,
            uid: told.uid,
            gid: told.gid,
            flags: told.flags | if told.flags & CLONE_THREAD != 0 { CLONE_FILES } else { 0 },
            fdlimit: told.fdlimit,
            pidns_start: told.pidns_start,
            memory: told.memory,
            guessed_until: u64::MAX,
            ..Thread::default()
        }
    }

    /// A thread that `from` made: what the event does not tell, it has from there.
    fn descendant(&mut self, from: Slot, told: &Cloned, is_thread: bool) -> Thread {
        let cgroups = self.threads[from].cgroups.or_new(told.cgroups);
        let container = self.container_of(&cgroups);
        let from_main = self.threads.main(from);
        let parent = &self.threads[from];
        let mut thread = Thread {
            comm: parent.comm.or_new(told.comm),
            exe: parent.exe.or_new(told.exe),
            args: parent.args.or_new(told.args),
            cgroups,
            container,
            uid: told.uid,
            gid: told.gid,
            flags: told.flags,
            fdlimit: told.fdlimit,
            pidns_start: told.pidns_start,
            sid: parent.sid,
            pgid: parent.pgid,
            vpgid: parent.vpgid,
            exepath: parent.exepath.clone(),
            root: parent.root.clone(),
            loginuid: parent.loginuid,
            tty: parent.tty,
            exe_flags: parent.exe_flags,
            cap_inheritable: parent.cap_inheritable,
            cap_permitted: parent.cap_permitted,
            cap_effective: parent.cap_effective,
            exe_ino: parent.exe_ino,
            exe_ctime: parent.exe_ctime,
            exe_mtime: parent.exe_mtime,
            ctime_to_clone: parent.ctime_to_clone,
            ctime_to_pidns: parent.ctime_to_pidns,
            guessed_until: parent.guessed_until,
            cwd: Text::from(told.cwd),
            memory: told.memory,
            ..Thread::default()
        };
        if is_thread {
            thread.flags |= CLONE_FILES;
        } else {
            thread.flags &= !CLONE_FILES;
            thread.cwd = Text::from(self.cwd(from));
            if let Some(main) = from_main {
                thread.env = self.threads[main].env.clone();
            }
            if let Some(owner) = self.threads.fd_owner(from) {
                thread.fds = self.threads[owner].fds.clone();
            }
        }
        thread
    }

    pub(super) fn executed(&mut self, event: &Event, slot: Slot) {
        if event.int(0).is_none_or(|result| result < 0) {
            return;
        }
        let cgroups = match event.param(14) {
            Some(bytes) if !bytes.is_empty() => self.threads[slot].cgroups.or_new(bytes),
            _ => self.threads[slot].cgroups.clone(),
        };
        let container = self.container_of(&cgroups);
        let was_invalid = self.threads[slot].is_invalid();
        let moved = !was_invalid && event.int(4).is_some_and(|pid| pid != self.threads[slot].pid);
        if moved {
            self.threads.leave_group(slot);
        }
        let thread = &mut self.threads[slot];
        let revived = std::mem::take(&mut thread.dead) && !moved && !was_invalid;
        thread.program = true;
        // Who took over its children when it died does not do so the next time.
        thread.reaper = -1;
        (thread.cgroups, thread.container) = (cgroups, container);
        if let Some(exe) = event.text(1) {
            thread.exe = Text::from(exe);
            thread.args = Text::from(event.param(2).unwrap_or_default());
        }
        thread.comm = thread
            .comm
            .or_new(event.text(13).filter(|comm| !comm.is_empty()).unwrap_or(&thread.exe));
        if let Some(env) = event.param(15).filter(|env| !env.is_empty()) {
            thread.env = thread.env.or_new(env);
        }
        if let Some(path) = event.text(27) {
            let path = path.strip_suffix(b" (deleted)").unwrap_or(path);
            thread.exepath = thread.exepath.or_new(path);
        } else {
            // Captures before 2023: what the call named.
            let path = event.text(30).filter(|path| !path.is_empty());
            let mut joined = std::mem::take(&mut self.scratch);
            match path {
                Some(path) => paths::join(self.cwd(slot), path, &mut joined),
                None => {
                    joined.clear();
                    joined.extend_from_slice(b"<NA>");
                }
            }
            let thread = &mut self.threads[slot];
            thread.exepath = thread.exepath.or_new(&joined);
            self.scratch = joined;
        }
        let thread = &mut self.threads[slot];
        let set = |field: &mut u64, param| *field = event.uint(param).unwrap_or(*field);
        set(&mut thread.cap_inheritable, 20);
        set(&mut thread.cap_permitted, 21);
        set(&mut thread.cap_effective, 22);
        set(&mut thread.exe_ino, 23);
        set(&mut thread.exe_ctime, 24);
        set(&mut thread.exe_mtime, 25);
        let set = |field: &mut u32, param| *field = event.uint(param).map_or(*field, |value| value as u32);
        set(&mut thread.tty, 16);
        set(&mut thread.loginuid, 18);
        set(&mut thread.exe_flags, 19);
        set(&mut thread.uid, 26);
        set(&mut thread.gid, 29);
        let set = |field: &mut i64, param| *field = event.int(param).unwrap_or(*field);
        set(&mut thread.pid, 4);
        set(&mut thread.fdlimit, 7);
        set(&mut thread.vpgid, 17);
        thread.pgid = event.int(28).unwrap_or(-1);
        thread.memory = thread.memory.sizes(event, 10).faults(event, 8);
        if thread.clone_ts != 0 {
            thread.ctime_to_clone = thread.clone_ts.wrapping_sub(thread.exe_ctime);
        }
        if thread.pidns_start != 0 && thread.exe_ctime > thread.pidns_start {
            thread.ctime_to_pidns = thread.exe_ctime - thread.pidns_start;
        }
        if was_invalid {
            thread.ptid = event.int(5).unwrap_or(-1);
        }
        // A program that tells of itself is no guess, whoever it was before.
        if event.text(1).is_some() && event.text(27).is_some() {
            thread.guessed_until = 0;
        }
        thread.flags &= CLONE_INVERTED | super::threads::MAIN_THREAD;
        if thread.fds.any(|_, fd| fd.cloexec) {
            thread.fds.own(&mut self.growth.since).retain(|_, fd| !fd.cloexec);
        }
        let (tid, pid) = (thread.tid, thread.pid);
        if (was_invalid || moved) && pid >= 0 {
            self.related(slot);
        }
        if let Some(group) = self.threads.group_mut(pid) {
            group.alive += u32::from(revived);
            let others: Vec<i64> = group.members.iter().copied().filter(|member| *member != tid).collect();
            for other in others {
                self.remove_for(other, Some(slot));
            }
        }
        if moved {
            // Whose main thread it was, and who took it for a parent, knows another one now.
            self.threads.touch_all();
        }
        self.changed_for_all(slot);
    }

    /// Facts that others see in their ancestors, or in the leader of their session, are others.
    pub(super) fn changed_for_all(&mut self, slot: Slot) {
        let thread = &self.threads[slot];
        if thread.sid == thread.tid || thread.sid == thread.vtid {
            self.threads.touch_all();
        }
        self.threads.touch_tree(slot);
    }

    pub(super) fn exited(&mut self, event: &Event, slot: Slot) {
        let tid = event.tid();
        let thread = &mut self.threads[slot];
        thread.reaper = event.int(4).unwrap_or(-1);
        if !std::mem::replace(&mut thread.dead, true) {
            let pid = thread.pid;
            if let Some(group) = self.threads.group_mut(pid) {
                group.alive = group.alive.saturating_sub(1);
            }
        }
        self.exits.add(tid, event.ts(), self.limits.exits);
        self.exiting = Some(tid);
    }

    pub(super) fn remove(&mut self, tid: i64) {
        self.remove_for(tid, None);
    }

    /// Take a thread out, its children to their new parent. `keep` is in use and stays whatever happens.
    pub(super) fn remove_for(&mut self, tid: i64, keep: Option<Slot>) {
        let Some(slot) = self.threads.find(tid) else { return };
        let thread = &mut self.threads[slot];
        let pid = thread.pid;
        let died = !std::mem::replace(&mut thread.dead, true);
        if let Some(group) = self.threads.group_mut(pid) {
            group.alive = group.alive.saturating_sub(u32::from(died));
        }
        self.reparent(slot);
        let thread = &self.threads[slot];
        let leads = thread.sid == thread.tid || thread.sid == thread.vtid;
        let alive = self.threads.group(pid).map_or(0, |group| group.alive);
        let main = self.threads[slot].is_main();
        if !(main && alive > 0) && keep != Some(slot) {
            self.threads.forget(slot);
        }
        if !main
            && alive == 0
            && let Some(main) = self.threads.find(pid)
            && keep != Some(main)
            && self.threads[main].dead
        {
            self.reparent(main);
            self.threads.forget(main);
        }
        if leads {
            self.threads.touch_all();
        }
    }

    /// Give the children of a thread that goes to the one who takes them over.
    fn reparent(&mut self, slot: Slot) {
        if self.threads[slot].children.is_empty() {
            return;
        }
        let children: Vec<Slot> = self.threads.children(slot).collect();
        self.threads[slot].children = Vec::new();
        if children.is_empty() {
            return;
        }
        let parent = self.reaper_of(slot).unwrap_or(0);
        let pid = self.threads[slot].pid;
        if let Some(heir) = (parent > 0).then(|| self.thread_of(parent)).flatten() {
            let heir = self.threads[heir].pid;
            if heir != pid
                && let Some(group) = self.threads.group_mut(heir)
            {
                group.reaper = true;
            }
        }
        for child in children {
            self.threads.set_parent(child, parent);
            self.threads.adopt(parent, self.threads[child].tid);
            self.threads.touch_tree(child);
        }
    }

    /// Who takes over the children of a thread that goes: whom the kernel named, a thread of its group, the next reaper among
    /// its ancestors.
    fn reaper_of(&self, slot: Slot) -> Option<i64> {
        let thread = &self.threads[slot];
        if thread.reaper > 0 && thread.reaper != thread.tid {
            return Some(thread.reaper);
        }
        let alive_in = |pid: i64| {
            let group = self.threads.group(pid)?;
            group
                .members
                .iter()
                .copied()
                .find(|tid| self.threads.get(*tid).is_some_and(|member| !member.dead))
        };
        if let Some(heir) = alive_in(thread.pid) {
            return Some(heir);
        }
        let in_namespace = thread.in_pid_namespace();
        for ancestor in self.threads.ancestors(slot) {
            let ancestor = &self.threads[ancestor];
            if ancestor.in_pid_namespace() != in_namespace {
                return None;
            }
            if self.threads.group(ancestor.pid).is_some_and(|group| group.reaper)
                && let Some(heir) = alive_in(ancestor.pid)
            {
                return Some(heir);
            }
        }
        None
    }
}
