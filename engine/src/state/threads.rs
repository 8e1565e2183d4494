//! The thread table: who exists, who is whose parent, and since when each of them is as it is.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use super::fds::{Fd, Fds};
use super::hash::IntMap;
use super::memory::Memory;
use super::text::Text;
use crate::facts::Process;

/// Row of a thread in the table.
pub type Slot = u32;

pub const CLONE_FILES: u32 = 1;
pub const CLONE_NEWPID: u32 = 64;
pub const CLONE_PARENT: u32 = 256;
pub const CLONE_THREAD: u32 = 8192;
pub const CLONE_INVERTED: u32 = 1 << 16;
pub const CHILD_IN_PIDNS: u32 = 1 << 29;
pub const MAIN_THREAD: u32 = 1 << 30;

/// Ancestors looked at; a longer chain is cut (and a loop ends).
pub const MAX_ANCESTORS: usize = 64;
/// Descendants that are told of a change one by one; beyond, everyone is.
const MAX_TOLD: usize = 64;

#[derive(Clone, Debug)]
pub struct Thread {
    pub tid: i64,
    pub pid: i64,
    pub ptid: i64,
    pub vtid: i64,
    pub vpid: i64,
    pub sid: i64,
    pub pgid: i64,
    pub vpgid: i64,
    pub reaper: i64,
    pub comm: Text,
    pub exe: Text,
    pub exepath: Text,
    pub args: Text,
    pub env: Text,
    pub cwd: Text,
    pub root: Text,
    pub cgroups: Text,
    pub container: Text,
    pub uid: u32,
    pub gid: u32,
    pub loginuid: u32,
    pub tty: u32,
    pub flags: u32,
    pub exe_flags: u32,
    pub cap_inheritable: u64,
    pub cap_permitted: u64,
    pub cap_effective: u64,
    pub exe_ino: u64,
    pub exe_ctime: u64,
    pub exe_mtime: u64,
    pub ctime_to_clone: u64,
    pub ctime_to_pidns: u64,
    pub fdlimit: i64,
    pub clone_ts: u64,
    pub pidns_start: u64,
    /// When the host told of this thread or its descriptors, by their list in /proc: what happened before is in it. 0: never.
    pub told: u64,
    pub dead: bool,
    /// Facts may be wrong, as nobody announced the thread or events of it were lost: up to the time at which /proc told
    /// of it, or for good (`u64::MAX`). 0: they are certain.
    pub guessed_until: u64,
    /// Executed a program of its own, or was there before: no mere copy of its parent.
    pub program: bool,
    /// Time of its last event.
    pub used: u64,
    /// Place among the members of its group.
    pub member_at: u32,
    pub fds: Fds,
    /// May hold threads that are gone or have another parent by now.
    pub children: Vec<i64>,
    /// How many children there may be before those that are gone are looked for.
    pub children_room: u32,
    /// Unique to this thread and to the time in which its facts, and its ancestors', are the same.
    pub version: u64,
    /// Event and time that began the version.
    pub since: (u64, u64),
    /// The facts of `facts_version`, and where in the batch `told_in` they were told.
    pub facts: Option<Arc<Process>>,
    pub facts_version: u64,
    pub told_in: u64,
    pub told_at: u32,
    pub memory: Memory,
}

impl Default for Thread {
    fn default() -> Thread {
        let none = Text::new();
        Thread {
            tid: -1,
            pid: -1,
            ptid: -1,
            vtid: -1,
            vpid: -1,
            sid: -1,
            pgid: -1,
            vpgid: -1,
            reaper: -1,
            comm: none.clone(),
            exe: none.clone(),
            exepath: none.clone(),
            args: none.clone(),
            env: none.clone(),
            cwd: none.clone(),
            root: none.clone(),
            cgroups: none.clone(),
            container: none,
            uid: u32::MAX,
            gid: u32::MAX,
            loginuid: u32::MAX,
            tty: 0,
            flags: 0,
            exe_flags: 0,
            cap_inheritable: 0,
            cap_permitted: 0,
            cap_effective: 0,
            exe_ino: 0,
            exe_ctime: 0,
            exe_mtime: 0,
            ctime_to_clone: 0,
            ctime_to_pidns: 0,
            fdlimit: -1,
            clone_ts: 0,
            pidns_start: 0,
            told: 0,
            dead: false,
            guessed_until: 0,
            program: false,
            used: 0,
            member_at: 0,
            fds: Fds::default(),
            children: Vec::new(),
            children_room: 0,
            version: 0,
            since: (0, 0),
            facts: None,
            facts_version: 0,
            told_in: 0,
            told_at: 0,
            memory: Memory::default(),
        }
    }
}

impl Thread {
    /// Known by its number alone.
    pub fn is_invalid(&self) -> bool {
        self.pid < 0
    }

    pub fn is_main(&self) -> bool {
        self.tid == self.pid || self.flags & MAIN_THREAD != 0
    }

    /// Forked by that thread; mere threads share the parent of their process, but are no children.
    fn is_child_of(&self, parent: i64) -> bool {
        self.ptid == parent && self.is_main()
    }

    pub fn in_container(&self) -> bool {
        !self.container.is_empty() && *self.container != *super::containers::HOST
    }

    pub fn in_pid_namespace(&self) -> bool {
        self.flags & CHILD_IN_PIDNS != 0 || self.tid != self.vtid
    }
}

/// A thread group.
#[derive(Clone, Debug, Default)]
pub struct Group {
    pub members: Vec<i64>,
    pub alive: u32,
    pub reaper: bool,
}

#[derive(Debug, Default)]
pub struct Threads {
    pub(super) index: IntMap<i64, Slot>,
    pub(super) slots: Vec<Thread>,
    pub(super) free: Vec<Slot>,
    pub(super) groups: IntMap<i64, Group>,
    /// Threads whose parent is not in the table (yet), by its number.
    pub(super) orphans: IntMap<i64, Vec<i64>>,
    /// How many they are, how many they may be, and how many were forgotten for it.
    pub(super) orphaned: usize,
    pub(super) max_orphans: usize,
    pub evicted_orphans: u64,
    /// Versions of this host are larger than this.
    pub(super) first_version: u64,
    /// Source of versions.
    pub(super) next_version: u64,
    /// Versions up to this one are stale, whoever has them, since the event and time beside it.
    pub(super) epoch: u64,
    pub(super) epoch_since: (u64, u64),
    /// Number and time of the event at hand.
    pub now: (u64, u64),
}

impl std::ops::Index<Slot> for Threads {
    type Output = Thread;

    fn index(&self, slot: Slot) -> &Thread {
        &self.slots[slot as usize]
    }
}

impl std::ops::IndexMut<Slot> for Threads {
    fn index_mut(&mut self, slot: Slot) -> &mut Thread {
        &mut self.slots[slot as usize]
    }
}

/// Versions that each host has for itself: far more than it will ever make.
pub(super) const VERSIONS_OF_A_HOST: u64 = 1 << 40;
static NEXT_HOST: AtomicU64 = AtomicU64::new(0);

impl Threads {
    /// Hosts share rule sets, and these keep results by version: no two hosts may have the same. Versions are keys in
    /// memory only and never told, so what is derived stays the same on every run.
    pub fn of_another_host(max_orphans: usize) -> Threads {
        let first_version = NEXT_HOST
            .fetch_add(1, Ordering::Relaxed)
            .wrapping_mul(VERSIONS_OF_A_HOST);
        Threads {
            max_orphans,
            first_version,
            next_version: first_version,
            ..Threads::default()
        }
    }

    pub fn len(&self) -> usize {
        self.index.len()
    }

    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    pub fn find(&self, tid: i64) -> Option<Slot> {
        self.index.get(&tid).copied()
    }

    pub fn get(&self, tid: i64) -> Option<&Thread> {
        self.find(tid).map(|slot| &self[slot])
    }

    pub fn group(&self, pid: i64) -> Option<&Group> {
        self.groups.get(&pid)
    }

    pub fn group_mut(&mut self, pid: i64) -> Option<&mut Group> {
        self.groups.get_mut(&pid)
    }

    /// All threads, in the order of the table.
    pub fn iter(&self) -> impl Iterator<Item = &Thread> {
        self.slots.iter().filter(|thread| thread.tid != -1)
    }

    /// All threads and their rows.
    pub fn rows(&self) -> impl Iterator<Item = (Slot, &Thread)> {
        let rows = self.slots.iter().enumerate();
        rows.filter(|(_, thread)| thread.tid != -1)
            .map(|(slot, thread)| (slot as Slot, thread))
    }

    pub fn groups(&self) -> impl Iterator<Item = &Group> {
        self.groups.values()
    }

    /// Children whose parent is not in the table.
    pub fn orphaned(&self) -> usize {
        self.orphaned
    }

    /// The main thread of a thread's group; it may be dead already. `None` if unknown.
    pub fn main(&self, slot: Slot) -> Option<Slot> {
        let thread = &self[slot];
        if thread.is_main() {
            return Some(slot);
        }
        if thread.pid < 0 {
            return None;
        }
        self.find(thread.pid).filter(|main| self[*main].is_main())
    }

    /// The thread that forked this thread's process.
    pub fn parent(&self, slot: Slot) -> Option<Slot> {
        let main = self.main(slot)?;
        self.find(self[main].ptid).filter(|parent| *parent != main)
    }

    /// Parent process first, then its parent, …: main threads, at most [`MAX_ANCESTORS`].
    pub fn ancestors(&self, slot: Slot) -> impl Iterator<Item = Slot> + '_ {
        let mut at = Some(slot);
        std::iter::from_fn(move || {
            at = self.main(self.parent(at?)?);
            at
        })
        .take(MAX_ANCESTORS)
    }

    /// Whose table of descriptors a thread uses.
    pub fn fd_owner(&self, slot: Slot) -> Option<Slot> {
        if self[slot].flags & CLONE_FILES == 0 {
            Some(slot)
        } else {
            self.main(slot)
        }
    }

    pub fn fd(&self, slot: Slot, number: i64) -> Option<&Arc<Fd>> {
        self[self.fd_owner(slot)?].fds.get(number)
    }

    /// Put a thread into the table; one with the same number is replaced.
    pub fn insert(&mut self, mut thread: Thread) -> Slot {
        self.next_version += 1;
        thread.version = self.next_version;
        thread.since = self.now;
        thread.used = self.now.1;
        let (tid, pid, ptid, main) = (thread.tid, thread.pid, thread.ptid, thread.is_main());
        if let Some(old) = self.find(tid) {
            // Threads that are left of its process knew it.
            if self.group(self[old].pid).is_some_and(|group| group.members.len() > 1) {
                self.touch_all();
            }
            self.forget(old);
        }
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Thread::default());
            (self.slots.len() - 1) as Slot
        });
        if let Some(orphans) = self.orphans.remove(&tid) {
            self.orphaned -= orphans.len();
            thread.children.extend(orphans);
        }
        self.slots[slot as usize] = thread;
        self.index.insert(tid, slot);
        if pid >= 0 {
            self.join_group(slot);
            if main {
                self.adopt(ptid, tid);
            }
        }
        // Who was there before, children or threads of its process, has got a parent, or another one.
        if !self[slot].children.is_empty() || (main && self.group(pid).is_some_and(|group| group.members.len() > 1)) {
            self.touch_tree(slot);
        }
        slot
    }

    /// Make a thread a member of its group.
    pub fn join_group(&mut self, slot: Slot) {
        let thread = &mut self.slots[slot as usize];
        let group = self.groups.entry(thread.pid).or_default();
        if group.members.get(thread.member_at as usize) != Some(&thread.tid) {
            thread.member_at = group.members.len() as u32;
            group.members.push(thread.tid);
            group.alive += u32::from(!thread.dead);
        }
        group.reaper |= thread.pid == 1 || thread.vpid == 1;
    }

    /// Take a thread out of its group. The last member takes its place: groups are large where a limit is tried out.
    pub fn leave_group(&mut self, slot: Slot) {
        let Thread {
            tid,
            pid,
            member_at,
            dead,
            ..
        } = self.slots[slot as usize];
        let Some(group) = self.groups.get_mut(&pid) else { return };
        let place = member_at as usize;
        if group.members.get(place) != Some(&tid) {
            return;
        }
        group.members.swap_remove(place);
        group.alive = group.alive.saturating_sub(u32::from(!dead));
        let moved = group.members.get(place).copied();
        if group.members.is_empty() {
            self.groups.remove(&pid);
        }
        if let Some(moved) = moved.and_then(|moved| self.find(moved)) {
            self[moved].member_at = member_at;
        }
    }

    /// Note a thread as the child of another.
    pub fn adopt(&mut self, parent: i64, child: i64) {
        let Some(slot) = self.find(parent) else {
            if parent > 0 {
                self.make_room_for_orphan();
                self.orphans.entry(parent).or_default().push(child);
                self.orphaned += 1;
            }
            return;
        };
        let parent = &self[slot];
        if parent.children.len() >= (parent.children_room as usize).max(64) {
            self.drop_former_children(slot);
            // As much room as there are children, so that each is looked at twice at most.
            self[slot].children_room = self[slot].children.len() as u32 * 2;
        }
        self[slot].children.push(child);
    }

    /// Another parent for a process: all its threads have the same.
    pub fn set_parent(&mut self, main: Slot, parent: i64) {
        self[main].ptid = parent;
        let Some(group) = self.groups.get(&self[main].pid) else {
            return;
        };
        for tid in &group.members {
            if let Some(member) = self.index.get(tid) {
                self.slots[*member as usize].ptid = parent;
            }
        }
    }

    fn drop_former_children(&mut self, slot: Slot) {
        let mut children = std::mem::take(&mut self[slot].children);
        let parent = self[slot].tid;
        self.keep_children(parent, &mut children);
        self[slot].children = children;
    }

    /// Keep what is a child still, once each: a number that came again was adopted again.
    fn keep_children(&self, parent: i64, children: &mut Vec<i64>) {
        children.retain(|tid| self.get(*tid).is_some_and(|child| child.is_child_of(parent)));
        children.sort_unstable();
        children.dedup();
    }

    /// Forget children that are gone or found a parent; if there still are too many, those that have been idle longest.
    fn make_room_for_orphan(&mut self) {
        if self.orphaned < self.max_orphans {
            return;
        }
        let before = self.orphaned;
        let mut orphans = std::mem::take(&mut self.orphans);
        orphans.retain(|parent, children| {
            self.keep_children(*parent, children);
            !children.is_empty()
        });
        let keep = self.max_orphans.saturating_sub(super::limits::share(self.max_orphans));
        let mut idle: Vec<(u64, i64)> = orphans
            .values()
            .flatten()
            .filter_map(|tid| self.get(*tid))
            .map(|child| (child.used, child.tid))
            .collect();
        if idle.len() > keep {
            let excess = idle.len() - keep;
            let last = *idle.select_nth_unstable(excess - 1).1;
            orphans.retain(|_, children| {
                children.retain(|tid| self.get(*tid).is_some_and(|child| (child.used, child.tid) > last));
                !children.is_empty()
            });
        }
        self.orphaned = orphans.values().map(Vec::len).sum();
        self.orphans = orphans;
        self.evicted_orphans += (before - self.orphaned) as u64;
    }

    /// Give back memory that lists of children hold for what is gone.
    pub fn compact(&mut self) {
        let slots: Vec<Slot> = self.rows().map(|(slot, _)| slot).collect();
        for slot in slots {
            self.drop_former_children(slot);
            self[slot].children.shrink_to_fit();
        }
    }

    /// Children that are still there.
    pub fn children(&self, slot: Slot) -> impl Iterator<Item = Slot> + '_ {
        let parent = &self[slot];
        parent
            .children
            .iter()
            .filter_map(|tid| self.find(*tid))
            .filter(|child| self[*child].is_child_of(parent.tid))
    }

    /// Take a thread out of the table, and out of its group.
    pub fn forget(&mut self, slot: Slot) {
        self.leave_group(slot);
        let thread = std::mem::take(&mut self.slots[slot as usize]);
        self.index.remove(&thread.tid);
        self.free.push(slot);
    }

    pub fn clear(&mut self) {
        let (next_version, now) = (self.next_version, self.now);
        *self = Threads {
            max_orphans: self.max_orphans,
            evicted_orphans: self.evicted_orphans,
            first_version: self.first_version,
            next_version,
            epoch: next_version,
            epoch_since: now,
            now,
            ..Threads::default()
        };
    }

    pub fn fresh_version(&mut self) -> u64 {
        self.next_version += 1;
        self.next_version
    }

    /// The host told of a thread's process at this time.
    pub fn told_at(&mut self, slot: Slot, ts: u64) {
        self[slot].told = ts;
        let pid = self[slot].pid;
        if let Some(group) = self.groups.get(&pid) {
            for tid in &group.members {
                if let Some(member) = self.index.get(tid) {
                    self.slots[*member as usize].told = ts;
                }
            }
        }
    }

    /// The facts of this thread alone are others from now on.
    pub fn touch(&mut self, slot: Slot) {
        let version = self.fresh_version();
        let now = self.now;
        let thread = &mut self[slot];
        thread.version = version;
        thread.since = now;
    }

    /// The facts of everyone may be others from now on.
    pub fn touch_all(&mut self) {
        self.epoch = self.fresh_version();
        self.epoch_since = self.now;
    }

    /// The facts of all threads of a group are others.
    pub fn touch_group(&mut self, slot: Slot) {
        self.touch(slot);
        let Some(group) = self.groups.get(&self[slot].pid) else {
            return;
        };
        if group.members.len() < 2 {
            return;
        }
        if group.members.len() > MAX_TOLD {
            return self.touch_all();
        }
        for tid in group.members.clone() {
            if let Some(member) = self.find(tid) {
                self.touch(member);
            }
        }
    }

    /// The facts of a process, and so of its descendants, are others.
    pub fn touch_tree(&mut self, slot: Slot) {
        let mut told = Vec::new();
        let mut next = 0;
        told.push(slot);
        while next < told.len() {
            let slot = told[next];
            next += 1;
            if told.len() > MAX_TOLD {
                return self.touch_all();
            }
            told.extend(self.children(slot).take(MAX_TOLD + 1));
            let thread = &self[slot];
            if thread.is_main()
                && let Some(group) = self.groups.get(&thread.pid)
                && group.members.len() > 1
            {
                told.extend(
                    group
                        .members
                        .iter()
                        .take(MAX_TOLD + 1)
                        .filter(|tid| **tid != thread.tid)
                        .filter_map(|tid| self.find(*tid)),
                );
            }
        }
        for slot in told {
            self.touch(slot);
        }
    }

    /// Bring the version of a thread up to date after [`Threads::touch_all`].
    pub fn refresh(&mut self, slot: Slot) {
        if self[slot].version < self.epoch {
            let since = self.epoch_since;
            self.touch(slot);
            self[slot].since = since;
        }
    }
}
