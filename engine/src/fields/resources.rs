//! Fields of what a process uses: memory, threads, descriptors.

use std::collections::BTreeSet;

use super::EventView;
use crate::state::memory::Memory;
use crate::state::threads::Thread;
use crate::value::{FieldArg, Value};

/// Descriptors in percent of what the process may have open.
pub(super) fn fd_usage<'a>(main: &Thread) -> Value<'a> {
    Value::Double(if main.fdlimit > 0 {
        (100.0 * main.fds.len() as f64 / main.fdlimit as f64).min(100.0)
    } else {
        0.0
    })
}

pub(super) fn memory<'a>(view: &EventView<'a>, of: impl Fn(Memory) -> u64) -> Value<'a> {
    view.thread()
        .map_or(Value::Absent, |thread| Value::Uint(of(thread.memory)))
}

/// As `memory`; 0 of a thread that is not the main one, so that a sum over threads counts each process once.
pub(super) fn of_main<'a>(view: &EventView<'a>, of: impl Fn(Memory) -> u64) -> Value<'a> {
    view.thread().map_or(Value::Absent, |thread| {
        Value::Uint(if thread.is_main() { of(thread.memory) } else { 0 })
    })
}

/// Threads of the process that are alive, with or without its leader.
pub(super) fn threads<'a>(view: &EventView<'a>, with_leader: bool) -> Value<'a> {
    let Some(group) = view.thread().and_then(|thread| view.state.threads.group(thread.pid)) else {
        return Value::Absent;
    };
    let leader = view.main().is_some_and(|main| !main.dead && !with_leader);
    Value::Uint(u64::from(group.alive.saturating_sub(leader.into())))
}

pub(super) fn stdio_type<'a>(view: &EventView<'a>, number: i64) -> Value<'a> {
    let fd = view.main().and_then(|main| main.fds.get(number));
    fd.map_or(Value::Absent, |fd| Value::Text(fd.kind.names().0.as_bytes()))
}

pub(super) fn stdio_name<'a>(view: &EventView<'a>, number: i64) -> Value<'a> {
    let fd = view.main().and_then(|main| main.fds.get(number));
    fd.map_or(Value::Absent, |fd| Value::Text(&fd.name))
}

/// Types of the descriptors of a process, each once, in alphabetical order; or of one of them.
pub(super) fn fd_types<'a>(view: &EventView<'a>, arg: &FieldArg) -> Value<'a> {
    let Some(main) = view.main() else { return Value::Absent };
    match arg {
        FieldArg::Index(number) => match stdio_type(view, i64::from(*number)) {
            Value::Absent => Value::Absent,
            one => Value::List(vec![one]),
        },
        FieldArg::None | FieldArg::Key(_) => {
            let mut types = BTreeSet::new();
            main.fds.any(|_, fd| {
                types.insert(fd.kind.names().0);
                false
            });
            Value::List(types.into_iter().map(|name| Value::Text(name.as_bytes())).collect())
        }
    }
}
