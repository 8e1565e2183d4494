//! Who a thread is and where: ids, capabilities, directory, session, limits.

use super::State;
use super::paths;
use super::text::Text;
use super::threads::Slot;
use crate::event::Event;
use crate::generated::events::EventKind;

const RLIMIT_NOFILE: u64 = 7;
const PR_SET_CHILD_SUBREAPER: u64 = 36;
const PR_GET_CHILD_SUBREAPER: u64 = 37;
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
        let Some(id) = event.uint(param).map(|id| id as u32) else {
            return;
        };
        let thread = &mut self.threads[slot];
        let field = match event.kind() {
            K::Setuid | K::Setresuid | K::Setreuid => &mut thread.uid,
            _ => &mut thread.gid,
        };
        if *field != id {
            *field = id;
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
            paths::join(self.cwd(slot), path, &mut root);
            self.threads[slot].root = Text::from(&root[..]);
            self.scratch = root;
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

    /// Session, reaper, capabilities, namespaces.
    pub(super) fn changed(&mut self, event: &Event, slot: Slot) {
        if !succeeded(event) {
            return;
        }
        match event.kind() {
            EventKind::Setsid => {
                self.threads[slot].sid = event.int(0).unwrap_or(-1);
                self.changed_for_all(slot);
            }
            EventKind::Prctl => {
                let option = event.uint(1).unwrap_or(0);
                let pid = self.threads[slot].pid;
                if matches!(option, PR_SET_CHILD_SUBREAPER | PR_GET_CHILD_SUBREAPER)
                    && let Some(group) = self.threads.group_mut(pid)
                {
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
                let flags = event
                    .uint(if event.kind() == EventKind::Setns { 2 } else { 1 })
                    .unwrap_or(0);
                if flags & CLONE_NEWUSER != 0 {
                    let thread = &mut self.threads[slot];
                    thread.cap_inheritable = ALL_CAPABILITIES;
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
