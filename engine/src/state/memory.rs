//! Memory sizes and page faults of threads, as clone, exec, memory calls and the scheduler tell them.

use super::State;
use super::threads::Slot;
use crate::event::Event;
use crate::generated::events::EventKind;

/// Sizes in kB, and counts of page faults.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    pub size: u32,
    pub resident: u32,
    pub swapped: u32,
    pub major_faults: u64,
    pub minor_faults: u64,
}

impl Memory {
    /// With the sizes that three parameters tell, from `first` on; what they do not tell stays.
    pub fn sizes(self, event: &Event, first: usize) -> Memory {
        let size = |param, known: u32| event.uint(param).map_or(known, |size| size as u32);
        Memory {
            size: size(first, self.size),
            resident: size(first + 1, self.resident),
            swapped: size(first + 2, self.swapped),
            ..self
        }
    }

    /// With the counts that two parameters tell: major faults, minor faults.
    pub fn faults(self, event: &Event, first: usize) -> Memory {
        Memory {
            major_faults: event.uint(first).unwrap_or(self.major_faults),
            minor_faults: event.uint(first + 1).unwrap_or(self.minor_faults),
            ..self
        }
    }
}

impl State {
    /// brk, mmap, munmap; and a switch of the scheduler, which tells sizes of the process and faults of the thread.
    pub(super) fn measured(&mut self, event: &Event, slot: Slot) {
        if event.kind() != EventKind::Switch {
            self.threads[slot].memory = self.threads[slot].memory.sizes(event, 1);
            return;
        }
        self.threads[slot].memory = self.threads[slot].memory.faults(event, 1);
        if let Some(main) = self.threads.main(slot) {
            self.threads[main].memory = self.threads[main].memory.sizes(event, 3);
        }
    }
}
