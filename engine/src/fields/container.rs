//! Fields of the container, as far as control groups tell.

use super::EventView;
use crate::state::containers::HOST;
use crate::value::Value;

pub(super) fn id<'a>(view: &EventView<'a>) -> Value<'a> {
    view.thread().map_or(Value::Absent, |thread| {
        Value::Text(if thread.container.is_empty() {
            HOST
        } else {
            &thread.container
        })
    })
}

pub(super) fn name<'a>(view: &EventView<'a>) -> Value<'a> {
    match id(view) {
        Value::Text(HOST) => Value::Text(HOST),
        _ => Value::Absent,
    }
}

pub(super) fn duration<'a>(view: &EventView<'a>) -> Value<'a> {
    match view.thread() {
        Some(thread) if thread.pidns_start != 0 => Value::Uint(view.event.ts().saturating_sub(thread.pidns_start)),
        _ => Value::Absent,
    }
}
