//! Fields of the process, its ancestors and its session.

use super::EventView;
use crate::names;
use crate::state::State;
use crate::state::text::{Text, items};
use crate::state::threads::{Slot, Thread};
use crate::value::{FieldArg, Value};

pub(super) const EXE_WRITABLE: u32 = 1;
pub(super) const EXE_UPPER_LAYER: u32 = 2;
pub(super) const EXE_FROM_MEMFD: u32 = 4;
pub(super) const EXE_LOWER_LAYER: u32 = 8;

pub(super) fn of<'a>(view: &EventView<'a>, field: impl Fn(&'a Thread) -> Value<'a>) -> Value<'a> {
    view.thread().map_or(Value::Absent, field)
}

pub(super) fn of_parent<'a>(view: &EventView<'a>, field: impl Fn(&'a Thread) -> Value<'a>) -> Value<'a> {
    let threads = &view.state.threads;
    view.seen
        .thread
        .and_then(|slot| threads.ancestors(slot).next())
        .map_or(Value::Absent, |slot| field(&threads[slot]))
}

/// The n-th ancestor, 0 being the process itself; without a number all of them, the process not among them.
pub(super) fn of_ancestors<'a>(
    view: &EventView<'a>,
    arg: &FieldArg,
    field: impl Fn(&'a Thread) -> Value<'a>,
) -> Value<'a> {
    let threads = &view.state.threads;
    let Some(slot) = view.seen.thread else {
        return Value::Absent;
    };
    match arg {
        FieldArg::Index(0) => field(&threads[slot]),
        FieldArg::Index(number) => threads
            .ancestors(slot)
            .nth(*number as usize - 1)
            .map_or(Value::Absent, |slot| field(&threads[slot])),
        FieldArg::None | FieldArg::Key(_) => {
            let all: Vec<Value> = threads
                .ancestors(slot)
                .map(|slot| field(&threads[slot]))
                .filter(|value| !value.is_absent())
                .collect();
            if all.is_empty() {
                Value::Absent
            } else {
                Value::List(all)
            }
        }
    }
}

/// What a leader leads.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leads {
    Session,
    /// A process group by its number in the pid namespace,
    VirtualGroup,
    /// by its number on the host.
    Group,
}

impl Leads {
    fn number(self, thread: &Thread) -> i64 {
        match self {
            Leads::Session => thread.sid,
            Leads::VirtualGroup => thread.vpgid,
            Leads::Group => thread.pgid,
        }
    }
}

/// The leader of a thread's session or group: the thread with its number, else the oldest ancestor of the same one.
pub(crate) fn leader(state: &State, slot: Slot, leads: Leads) -> Option<Slot> {
    let threads = &state.threads;
    let thread = &threads[slot];
    let number = leads.number(thread);
    if number == -1 {
        return None;
    }
    let of_host = leads == Leads::Group || !thread.in_pid_namespace();
    if let Some(leader) = threads.find(number).filter(|_| of_host) {
        return Some(leader);
    }
    threads
        .ancestors(slot)
        .take_while(|ancestor| leads.number(&threads[*ancestor]) == number)
        .last()
}

pub(super) fn of_leader<'a>(view: &EventView<'a>, leads: Leads, field: impl Fn(&'a Thread) -> &'a Text) -> Value<'a> {
    let Some(slot) = view.seen.thread else {
        return Value::Absent;
    };
    Value::Text(leader(view.state, slot, leads).map_or(&[][..], |leader| field(&view.state.threads[leader])))
}

/// The oldest of the process and its ancestors that is a shell.
pub(super) fn login_shell<'a>(view: &EventView<'a>) -> Value<'a> {
    let threads = &view.state.threads;
    let Some(slot) = view.seen.thread else {
        return Value::Absent;
    };
    std::iter::once(slot)
        .chain(threads.ancestors(slot))
        .filter(|slot| threads[*slot].comm.ends_with(b"sh"))
        .last()
        .map_or(Value::Absent, |shell| Value::Int(threads[shell].pid))
}

pub(super) fn name_and_id<'a>(thread: &Thread) -> Value<'a> {
    let mut out = thread.comm.to_vec();
    out.extend_from_slice(thread.tid.to_string().as_bytes());
    Value::Owned(out)
}

fn append_args(thread: &Thread, out: &mut Vec<u8>) {
    for (index, arg) in items(&thread.args).enumerate() {
        if index > 0 {
            out.push(b' ');
        }
        out.extend_from_slice(arg);
    }
}

pub(crate) fn cmdline(thread: &Thread) -> Vec<u8> {
    let mut out = thread.comm.to_vec();
    if !thread.args.is_empty() {
        out.push(b' ');
        append_args(thread, &mut out);
    }
    out
}

pub(super) fn exeline(thread: &Thread) -> Vec<u8> {
    let mut out = thread.exe.to_vec();
    out.push(b' ');
    append_args(thread, &mut out);
    out
}

pub(super) fn args<'a>(view: &EventView<'a>, arg: &FieldArg) -> Value<'a> {
    of(view, |thread| match arg {
        FieldArg::Index(index) => Value::Text(items(&thread.args).nth(*index as usize).unwrap_or_default()),
        FieldArg::None | FieldArg::Key(_) => {
            let mut out = Vec::new();
            append_args(thread, &mut out);
            Value::Owned(out)
        }
    })
}

/// Arguments of the n-th ancestor, 0 being the process itself; without a number those of all ancestors as one text.
pub(super) fn ancestors_args<'a>(view: &EventView<'a>, arg: &FieldArg) -> Value<'a> {
    let joined = |thread: &Thread| {
        let mut out = Vec::new();
        append_args(thread, &mut out);
        Value::Owned(out)
    };
    match of_ancestors(view, arg, joined) {
        Value::List(all) => {
            let texts: Vec<&[u8]> = all
                .iter()
                .filter_map(Value::bytes)
                .filter(|text| !text.is_empty())
                .collect();
            if texts.is_empty() {
                Value::Absent
            } else {
                Value::Owned(texts.join(&b' '))
            }
        }
        one => one,
    }
}

/// Ancestors whose environment is searched for a variable.
const MAX_SEARCHED: usize = 20;

fn variable<'a>(thread: &'a Thread, name: &str) -> &'a [u8] {
    let named = |item: &'a [u8]| item.strip_prefix(name.as_bytes())?.strip_prefix(b"=");
    items(&thread.env).find_map(named).unwrap_or_default().trim_ascii()
}

fn whole_env<'a>(thread: &Thread) -> Value<'a> {
    Value::Owned(items(&thread.env).collect::<Vec<_>>().join(&b' '))
}

/// A variable as the nearest ancestor that has it; the environment of the n-th ancestor; without argument of all.
pub(super) fn ancestors_env<'a>(view: &EventView<'a>, arg: &FieldArg) -> Value<'a> {
    let threads = &view.state.threads;
    match (arg, view.seen.thread) {
        (_, None) => Value::Absent,
        (FieldArg::Index(0), _) => env(view, &FieldArg::None),
        (FieldArg::Key(name), Some(slot)) => Value::Text(
            threads
                .ancestors(slot)
                .take(MAX_SEARCHED)
                .map(|ancestor| variable(&threads[ancestor], name))
                .find(|value| !value.is_empty())
                .unwrap_or_default(),
        ),
        (FieldArg::Index(_) | FieldArg::None, Some(_)) => of_ancestors(view, arg, whole_env),
    }
}

pub(super) fn env<'a>(view: &EventView<'a>, arg: &FieldArg) -> Value<'a> {
    let Some(thread) = view.main().or_else(|| view.thread()) else {
        return Value::Absent;
    };
    match arg {
        FieldArg::Key(name) => Value::Text(variable(thread, name)),
        FieldArg::None | FieldArg::Index(_) => whole_env(thread),
    }
}

pub(super) fn id<'a>(number: i64) -> Value<'a> {
    if (-1..=i64::from(u32::MAX)).contains(&number) {
        Value::Int(number)
    } else {
        Value::Absent
    }
}

pub(super) fn virtual_id<'a>(number: i64) -> Value<'a> {
    if number == -1 {
        Value::Absent
    } else {
        Value::Int(number)
    }
}

pub(super) fn nonzero<'a>(number: u64) -> Value<'a> {
    if number == 0 {
        Value::Absent
    } else {
        Value::Uint(number)
    }
}

pub(super) fn since<'a>(view: &EventView<'a>, thread: &Thread) -> Value<'a> {
    if thread.clone_ts == 0 {
        Value::Absent
    } else {
        Value::Uint(view.event.ts().saturating_sub(thread.clone_ts))
    }
}

pub(super) fn exe_flag<'a>(view: &EventView<'a>, flag: u32) -> Value<'a> {
    of(view, |thread| Value::Bool(thread.exe_flags & flag != 0))
}

pub(super) fn capabilities<'a>(set: u64) -> Value<'a> {
    let mut out = Vec::new();
    names::capabilities(set, &mut out);
    Value::Owned(out)
}

/// Name of a subsystem as the fields know it.
fn subsystem(name: &[u8]) -> &[u8] {
    match name.strip_suffix(b"_cgroup").unwrap_or(name) {
        b"perf" => b"perf_event",
        b"mem" => b"memory",
        b"io" => b"blkio",
        name => name,
    }
}

/// Subsystem and path of each control group; nothing if an entry is none.
fn groups(thread: &Thread) -> Vec<(&[u8], &[u8])> {
    let split = |entry: &'_ [u8]| memchr::memchr(b'=', entry);
    items(&thread.cgroups)
        .map(|entry| split(entry).map(|at| (subsystem(&entry[..at]), &entry[at + 1..])))
        .collect::<Option<_>>()
        .unwrap_or_default()
}

pub(super) fn cgroups<'a>(view: &EventView<'a>) -> Value<'a> {
    of(view, |thread| {
        let groups = groups(thread);
        let texts: Vec<Vec<u8>> = groups
            .iter()
            .map(|(name, path)| [*name, b"=", *path].concat())
            .collect();
        if texts.is_empty() {
            Value::Absent
        } else {
            Value::Owned(texts.join(&b' '))
        }
    })
}

pub(super) fn cgroup<'a>(view: &EventView<'a>, arg: &FieldArg) -> Value<'a> {
    let FieldArg::Key(name) = arg else { return Value::Absent };
    of(view, |thread| {
        Value::from(
            groups(thread)
                .into_iter()
                .find(|(subsystem, _)| *subsystem == name.as_bytes())
                .map(|(_, path)| path),
        )
    })
}
