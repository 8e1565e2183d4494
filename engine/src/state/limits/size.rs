//! Bytes that the state takes. What several share is counted once, a part for each.

use std::mem::size_of;
use std::sync::Arc;

use crate::facts::{Container, Mount, Process};
use crate::state::State;
use crate::state::fds::Fd;
use crate::state::hash::IntMap;
use crate::state::text::Text;
use crate::state::threads::{Group, Thread};
use crate::state::users::User;

/// Counters in front of what an `Arc` holds.
const SHARED: u64 = 16;
/// A row of a map of numbers: key, value and what is empty.
const ROW: u64 = 32;

impl State {
    /// Bytes of the whole state.
    pub fn bytes(&self) -> u64 {
        let mut tables = IntMap::default();
        let threads: u64 = self
            .threads
            .iter()
            .map(|thread| thread_size(thread) + fds_size(thread, &mut tables))
            .sum();
        let groups: u64 = self.threads.groups().map(group_size).sum();
        let orphans = ROW * self.threads.orphaned() as u64;
        let users: u64 = self.users.users().map(user_size).sum();
        let names: u64 = self
            .users
            .groups()
            .map(|((container, _), name)| 2 * ROW + text_size(container) + text_size(name))
            .sum();
        threads + groups + orphans + users + names + self.exits.bytes() + self.containers.bytes()
    }
}

fn text_size(text: &Text) -> u64 {
    match text.holders() {
        0 => 0,
        holders => (SHARED + text.len() as u64) / holders as u64,
    }
}

fn thread_size(thread: &Thread) -> u64 {
    let texts = [
        &thread.comm,
        &thread.exe,
        &thread.exepath,
        &thread.args,
        &thread.env,
        &thread.cwd,
        &thread.root,
        &thread.cgroups,
        &thread.container,
    ];
    let texts: u64 = texts.into_iter().map(text_size).sum();
    let facts = thread.facts.as_ref().map_or(0, |facts| {
        (SHARED + facts_size(facts) as u64) / Arc::strong_count(facts) as u64
    });
    size_of::<Thread>() as u64 + ROW + 8 * thread.children.len() as u64 + texts + facts
}

/// Bytes of the facts of a process.
pub fn facts_size(facts: &Process) -> usize {
    let strings = [
        &facts.name,
        &facts.exe,
        &facts.exepath,
        &facts.cwd,
        &facts.sname,
        &facts.user,
        &facts.group,
        &facts.login,
        &facts.container_id,
    ];
    let strings: usize = strings.into_iter().map(Vec::len).sum();
    let args: usize = facts.args.iter().map(|arg| size_of::<Vec<u8>>() + arg.len()).sum();
    let ancestors: usize = facts
        .ancestors
        .iter()
        .map(|a| size_of_val(a) + a.name.len() + a.exe.len() + a.exepath.len() + a.cmdline.len())
        .sum();
    size_of::<Process>() + strings + args + ancestors
}

/// Bytes of what is known of a container.
pub fn container_size(container: &Container) -> u64 {
    let texts: usize = container.texts().into_iter().map(Vec::len).sum();
    let labels = container.labels.iter().chain(&container.sandbox_labels);
    let labels: usize = labels
        .map(|label| size_of_val(label) + label.0.len() + label.1.len())
        .sum();
    let of_mount =
        |mount: &Mount| mount.source.len() + mount.destination.len() + mount.mode.len() + mount.propagation.len();
    let mounts: usize = container
        .mounts
        .iter()
        .map(|mount| size_of_val(mount) + of_mount(mount))
        .sum();
    let ports: usize = container
        .ports
        .iter()
        .map(|port| size_of_val(port) + port.host_ip.len())
        .sum();
    SHARED + 3 * ROW + (size_of::<Container>() + texts + labels + mounts + ports) as u64
}

fn fd_size(fd: &Arc<Fd>) -> u64 {
    (SHARED + size_of::<Fd>() as u64 + text_size(&fd.name) + text_size(&fd.raw)) / Arc::strong_count(fd) as u64
}

/// Bytes of a thread's table of descriptors; 0 if another thread's table that was counted is the same.
fn fds_size(thread: &Thread, counted: &mut IntMap<u64, ()>) -> u64 {
    let fds = &thread.fds;
    if fds.is_empty() || fds.holders() > 1 && counted.insert(fds.address(), ()).is_some() {
        return 0;
    }
    SHARED + fds.iter().map(|(_, fd)| ROW + fd_size(fd)).sum::<u64>()
}

fn group_size(group: &Group) -> u64 {
    2 * ROW + size_of::<Group>() as u64 + 8 * group.members.len() as u64
}

fn user_size(((container, _), user): (&(Text, u32), &User)) -> u64 {
    let User { name, home, shell } = user;
    3 * ROW + text_size(container) + text_size(name) + text_size(home) + text_size(shell)
}
