//! Which threads go when there are too many, or when the state takes too many bytes.

use crate::event::Event;
use crate::state::State;
use crate::state::limits::share;
use crate::state::threads::{Slot, Thread};

impl State {
    /// Before an event: nothing holds a row of a table then.
    #[inline]
    pub(in crate::state) fn make_room(&mut self, event: &Event) {
        self.growth.since += event.size() as u64;
        if self.threads.len() >= self.limits.threads {
            self.evict_threads(
                self.threads.len() - self.limits.threads + share(self.limits.threads),
                event.tid(),
            );
        }
        if self.growth.since > self.growth.room {
            self.shrink(event.tid());
        }
    }

    /// Something was made that is larger than the event that made it.
    pub fn grew(&mut self, bytes: usize) {
        self.growth.since += bytes as u64;
    }

    /// Measure the state, and make it smaller if it takes more than it may.
    #[cold]
    fn shrink(&mut self, keep: i64) {
        let limit = self.limits.bytes;
        self.threads.compact();
        let mut bytes = self.bytes();
        if bytes > limit {
            let goal = limit - limit / 8;
            // Nobody is deaf to a process because of what its containers are called.
            while bytes > goal && self.containers.bytes() > limit / 8 {
                self.containers.halve();
                bytes = self.bytes();
            }
            while bytes > goal {
                let excess = (bytes - goal) as f64 / bytes as f64;
                let count = (self.threads.len() as f64 * excess) as usize;
                let gone = self.evict_threads(count.max(share(self.threads.len())), keep);
                if gone == 0 {
                    self.evict_all_fds();
                }
                bytes = self.bytes();
                if gone == 0 {
                    break;
                }
            }
            self.counters.shrunk += 1;
        }
        self.growth.since = 0;
        self.growth.room = limit.saturating_sub(bytes).max(limit / 8);
    }

    /// One process takes more than a host may: its threads stay, its descriptors go.
    fn evict_all_fds(&mut self) {
        let slots: Vec<Slot> = self.threads.rows().map(|(slot, _)| slot).collect();
        for slot in slots {
            let fds = std::mem::take(&mut self.threads[slot].fds);
            self.counters.evicted_fds += fds.len() as u64;
        }
    }

    /// Take out so many threads, but for `keep` and its process: the least valuable, of these the longest idle; how many went.
    #[cold]
    fn evict_threads(&mut self, count: usize, keep: i64) -> usize {
        let main = self.threads.get(keep).map_or(keep, |thread| thread.pid);
        let mut going: Vec<(u8, u64, i64)> = self
            .threads
            .rows()
            .filter(|(_, thread)| thread.tid != keep && thread.tid != main)
            .map(|(slot, thread)| (self.worth(slot, thread), thread.used, thread.tid))
            .collect();
        if count < going.len() {
            going.select_nth_unstable(count);
            going.truncate(count);
        }
        going.sort_unstable();
        let mut seen_by_others = false;
        for (_, _, tid) in &going {
            let Some(slot) = self.threads.find(*tid) else { continue };
            let children: Vec<i64> = self
                .threads
                .children(slot)
                .map(|child| self.threads[child].tid)
                .collect();
            let thread = &self.threads[slot];
            seen_by_others |= !children.is_empty() || thread.sid == thread.tid || thread.sid == thread.vtid;
            seen_by_others |= self
                .threads
                .group(thread.pid)
                .is_some_and(|group| group.members.len() > 1);
            self.threads.forget(slot);
            // Should the parent come back, it finds its children.
            for child in children {
                self.threads.adopt(*tid, child);
            }
            self.counters.evicted_threads += 1;
        }
        if seen_by_others {
            self.threads.touch_all();
        }
        going.len()
    }

    /// What would be lost with a thread: least of the dead, whose number alone is known, then of copies of their parent that
    /// executed nothing themselves (all that a fork bomb makes), most of programs; more where others depend on it.
    fn worth(&self, slot: Slot, thread: &Thread) -> u8 {
        let group = self.threads.group(thread.pid);
        if thread.dead && group.is_none_or(|group| group.alive == 0) {
            return 0;
        }
        if thread.is_invalid() {
            return 1;
        }
        let needed = thread.is_main() && group.is_some_and(|group| group.members.len() > 1)
            || self.threads.children(slot).next().is_some();
        2 + u8::from(needed) + 2 * u8::from(thread.program)
    }
}
