//! Fields of the event itself.

use std::sync::LazyLock;

use super::EventView;
use crate::generated::events::EventKind;
use crate::generated::syscalls::SYSCALLS;
use crate::names;
use crate::render;
use crate::state::fds::FdKind;
use crate::table::{Category, Coding, ParamType, Source};
use crate::value::{FieldArg, Value};

pub(super) const O_RDONLY: u64 = 1;
pub(super) const O_WRONLY: u64 = 2;
const O_CREAT: u64 = 4;
const O_TMPFILE: u64 = 8192;
const O_F_CREATED: u64 = 16384;

pub(super) fn is_meta(view: &EventView) -> bool {
    view.event.kind().info().source == Source::Metaevent
}

pub(super) fn asynctype<'a>(view: &EventView<'a>) -> Value<'a> {
    match view.event.kind() {
        EventKind::Asyncevent => Value::from(view.event.text(1)),
        kind if is_meta(view) => Value::Text(kind.info().name.as_bytes()),
        _ => Value::Absent,
    }
}

/// `evt.type`: of a call without an event of its own, the name of the call.
pub(super) fn name<'a>(view: &EventView<'a>) -> Value<'a> {
    match view.event.kind() {
        EventKind::Syscall => Value::Text(syscall_name(view).unwrap_or("syscall").as_bytes()),
        EventKind::Asyncevent => Value::from(view.event.text(1)),
        kind => Value::Text(kind.info().name.as_bytes()),
    }
}

/// Names of system calls by the number that captures have for them, and by that of the kernel.
static NAMES: LazyLock<[Vec<Option<&str>>; 2]> = LazyLock::new(|| {
    let mut names = [Vec::new(), Vec::new()];
    for call in &SYSCALLS {
        for (names, number) in names.iter_mut().zip([usize::from(call.ppm_sc), usize::from(call.nr)]) {
            if names.len() <= number {
                names.resize(number + 1, None);
            }
            names[number].get_or_insert(call.name);
        }
    }
    names
});

fn syscall_name(view: &EventView) -> Option<&'static str> {
    let named = |by: usize| {
        let number = usize::try_from(view.event.uint(by)?).ok()?;
        NAMES[by].get(number).copied().flatten()
    };
    named(0).or_else(|| named(1))
}

/// `evt.type.is.NAME`, also by code.
pub(super) fn is_type<'a>(view: &EventView<'a>, arg: &FieldArg) -> Value<'a> {
    let FieldArg::Key(wanted) = arg else {
        return Value::Absent;
    };
    let is = match wanted.parse::<u16>() {
        Ok(code) => view.event.kind().code() == code,
        Err(_) => name(view).bytes() == Some(wanted.as_bytes()),
    };
    Value::Uint(is.into())
}

/// ns since the first event.
pub(super) fn since_first(view: &EventView) -> u64 {
    view.event.ts().saturating_sub(view.first_ts)
}

/// ns since the event before.
pub(super) fn since_before(view: &EventView) -> u64 {
    match view.state.times.0 {
        0 => 0,
        before => view.event.ts().saturating_sub(before),
    }
}

/// How far from a time the event is: ms, rounded up, so that `<=` asks what `evt.around[T] = D` means.
pub(super) fn around<'a>(view: &EventView<'a>, arg: &FieldArg) -> Value<'a> {
    match arg {
        FieldArg::Key(time) => time.parse::<u64>().map_or(Value::Absent, |time| {
            Value::Uint(view.event.ts().abs_diff(time).div_ceil(1_000_000))
        }),
        FieldArg::None | FieldArg::Index(_) => Value::Absent,
    }
}

pub(super) fn syscall<'a>(view: &EventView<'a>) -> Value<'a> {
    if view.event.kind().info().source == Source::Syscall {
        name(view)
    } else {
        Value::Absent
    }
}

pub(super) fn category<'a>(view: &EventView<'a>) -> Value<'a> {
    Value::Text(match view.event.kind().info().category {
        Category::Unknown => b"unknown",
        Category::Other => b"other",
        Category::File => b"file",
        Category::Net => b"net",
        Category::Ipc => b"IPC",
        Category::Memory => b"memory",
        Category::Process => b"process",
        Category::Sleep => b"sleep",
        Category::System => b"system",
        Category::Signal => b"signal",
        Category::User => b"user",
        Category::Time => b"time",
        Category::Processing => b"processing",
        Category::Wait => b"wait",
        Category::Scheduler => b"scheduler",
        Category::Internal => b"internal",
        Category::IoRead | Category::IoWrite | Category::IoOther => match view.file().map(|fd| fd.kind) {
            Some(FdKind::File | FdKind::FileV2 | FdKind::Directory) => b"file",
            Some(FdKind::Ipv4 | FdKind::Ipv6 | FdKind::Ipv4Server | FdKind::Ipv6Server) => b"net",
            Some(
                FdKind::Unix
                | FdKind::Pipe
                | FdKind::Event
                | FdKind::Signalfd
                | FdKind::Userfaultfd
                | FdKind::Inotify
                | FdKind::Timerfd,
            ) => b"ipc",
            _ => b"unknown",
        },
    })
}

pub(super) fn args<'a>(view: &EventView<'a>) -> Value<'a> {
    let mut out = Vec::new();
    render::args(&view.event, view, &mut out);
    Value::Owned(out)
}

fn param(view: &EventView, arg: &FieldArg) -> Option<usize> {
    match arg {
        FieldArg::None => None,
        FieldArg::Index(index) => Some(*index as usize),
        FieldArg::Key(name) => view.arg_text(name.as_bytes()),
    }
    .filter(|param| *param < view.event.param_count())
}

pub(super) fn arg<'a>(view: &EventView<'a>, arg: &FieldArg) -> Value<'a> {
    let mut out = Vec::new();
    match param(view, arg) {
        Some(param) if render::arg(&view.event, param, view, &mut out) => Value::Owned(out),
        _ => Value::Absent,
    }
}

pub(super) fn rawarg<'a>(view: &EventView<'a>, arg: &FieldArg) -> Value<'a> {
    let Some(param) = param(view, arg) else {
        return Value::Absent;
    };
    let kind = view.event.kind().info().params[param].kind;
    match kind.coding() {
        Coding::Int { signed: true, .. } => view.event.int(param).map_or(Value::Absent, Value::Int),
        Coding::Int { signed: false, .. } if kind == ParamType::Bool => view
            .event
            .uint(param)
            .map_or(Value::Absent, |value| Value::Bool(value != 0)),
        Coding::Int { signed: false, .. } => view.event.uint(param).map_or(Value::Absent, Value::Uint),
        Coding::Text => Value::Text(
            view.event
                .text(param)
                .filter(|text| !text.is_empty())
                .unwrap_or(b"<NA>"),
        ),
        Coding::Bytes | Coding::Sockaddr | Coding::Socktuple | Coding::Fdlist | Coding::Dyn => {
            Value::from(view.event.param(param).filter(|bytes| !bytes.is_empty()))
        }
    }
}

pub(super) fn res<'a>(view: &EventView<'a>) -> Value<'a> {
    match view.event.result() {
        None => Value::Absent,
        Some(result) if result >= 0 => Value::Text(b"SUCCESS"),
        Some(result) if view.event.kind().info().params[0].kind == ParamType::Pid => {
            Value::Owned(result.to_string().into_bytes())
        }
        Some(result) => match names::errno(result.saturating_neg()) {
            Some(name) => Value::Text(name.as_bytes()),
            None => Value::Owned(result.to_string().into_bytes()),
        },
    }
}

pub(super) fn has_flag<'a>(view: &EventView<'a>, flags: u8) -> Value<'a> {
    Value::Bool(view.event.kind().info().flags & flags != 0)
}

/// Flags and mode of an open, whether it succeeded or not.
fn open_params(view: &EventView) -> Option<(u64, u64)> {
    let (flags, mode) = match view.event.kind() {
        EventKind::Open => (2, Some(3)),
        EventKind::Openat | EventKind::Openat2 => (3, Some(4)),
        EventKind::OpenByHandleAt => (2, None),
        _ => return None,
    };
    Some((
        view.event.uint(flags)?,
        mode.and_then(|mode| view.event.uint(mode)).unwrap_or(0),
    ))
}

pub(super) fn open_flag<'a>(view: &EventView<'a>, flag: u64) -> Value<'a> {
    Value::Bool(open_params(view).is_some_and(|(flags, _)| flags & flag != 0))
}

pub(super) fn open_exec<'a>(view: &EventView<'a>) -> Value<'a> {
    if view.event.kind() == EventKind::Creat {
        return Value::Bool(view.event.uint(2).is_some_and(|mode| mode & 0o111 != 0));
    }
    Value::Bool(open_params(view).is_some_and(|(flags, mode)| flags & (O_CREAT | O_TMPFILE) != 0 && mode & 0o111 != 0))
}

pub(super) fn open_create<'a>(view: &EventView<'a>) -> Value<'a> {
    let made = view.event.result().is_some_and(|result| result >= 0);
    Value::Bool(
        open_params(view).is_some_and(|(flags, _)| flags & O_F_CREATED != 0 || (flags & O_TMPFILE != 0 && made)),
    )
}
