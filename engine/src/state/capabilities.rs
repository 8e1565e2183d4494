//! What becomes of capabilities when a thread changes its user (capabilities(7), "Effect of user ID changes").

use super::threads::Thread;
use crate::event::Event;
use crate::generated::events::EventKind;

/// The effective user becomes `id` by a setuid, setreuid or setresuid that succeeded. The real and the saved user are not
/// kept: where it hangs on them, a thread that was root, or that may do nothing for the moment, is taken to be root in both.
/// Who asked to keep what it may (PR_SET_KEEPCAPS) says what that is by capset before it matters.
pub(super) fn follow(thread: &mut Thread, event: &Event, id: u32) {
    let was_root = thread.uid == 0;
    if id == 0 {
        if !was_root {
            thread.cap_effective = thread.cap_permitted;
        }
        return;
    }
    let gives_up = match event.kind() {
        EventKind::Setuid => was_root,
        EventKind::Setreuid => is_another(event, 1),
        EventKind::Setresuid => is_another(event, 1) && is_another(event, 3),
        _ => false,
    };
    if gives_up && (was_root || thread.cap_effective == 0) {
        thread.cap_permitted = 0;
    }
    if was_root || thread.cap_permitted == 0 {
        thread.cap_effective = 0;
    }
}

/// Whether a user is set that is not root.
fn is_another(event: &Event, param: usize) -> bool {
    event.uint(param).is_some_and(|id| !matches!(id as u32, 0 | u32::MAX))
}
