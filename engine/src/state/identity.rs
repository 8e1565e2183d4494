//! Who a thread is and where: ids, capabilities, directory, session, limits.

use super::State;
use super::capabilities;
use super::paths;
use super::text::Text;
use super::threads::{Slot, Thread};
use crate::event::Event;
use crate::generated::events::EventKind;

const RLIMIT_NOFILE: u64 = 7;
const PR_SET_CHILD_SUBREAPER: u64 = 36;
const CLONE_NEWUSER: u64 = 1 << 20;
const ALL_CAPABILITIES: u64 = (1 << 41) - 1;

fn succeeded(event: &Event) -> bool {
    event.int(0).is_some_and(|result| result >= 0)
}

impl State {
    /// setuid and its kin: the effective id.
    pub(super) fn identified(&mut self, event: &Event, slot: Slot) {
        if !succeeded(event) {
            return;
        }
        use EventKind as K;
        let param = if matches!(event.kind(), K::Setuid | K::Setgid) {
            1
        } else {
            2
        };
        // -1 leaves the id as it is.
        let Some(id) = event.uint(param).map(|id| id as u32).filter(|id| *id != u32::MAX) else {
            return;
        };
        let able = |thread: &Thread| (thread.cap_permitted, thread.cap_effective);
        let before = able(&self.threads[slot]);
        if matches!(event.kind(), K::Setuid | K::Setresuid | K::Setreuid) {
            capabilities::follow(&mut self.threads[slot], event, id);
        }
        let thread = &mut self.threads[slot];
        let field = match event.kind() {
            K::Setuid | K::Setresuid | K::Setreuid => &mut thread.uid,
            _ => &mut thread.gid,
        };
        if std::mem::replace(field, id) != id || able(thread) != before {
            self.threads.touch(slot);
        }
    }

    /// chdir, fchdir, getcwd: the directory of the process; chroot: its root.
    pub(super) fn moved(&mut self, event: &Event, slot: Slot) {
        if !succeeded(event) {
            return;
        }
        if event.kind() == EventKind::Chroot {
            let Some(path) = event.text(1) else { return };
            let mut root = std::mem::take(&mut self.scratch);
            self.rooted(slot, path, &mut root);
            let root_text = Text::from(&root[..]);
            self.scratch = root;
            self.for_process(slot, |thread| thread.root = root_text.clone());
            return;
        }
        let Some(main) = self.threads.main(slot) else { return };
        let mut cwd = std::mem::take(&mut self.scratch);
        let target = match event.kind() {
            EventKind::Fchdir => event
                .int(1)
                .and_then(|fd| self.threads.fd(slot, fd))
                .map(|fd| &*fd.name),
            _ => event.text(1),
        };
        if let Some(target) = target {
            paths::join(self.cwd(slot), target, &mut cwd);
            if cwd.last() != Some(&b'/') {
                cwd.push(b'/');
            }
            if *self.threads[main].cwd != *cwd {
                self.threads[main].cwd = Text::from(&cwd[..]);
                self.threads.touch_group(main);
            }
        }
        self.scratch = cwd;
    }

    /// A path of a thread, from the root of the host: the thread's own root may be another.
    fn rooted(&self, slot: Slot, path: &[u8], out: &mut Vec<u8>) {
        let root: &[u8] = &self.threads[slot].root;
        let nested = !matches!(root, b"" | b"/");
        if nested && path.first() == Some(&b'/') {
            let below = path
                .iter()
                .position(|byte| *byte != b'/')
                .map_or(&b""[..], |at| &path[at..]);
            paths::join(root, below, out);
        } else {
            paths::join(self.cwd(slot), path, out);
        }
    }

    /// Change all threads of a process.
    fn for_process(&mut self, slot: Slot, mut change: impl FnMut(&mut Thread)) {
        change(&mut self.threads[slot]);
        let members = self.threads.group(self.threads[slot].pid);
        for tid in members.map(|group| group.members.clone()).unwrap_or_default() {
            if let Some(member) = self.threads.find(tid) {
                change(&mut self.threads[member]);
            }
        }
    }

    /// Session and process group. Numbers are those of the caller's pid namespace.
    pub(super) fn grouped(&mut self, event: &Event, slot: Slot) {
        if !succeeded(event) {
            return;
        }
        if event.kind() == EventKind::Setsid {
            let session = event.int(0).unwrap_or(-1);
            let pid = self.threads[slot].pid;
            self.for_process(slot, |thread| {
                (thread.sid, thread.vpgid, thread.pgid) = (session, session, pid);
            });
            // Whichever of its threads asked; and who leads a session is a fact of all that are in it.
            return self.threads.touch_all();
        }
        let (Some(process), Some(group)) = (event.int(1), event.int(2)) else {
            return;
        };
        let Some(target) = self.process_of(slot, process) else {
            return;
        };
        let vpgid = if group == 0 { self.threads[target].vpid } else { group };
        let leader = if group == 0 {
            Some(target)
        } else {
            self.process_of(slot, group)
        };
        let pgid = leader.map_or(-1, |leader| self.threads[leader].pid);
        self.for_process(target, |thread| (thread.vpgid, thread.pgid) = (vpgid, pgid));
        self.threads.touch_group(target);
    }

    /// Whether an event of a thread that was told of later changes a process that was told of before.
    pub(super) fn reaches_another(&self, event: &Event, slot: Slot) -> bool {
        let param = match event.kind() {
            EventKind::Setpgid => 1,
            EventKind::Prlimit => 5,
            _ => return false,
        };
        let target = event.int(param).and_then(|number| self.process_of(slot, number));
        target.is_some_and(|target| target != slot && self.threads[target].told <= event.ts())
    }

    /// The process that a thread calls by this number, 0 being its own: by the number in its pid namespace, which it can give to
    /// itself, its children and its siblings only.
    fn process_of(&self, slot: Slot, number: i64) -> Option<Slot> {
        let threads = &self.threads;
        let own = threads.main(slot)?;
        if number == 0 || threads[own].vpid == number {
            return Some(own);
        }
        if !threads[slot].in_pid_namespace() {
            return threads.find(number);
        }
        let named = |slot: &Slot| threads[*slot].vpid == number && threads[*slot].in_pid_namespace();
        threads
            .children(own)
            .find(named)
            .or_else(|| threads.children(threads.parent(slot)?).find(named))
            .or_else(|| threads.ancestors(slot).find(named))
    }

    /// Reaper, capabilities, namespaces.
    pub(super) fn changed(&mut self, event: &Event, slot: Slot) {
        if !succeeded(event) {
            return;
        }
        match event.kind() {
            // A name that a thread gives itself is not its program's: rules that trust names must not trust that.
            EventKind::Prctl if event.uint(1) == Some(PR_SET_CHILD_SUBREAPER) => {
                let pid = self.threads[slot].pid;
                if let Some(group) = self.threads.group_mut(pid) {
                    group.reaper = event.int(3).unwrap_or(0) != 0;
                }
            }
            EventKind::Capset => {
                let sets = [1, 2, 3].map(|param| event.uint(param));
                let thread = &mut self.threads[slot];
                thread.cap_inheritable = sets[0].unwrap_or(thread.cap_inheritable);
                thread.cap_permitted = sets[1].unwrap_or(thread.cap_permitted);
                thread.cap_effective = sets[2].unwrap_or(thread.cap_effective);
                self.threads.touch(slot);
            }
            _ => {
                let joined = event.kind() == EventKind::Setns;
                let flags = event.uint(if joined { 2 } else { 1 }).unwrap_or(0);
                // setns without a type joins whatever namespace the descriptor is of.
                let by_name = joined
                    && flags == 0
                    && event
                        .int(1)
                        .and_then(|fd| self.threads.fd(slot, fd))
                        .is_some_and(|fd| fd.name.ends_with(b"/ns/user"));
                if flags & CLONE_NEWUSER != 0 || by_name {
                    let thread = &mut self.threads[slot];
                    thread.cap_inheritable = 0;
                    thread.cap_permitted = ALL_CAPABILITIES;
                    thread.cap_effective = ALL_CAPABILITIES;
                    self.threads.touch(slot);
                }
            }
        }
    }

    /// The limit of open files.
    pub(super) fn limited(&mut self, event: &Event, slot: Slot) {
        if !succeeded(event) {
            return;
        }
        let prlimit = event.kind() == EventKind::Prlimit;
        if event.uint(if prlimit { 6 } else { 3 }) != Some(RLIMIT_NOFILE) {
            return;
        }
        let (limit, target) = if prlimit {
            let new = event.int(1).unwrap_or(-1);
            let pid = event.int(5).unwrap_or(0);
            let target = if pid == 0 { Some(slot) } else { self.threads.find(pid) };
            (if new == -1 { event.int(3) } else { Some(new) }, target)
        } else {
            (event.int(1), Some(slot))
        };
        if let (Some(limit), Some(main)) = (limit, target.and_then(|target| self.threads.main(target)))
            && self.threads[main].fdlimit != limit
        {
            self.threads[main].fdlimit = limit;
            self.threads.touch_group(main);
        }
    }
}
