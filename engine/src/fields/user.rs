//! Fields of the user and group of a thread.

use super::EventView;
use crate::state::threads::Thread;
use crate::state::users::Users;
use crate::value::Value;

const UNKNOWN: &[u8] = b"<NA>";

/// Name of a user of a container: `root` for 0 and `<NA>` where the table has none.
pub(crate) fn name_of<'a>(users: &'a Users, container: &[u8], uid: u32) -> &'a [u8] {
    match users.user(container, uid) {
        Some(user) => &user.name,
        None if uid == 0 => b"root",
        None => UNKNOWN,
    }
}

pub(crate) fn group_of<'a>(users: &'a Users, container: &[u8], gid: u32) -> &'a [u8] {
    match users.group(container, gid) {
        Some(name) => name,
        None if gid == 0 => b"root",
        None => UNKNOWN,
    }
}

fn of<'a>(view: &EventView<'a>, field: impl Fn(&'a Users, &'a Thread) -> &'a [u8]) -> Value<'a> {
    view.thread()
        .map_or(Value::Absent, |thread| Value::Text(field(&view.state.users, thread)))
}

pub(super) fn name<'a>(view: &EventView<'a>) -> Value<'a> {
    of(view, |users, thread| name_of(users, &thread.container, thread.uid))
}

pub(super) fn home<'a>(view: &EventView<'a>) -> Value<'a> {
    of(view, |users, thread| match users.user(&thread.container, thread.uid) {
        Some(user) => &user.home,
        None if thread.uid == 0 => b"/root",
        None => UNKNOWN,
    })
}

pub(super) fn shell<'a>(view: &EventView<'a>) -> Value<'a> {
    of(view, |users, thread| {
        users
            .user(&thread.container, thread.uid)
            .map_or(UNKNOWN, |user| &user.shell)
    })
}

pub(super) fn login<'a>(view: &EventView<'a>) -> Value<'a> {
    of(view, |users, thread| name_of(users, &thread.container, thread.loginuid))
}

pub(super) fn group<'a>(view: &EventView<'a>) -> Value<'a> {
    of(view, |users, thread| group_of(users, &thread.container, thread.gid))
}
