//! The state of a host as a whole. Limits are not saved: they are those of the host that is loaded into.

use super::Error;
use super::wire::{Reader, Saved, Writer};
use crate::state::limits::Kept;
use crate::state::metadata::Containers;
use crate::state::threads::{Slot, Threads};
use crate::state::{Limits, State};

impl Threads {
    fn save(&self, out: &mut Writer) {
        let Threads {
            index,
            slots,
            free: _,
            groups,
            orphans,
            orphaned: _,
            max_orphans: _,
            evicted_orphans,
            first_version,
            next_version,
            epoch,
            epoch_since,
            now,
        } = self;
        out.first_version = *first_version;
        out.number(next_version.wrapping_sub(*first_version));
        out.version(*epoch);
        epoch_since.save(out);
        now.save(out);
        evicted_orphans.save(out);
        // By number: which rows are free, nothing depends on.
        let mut rows: Vec<(i64, Slot)> = index.iter().map(|(tid, slot)| (*tid, *slot)).collect();
        rows.sort_unstable();
        out.number(rows.len() as u64);
        for (_, slot) in rows {
            slots[slot as usize].save(out);
        }
        groups.save(out);
        orphans.save(out);
    }

    fn load(input: &mut Reader, limits: Limits) -> Result<Threads, Error> {
        let mut threads = Threads::of_another_host(limits.orphans);
        input.first_version = threads.first_version;
        threads.next_version = input.set_last_version()?;
        threads.epoch = input.version()?;
        threads.epoch_since = Saved::load(input)?;
        threads.now = Saved::load(input)?;
        threads.evicted_orphans = input.count()?;
        threads.slots = Saved::load(input)?;
        for (slot, thread) in threads.slots.iter().enumerate() {
            if thread.tid < 0 || threads.index.insert(thread.tid, slot as Slot).is_some() {
                return Err(Error::Invalid("a thread twice, or without a number"));
            }
        }
        threads.groups = Saved::load(input)?;
        if threads.groups.values().any(|group| group.alive > u32::MAX / 2) {
            return Err(Error::Invalid("a group of too many threads"));
        }
        threads.orphans = Saved::load(input)?;
        threads.orphaned = threads.orphans.values().map(Vec::len).sum();
        Ok(threads)
    }
}

impl State {
    pub fn save(&self, out: &mut Writer) {
        let State {
            threads,
            users,
            interfaces,
            limits: _,
            counters,
            exiting,
            closing,
            exits,
            growth,
            last_container,
            scratch: _,
            containers,
            times,
            listening,
        } = self;
        threads.save(out);
        users.save(out);
        interfaces.save(out);
        counters.save(out);
        exiting.save(out);
        closing.save(out);
        exits.save(out);
        growth.save(out);
        last_container.save(out);
        times.save(out);
        containers.save(out);
        listening.save(out);
    }

    pub fn load(input: &mut Reader, limits: Limits) -> Result<State, Error> {
        let mut state = State {
            limits,
            threads: Threads::load(input, limits)?,
            users: Saved::load(input)?,
            interfaces: Saved::load(input)?,
            counters: Saved::load(input)?,
            exiting: Saved::load(input)?,
            closing: Saved::load(input)?,
            exits: Saved::load(input)?,
            growth: Saved::load(input)?,
            last_container: Saved::load(input)?,
            scratch: Vec::new(),
            times: (0, 0),
            containers: Containers::default(),
            listening: Kept::default(),
        };
        if input.version >= 2 {
            state.times = Saved::load(input)?;
            state.containers = Saved::load(input)?;
            state.listening = Saved::load(input)?;
        }
        // Under smaller limits than those it was saved with it is measured earlier.
        state.growth.room = state.growth.room.min(limits.bytes);
        Ok(state)
    }
}
