//! Paths that an event names, made absolute: evt.abspath and fs.path.*.

use super::EventView;
use crate::generated::events::EventKind;
use crate::state::paths;
use crate::value::{FieldArg, Value};

/// As the call was given it, or joined to its directory and normalised.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Raw,
    Absolute,
}

/// Where an event has a path.
#[derive(Clone, Copy)]
enum Named {
    /// A parameter, relative to the current directory,
    Path(usize),
    /// to the directory of the first parameter,
    At(usize, usize),
    /// to the directory in which the second parameter lies: what a symbolic link says.
    Beside(usize, &'static Named),
    /// The path of a descriptor.
    Fd(usize),
}

use Named::{At, Beside, Fd, Path};

fn text<'a>(view: &EventView<'a>, param: usize) -> Option<&'a [u8]> {
    view.event.text(param).filter(|text| !text.is_empty())
}

/// The directory behind a descriptor; one that is not known is called so.
fn directory<'a>(view: &EventView<'a>, dirfd: i64) -> &'a [u8] {
    match view.seen.thread {
        Some(slot) if dirfd >= 0 || dirfd == -100 => view.state.directory(slot, Some(dirfd)),
        _ => b"<UNKNOWN>",
    }
}

fn raw<'a>(view: &EventView<'a>, named: Named) -> Option<Vec<u8>> {
    match named {
        Path(param) | At(_, param) | Beside(param, _) => text(view, param).map(<[u8]>::to_vec),
        Fd(_) => absolute_of(view, named),
    }
}

fn absolute_of(view: &EventView, named: Named) -> Option<Vec<u8>> {
    let slot = view.seen.thread?;
    let mut out = Vec::new();
    match named {
        Path(param) => paths::join(view.state.cwd(slot), text(view, param)?, &mut out),
        At(dirfd, param) => paths::join(directory(view, view.event.int(dirfd)?), text(view, param)?, &mut out),
        Beside(param, link) => {
            let link = absolute_of(view, *link)?;
            let end = memchr::memrchr(b'/', &link).map_or(0, |slash| slash + 1);
            paths::join(&link[..end], text(view, param)?, &mut out);
        }
        Fd(param) => {
            let fd = view.state.threads.fd(slot, view.event.int(param)?)?;
            return Some(fd.name.to_vec()).filter(|name| !name.is_empty());
        }
    }
    Some(out)
}

fn value<'a>(view: &EventView<'a>, named: Option<Named>, form: Form) -> Value<'a> {
    let found = named.and_then(|named| match form {
        Form::Raw => raw(view, named),
        Form::Absolute => absolute_of(view, named),
    });
    match found {
        Some(path) if view.seen.thread.is_some() => Value::Owned(path),
        _ => Value::Absent,
    }
}

/// Whether the call did what it was asked; the result of opens is a descriptor.
fn succeeded(view: &EventView) -> bool {
    view.event.result().is_some_and(|result| result >= 0)
}

/// `evt.abspath`, of failed calls too.
pub(super) fn absolute<'a>(view: &EventView<'a>, arg: &FieldArg) -> Value<'a> {
    use EventKind as K;
    let second = matches!(arg, FieldArg::Key(key) if **key == *"dst");
    let named = match view.event.kind() {
        K::Renameat | K::Renameat2 | K::Linkat => Some(if second { At(3, 4) } else { At(1, 2) }),
        _ if second => None,
        K::Symlinkat => Some(At(2, 3)),
        K::Openat | K::Openat2 | K::Unlinkat | K::Mkdirat | K::Fchmodat | K::Fchownat => Some(At(1, 2)),
        K::OpenByHandleAt => Some(Path(3)).filter(|_| view.event.result().is_some_and(|fd| fd > 0)),
        _ => None,
    };
    value(view, named, Form::Absolute)
}

/// `fs.path.name`.
pub(super) fn single<'a>(view: &EventView<'a>, form: Form) -> Value<'a> {
    use EventKind as K;
    let named = match view.event.kind() {
        K::Mkdir | K::Rmdir | K::Unlink | K::Open | K::Chmod | K::Chown | K::Lchown => Some(Path(1)),
        K::Umount | K::Umount2 | K::Quotactl => Some(Path(1)),
        K::Mkdirat | K::Unlinkat | K::Openat | K::Openat2 | K::Fchmodat | K::Fchownat => Some(At(1, 2)),
        K::Fchmod | K::Fchown => Some(Fd(1)),
        _ => None,
    };
    value(view, named.filter(|_| succeeded(view)), form)
}

/// `fs.path.source`.
pub(super) fn source<'a>(view: &EventView<'a>, form: Form) -> Value<'a> {
    use EventKind as K;
    let named = match view.event.kind() {
        K::Rename | K::Mount => Some(Path(1)),
        K::Renameat | K::Renameat2 => Some(At(1, 2)),
        K::Link | K::Symlink => Some(Path(2)),
        K::Linkat => Some(At(3, 4)),
        K::Symlinkat => Some(At(2, 3)),
        _ => None,
    };
    value(view, named.filter(|_| succeeded(view)), form)
}

/// `fs.path.target`.
pub(super) fn target<'a>(view: &EventView<'a>, form: Form) -> Value<'a> {
    use EventKind as K;
    let named = match view.event.kind() {
        K::Rename | K::Mount => Some(Path(2)),
        K::Renameat | K::Renameat2 => Some(At(3, 4)),
        K::Link => Some(Path(1)),
        K::Linkat => Some(At(1, 2)),
        K::Symlink => Some(Beside(1, &Path(2))),
        K::Symlinkat => Some(Beside(1, &At(2, 3))),
        _ => None,
    };
    value(view, named.filter(|_| succeeded(view)), form)
}
