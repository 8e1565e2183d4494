//! How large the state of a host may grow, and what goes first when it is full.
//!
//! A full table loses a sixteenth of itself at once, the least valuable first, so that one insertion costs the same however
//! large the table is. What is forgotten follows from the events alone: never from clocks, addresses or the order of a map.

mod evict;
mod kept;
mod size;

pub use kept::Kept;
pub use size::{container_size, facts_size};

/// Sizes that the tables of a host may reach. Children and thread groups hold nothing but threads of the table.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Threads; one event may exceed it by the few that it adds.
    pub threads: usize,
    /// Descriptors of one process.
    pub fds: usize,
    /// Users, and as many groups.
    pub users: usize,
    /// Containers of which a runtime told.
    pub containers: usize,
    /// Children whose parent is not known.
    pub orphans: usize,
    /// Exits remembered against late reports of clones.
    pub exits: usize,
    /// Windows in which alerts of a rule are counted.
    pub throttled: usize,
    /// Bytes of everything together, strings among it.
    pub bytes: u64,
}

impl Limits {
    pub const DEFAULT: Limits = Limits {
        threads: 262_144,
        fds: 4096,
        users: 1 << 18,
        containers: 8192,
        orphans: 1 << 18,
        exits: 1 << 13,
        throttled: 8192,
        bytes: 1 << 30,
    };
}

impl Default for Limits {
    fn default() -> Limits {
        Limits::DEFAULT
    }
}

/// How many go at once from a table with this limit.
pub(super) fn share(limit: usize) -> usize {
    (limit / 16).max(1)
}

/// What the state may have grown by since it was measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Growth {
    /// Bytes of events, and of what was made beyond these: copied tables, facts.
    pub since: u64,
    /// Beyond this the state is measured again.
    pub room: u64,
}

#[cfg(test)]
mod tests;
