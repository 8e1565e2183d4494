//! Processes: what libsinsp leaves out or has otherwise (docs/differences.md), and what the host tells while events wait.

use super::tests::run;
use super::tests_events::{P, clone, exec, openat, push, snapshot};
use super::threads::CLONE_THREAD;
use crate::event::Batch;
use crate::generated::events::EventKind as K;

fn gone(batch: &mut Batch, ts: u64, tid: i64, reaper: i64) {
    push(
        batch,
        ts,
        tid,
        K::Procexit,
        &[P::I(0), P::I(0), P::B(&[0]), P::B(&[0]), P::I(reaper)],
    );
}

#[test]
fn process_groups_follow_setpgid_and_setsid() {
    let mut batch = Batch::new();
    snapshot(&mut batch, 10, 10, 1, "sh");
    clone(&mut batch, 2, 10, 11, 10, 1, 0);
    clone(&mut batch, 3, 11, 12, 11, 1, CLONE_THREAD);
    push(&mut batch, 4, 10, K::Setpgid, &[P::I(0), P::I(11), P::I(0)]);
    let state = run(&batch);
    for tid in [11, 12] {
        let thread = state.threads.get(tid).unwrap();
        assert_eq!((thread.pgid, thread.vpgid), (11, 11));
    }
    push(&mut batch, 5, 11, K::Setpgid, &[P::I(-1), P::I(0), P::I(10)]);
    push(&mut batch, 6, 11, K::Setpgid, &[P::I(0), P::I(0), P::I(10)]);
    push(&mut batch, 7, 12, K::Setsid, &[P::I(11)]);
    let state = run(&batch);
    let thread = state.threads.get(11).unwrap();
    assert_eq!((thread.sid, thread.pgid, thread.vpgid), (11, 11, 11));
}

#[test]
fn a_name_that_a_thread_gives_itself_is_not_its_programs() {
    let mut batch = Batch::new();
    snapshot(&mut batch, 10, 10, 1, "java");
    let text = P::T("sshd");
    push(&mut batch, 2, 10, K::Prctl, &[P::I(0), P::W(15), text, P::I(0)]);
    assert_eq!(&*run(&batch).threads.get(10).unwrap().comm, b"java");
}

#[test]
fn asking_for_a_reaper_makes_none() {
    let mut batch = Batch::new();
    snapshot(&mut batch, 10, 10, 1, "a");
    let prctl = |batch: &mut Batch, result, option, value| {
        push(
            batch,
            2,
            10,
            K::Prctl,
            &[P::I(result), P::W(option), P::None, P::I(value)],
        );
    };
    prctl(&mut batch, 0, 37, 1);
    prctl(&mut batch, -22, 36, 1);
    assert!(!run(&batch).threads.group(10).unwrap().reaper);
    prctl(&mut batch, 0, 36, 1);
    assert!(run(&batch).threads.group(10).unwrap().reaper);
}

#[test]
fn whom_the_kernel_names_is_a_reaper_from_then_on() {
    let mut batch = Batch::new();
    for (tid, ptid) in [(5, 0), (10, 5), (11, 10)] {
        snapshot(&mut batch, tid, tid, ptid, "a");
    }
    gone(&mut batch, 4, 10, 5);
    push(&mut batch, 5, 11, K::Switch, &[P::I(1)]);
    let state = run(&batch);
    assert_eq!(state.threads.get(11).unwrap().ptid, 5);
    assert!(state.threads.group(5).unwrap().reaper);
}

#[test]
fn ids_that_are_kept_stay() {
    const KEPT: u32 = u32::MAX;
    let mut batch = Batch::new();
    snapshot(&mut batch, 10, 10, 1, "a");
    push(&mut batch, 2, 10, K::Setreuid, &[P::I(0), P::W(7), P::W(KEPT)]);
    push(
        &mut batch,
        3,
        10,
        K::Setresgid,
        &[P::I(0), P::W(7), P::W(8), P::W(KEPT)],
    );
    push(&mut batch, 4, 10, K::Setresuid, &[P::I(-1), P::W(9), P::W(9), P::W(9)]);
    let state = run(&batch);
    let thread = state.threads.get(10).unwrap();
    assert_eq!((thread.uid, thread.gid), (1000, 8));
}

#[test]
fn a_new_user_namespace_gives_all_but_inheritable_capabilities() {
    let full = (1u64 << 41) - 1;
    for (kind, params) in [
        (K::Unshare, vec![P::I(0), P::W(1 << 20)]),
        (K::Setns, vec![P::I(0), P::I(9), P::W(1 << 20)]),
        (K::Setns, vec![P::I(0), P::I(3), P::W(0)]),
    ] {
        let mut batch = Batch::new();
        snapshot(&mut batch, 10, 10, 1, "a");
        openat(&mut batch, 2, 10, 3, -100, "/proc/1/ns/user", 0);
        let mut refused = params.clone();
        refused[0] = P::I(-1);
        push(&mut batch, 3, 10, kind, &refused);
        assert_eq!(run(&batch).threads.get(10).unwrap().cap_effective, 0);
        push(&mut batch, 4, 10, kind, &params);
        let state = run(&batch);
        let thread = state.threads.get(10).unwrap();
        let sets = (thread.cap_effective, thread.cap_permitted, thread.cap_inheritable);
        assert_eq!(sets, (full, full, 0));
    }
}

#[test]
fn roots_nest() {
    let mut batch = Batch::new();
    snapshot(&mut batch, 10, 10, 1, "a");
    push(&mut batch, 2, 10, K::Chroot, &[P::I(0), P::T("/srv//jail/")]);
    push(&mut batch, 3, 10, K::Chroot, &[P::I(0), P::T("/inner")]);
    push(&mut batch, 4, 10, K::Chroot, &[P::I(-1), P::T("/no")]);
    assert_eq!(&*run(&batch).threads.get(10).unwrap().root, b"/srv/jail/inner");
}

/// Events older than what the host told of their thread could only take it back.
#[test]
fn what_the_host_told_later_holds() {
    let mut batch = Batch::new();
    snapshot(&mut batch, 10, 10, 1, "a");
    push(
        &mut batch,
        1,
        10,
        K::FdSnapshot,
        &[P::I(3), P::B(&[1]), P::T("/new"), P::W(1), P::W(0), P::I(1)],
    );
    push(&mut batch, 0, 10, K::Chdir, &[P::I(0), P::T("home")]);
    push(&mut batch, 0, 10, K::Dup2, &[P::I(3), P::I(4), P::I(3)]);
    exec(&mut batch, 0, 10, "old");
    clone(&mut batch, 0, 9, 10, 9, 1, 0);
    gone(&mut batch, 0, 10, 1);
    push(&mut batch, 2, 10, K::Switch, &[P::I(1)]);
    let state = run(&batch);
    let slot = state.threads.find(10).unwrap();
    assert_eq!(
        (&*state.threads[slot].comm, state.cwd(slot)),
        (&b"a"[..], &b"/home/"[..])
    );
    assert_eq!(&*state.threads.fd(slot, 3).unwrap().name, b"/new");
    assert_eq!(state.counters.reused_threads, 0);
}

#[test]
fn an_old_capture_tells_the_program_by_its_call() {
    let mut batch = Batch::new();
    snapshot(&mut batch, 10, 10, 1, "a");
    let mut params = vec![P::None; 31];
    (params[0], params[1], params[4]) = (P::I(0), P::T("x"), P::I(10));
    let mut known = params.clone();
    known[30] = P::T("../bin/x");
    push(&mut batch, 2, 10, K::Execve, &known);
    assert_eq!(&*run(&batch).threads.get(10).unwrap().exepath, b"/bin/x");
    push(&mut batch, 3, 10, K::Execve, &params);
    assert_eq!(&*run(&batch).threads.get(10).unwrap().exepath, b"<NA>");
}

#[test]
fn children_are_processes_and_told_once() {
    let mut batch = Batch::new();
    for (tid, ptid) in [(5, 0), (10, 5), (11, 10)] {
        snapshot(&mut batch, tid, tid, ptid, "a");
    }
    // 11 comes again, as its exit was lost; then 5 takes it over, and a thread of 10 has its number.
    clone(&mut batch, 2, 10, 11, 10, 5, 0);
    let children = |batch: &Batch, tid| run(batch).describe(tid).unwrap()["children"].clone();
    assert_eq!(children(&batch, 10), serde_json::json!([11]));
    gone(&mut batch, 3, 10, 5);
    push(&mut batch, 4, 5, K::Switch, &[P::I(1)]);
    assert_eq!(children(&batch, 5), serde_json::json!([11]));
    gone(&mut batch, 5, 11, 5);
    clone(&mut batch, 3_000_000_000, 5, 12, 5, 0, 0);
    clone(&mut batch, 3_000_000_000, 12, 11, 12, 5, CLONE_THREAD);
    assert_eq!(children(&batch, 5), serde_json::json!([12]));
}

#[test]
fn threads_go_with_their_process_to_its_new_parent() {
    let mut batch = Batch::new();
    for (tid, ptid) in [(5, 0), (10, 5), (11, 10)] {
        snapshot(&mut batch, tid, tid, ptid, "a");
    }
    clone(&mut batch, 2, 11, 12, 11, 10, CLONE_THREAD);
    gone(&mut batch, 3, 10, 5);
    push(&mut batch, 4, 5, K::Switch, &[P::I(1)]);
    let state = run(&batch);
    let parents = [11, 12].map(|tid| state.threads.get(tid).unwrap().ptid);
    assert_eq!(parents, [5, 5]);
}

/// A leader that exited comes back where another thread of its process executes a program.
#[test]
fn who_took_over_from_a_leader_is_forgotten_when_it_comes_back() {
    let mut batch = Batch::new();
    for (tid, ptid) in [(1, 0), (10, 1), (12, 10)] {
        snapshot(&mut batch, tid, tid, ptid, "a");
    }
    clone(&mut batch, 2, 10, 11, 10, 1, CLONE_THREAD);
    gone(&mut batch, 3, 10, 11);
    exec(&mut batch, 4, 10, "b");
    push(&mut batch, 5, 1, K::Switch, &[P::I(1)]);
    let parent = |batch: &Batch| run(batch).threads.get(12).unwrap().ptid;
    assert_eq!(parent(&batch), 10);
    // Its exit is lost, its number comes again.
    clone(&mut batch, 3_000_000_000, 1, 10, 1, 0, 0);
    assert_eq!(parent(&batch), 1);
}
