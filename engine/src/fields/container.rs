//! Fields of the container and its pod: the id from the control groups, the rest from what the runtime told.

use super::EventView;
use crate::facts::{Container, Mount};
use crate::predicate::glob::Glob;
use crate::state::containers::HOST;
use crate::value::{FieldArg, Value};

/// Which end of a mount an argument that is no index is matched with.
#[derive(Clone, Copy)]
pub(super) enum By {
    Source,
    Destination,
}

pub(super) fn id<'a>(view: &EventView<'a>) -> Value<'a> {
    view.thread().map_or(Value::Absent, |thread| {
        Value::Text(if thread.container.is_empty() {
            HOST
        } else {
            &thread.container
        })
    })
}

/// What is known of the event's container; nothing on the host and while nobody has told.
fn known<'a>(view: &EventView<'a>) -> Option<&'a Container> {
    let thread = view.thread()?;
    if !thread.in_container() {
        return None;
    }
    view.state.containers.get(&thread.container)
}

pub(super) fn name<'a>(view: &EventView<'a>) -> Value<'a> {
    match id(view) {
        Value::Text(HOST) => Value::Text(HOST),
        _ => text(view, |container| &container.name),
    }
}

pub(super) fn text<'a>(view: &EventView<'a>, read: impl Fn(&Container) -> &Vec<u8>) -> Value<'a> {
    known(view).map_or(Value::Absent, |container| Value::Text(read(container)))
}

pub(super) fn flag<'a>(view: &EventView<'a>, read: impl Fn(&Container) -> bool) -> Value<'a> {
    known(view).map_or(Value::Absent, |container| Value::Bool(read(container)))
}

pub(super) fn duration<'a>(view: &EventView<'a>) -> Value<'a> {
    match view.thread() {
        Some(thread) if thread.pidns_start != 0 => Value::Uint(view.event.ts().saturating_sub(thread.pidns_start)),
        _ => Value::Absent,
    }
}

pub(super) fn rdwr(mount: &Mount) -> &'static [u8] {
    if mount.writable { b"true" } else { b"false" }
}

pub(super) fn mount_text(mount: &Mount) -> Vec<u8> {
    [
        &mount.source[..],
        &mount.destination,
        &mount.mode,
        rdwr(mount),
        &mount.propagation,
    ]
    .join(&b':')
}

pub(super) fn mounts<'a>(view: &EventView<'a>) -> Value<'a> {
    known(view).map_or(Value::Absent, |container| {
        let all: Vec<Vec<u8>> = container.mounts.iter().map(mount_text).collect();
        Value::Owned(all.join(&b','))
    })
}

/// Something of the mount with this index, or of the first one whose end fits this glob.
pub(super) fn mount<'a>(view: &EventView<'a>, arg: &FieldArg, by: By, read: impl Fn(&Mount) -> Vec<u8>) -> Value<'a> {
    let Some(container) = known(view) else {
        return Value::Absent;
    };
    let found = match arg {
        FieldArg::None => None,
        FieldArg::Index(index) => container.mounts.get(*index as usize),
        FieldArg::Key(pattern) => {
            let glob = Glob::new(pattern.as_bytes(), false);
            container.mounts.iter().find(|mount| {
                glob.matches(match by {
                    By::Source => &mount.source,
                    By::Destination => &mount.destination,
                })
            })
        }
    };
    found.map_or(Value::Absent, |mount| Value::Owned(read(mount)))
}

type Labels = [(Vec<u8>, Vec<u8>)];

fn of_labels<'a>(labels: &'a Labels, key: &[u8]) -> Value<'a> {
    match labels.binary_search_by(|(known, _)| known.as_slice().cmp(key)) {
        Ok(at) => Value::Text(&labels[at].1),
        Err(_) => Value::Absent,
    }
}

/// `k:v, k:v`, without those that Kubernetes keeps for itself.
fn joined(labels: &Labels) -> Vec<u8> {
    let mut out = Vec::new();
    for (key, value) in labels {
        if key.starts_with(b"annotation.") || key.starts_with(b"io.kubernetes.") {
            continue;
        }
        if !out.is_empty() {
            out.extend_from_slice(b", ");
        }
        out.extend_from_slice(key);
        if !value.is_empty() {
            out.push(b':');
            out.extend_from_slice(value);
        }
    }
    out
}

pub(super) fn label<'a>(view: &EventView<'a>, arg: &FieldArg) -> Value<'a> {
    match (known(view), arg) {
        (Some(container), FieldArg::Key(key)) => of_labels(&container.labels, key.as_bytes()),
        _ => Value::Absent,
    }
}

pub(super) fn labels<'a>(view: &EventView<'a>) -> Value<'a> {
    known(view).map_or(Value::Absent, |container| Value::Owned(joined(&container.labels)))
}

/// A label that the kubelet gives.
pub(super) fn kubernetes<'a>(view: &EventView<'a>, key: &[u8]) -> Value<'a> {
    known(view).map_or(Value::Absent, |container| of_labels(&container.labels, key))
}

pub(super) fn sandbox_id<'a>(view: &EventView<'a>, most: usize) -> Value<'a> {
    match known(view) {
        Some(container) if !container.sandbox_id.is_empty() => {
            Value::Text(&container.sandbox_id[..container.sandbox_id.len().min(most)])
        }
        _ => Value::Absent,
    }
}

/// The container that tells of the pod: the event's own if it has a CNI result, else its sandbox's.
fn pod<'a>(view: &EventView<'a>) -> Option<&'a Container> {
    let own = known(view)?;
    if own.cni_json.is_empty() {
        view.state.containers.sandbox(own)
    } else {
        Some(own)
    }
}

pub(super) fn pod_text<'a>(view: &EventView<'a>, read: impl Fn(&Container) -> &Vec<u8>) -> Value<'a> {
    pod(view).map_or(Value::Absent, |container| Value::Text(read(container)))
}

/// The pod's labels: the sandbox's where it has some, else what the container says of its sandbox.
fn labels_of_pod<'a>(view: &EventView<'a>) -> Option<&'a Labels> {
    let of = |container: &'a Container| &container.sandbox_labels[..];
    pod(view)
        .map(of)
        .filter(|labels| !labels.is_empty())
        .or_else(|| known(view).filter(|own| !own.sandbox_id.is_empty()).map(of))
}

pub(super) fn pod_label<'a>(view: &EventView<'a>, arg: &FieldArg) -> Value<'a> {
    match (labels_of_pod(view), arg) {
        (Some(labels), FieldArg::Key(key)) => of_labels(labels, key.as_bytes()),
        _ => Value::Absent,
    }
}

pub(super) fn pod_labels<'a>(view: &EventView<'a>) -> Value<'a> {
    labels_of_pod(view).map_or(Value::Absent, |labels| Value::Owned(joined(labels)))
}
