//! What a live comparison with the kernel's own answers found (tests/e2e/test_differential.py).

use super::fds::FdKind;
use super::tests::{name, run};
use super::tests_events::{P, clone, clone_as, openat, push, snapshot};
use super::threads::CLONE_THREAD;
use crate::event::Batch;
use crate::generated::events::EventKind as K;

fn one() -> Batch {
    let mut batch = Batch::new();
    snapshot(&mut batch, 10, 10, 1, "a");
    batch
}

/// The thread `tid` is told again, at `ts`.
fn again(batch: &mut Batch, ts: u64, tid: i64, pid: i64) {
    let mut told = Batch::new();
    snapshot(&mut told, tid, pid, 1, "a");
    let event = told.get(0);
    let params: Vec<&[u8]> = (0..event.param_count()).map(|i| event.param(i).unwrap()).collect();
    batch.push(ts, tid, 0, K::ThreadSnapshot, params);
}

#[test]
fn an_ioctl_sets_close_on_exec_as_fcntl_does() {
    let mut batch = one();
    openat(&mut batch, 2, 10, 3, -100, "/three", 0);
    let ioctl = |batch: &mut Batch, result, request| {
        push(batch, 3, 10, K::Ioctl, &[P::I(result), P::I(3), P::I(request), P::I(0)]);
    };
    let cloexec = |batch: &Batch| {
        let state = run(batch);
        state.threads.fd(state.threads.find(10).unwrap(), 3).unwrap().cloexec
    };
    ioctl(&mut batch, 0, 0x5451);
    assert!(cloexec(&batch));
    ioctl(&mut batch, -9, 0x5450);
    ioctl(&mut batch, 0, 0x5401);
    assert!(cloexec(&batch));
    ioctl(&mut batch, 0, 0x5450);
    assert!(!cloexec(&batch));
}

#[test]
fn a_timer_may_be_closed_on_exec() {
    let mut batch = one();
    for flags in [0u8, 1] {
        let number = P::I(3 + i64::from(flags));
        push(
            &mut batch,
            2,
            10,
            K::TimerfdCreate,
            &[number, P::B(&[1]), P::B(&[flags])],
        );
    }
    let state = run(&batch);
    let slot = state.threads.find(10).unwrap();
    assert_eq!(
        [3, 4].map(|fd| state.threads.fd(slot, fd).unwrap().cloexec),
        [false, true]
    );
}

#[test]
fn who_is_told_again_has_the_threads_that_are_told_with_it() {
    let mut batch = one();
    for tid in [11, 12] {
        clone(&mut batch, 2, tid, 0, 10, 1, CLONE_THREAD);
    }
    again(&mut batch, 9, 10, 10);
    again(&mut batch, 9, 12, 10);
    let state = run(&batch);
    assert!(
        state.threads.find(11).is_none(),
        "gone without an exit: another thread's exec"
    );
    let group = state.threads.group(10).unwrap();
    assert_eq!((&group.members[..], group.alive), (&[10, 12][..], 2));
}

#[test]
fn who_was_told_of_before_can_be_changed_by_one_who_was_told_of_later() {
    let mut batch = one();
    again(&mut batch, 5, 11, 11);
    again(&mut batch, 9, 10, 10);
    let setpgid = |batch: &mut Batch, ts, process, group| {
        push(batch, ts, 10, K::Setpgid, &[P::I(0), P::I(process), P::I(group)]);
    };
    setpgid(&mut batch, 4, 11, 10);
    assert_eq!(run(&batch).threads.get(11).unwrap().pgid, 11, "it was told later");
    setpgid(&mut batch, 7, 11, 10);
    setpgid(&mut batch, 7, 0, 11);
    let state = run(&batch);
    assert_eq!([10, 11].map(|pid| state.threads.get(pid).unwrap().pgid), [10, 10]);
}

#[test]
fn the_first_of_a_pid_namespace_is_in_no_session_of_it() {
    let mut batch = one();
    clone_as(&mut batch, 2, 11, 0, [11, 10, 1, 1], 0);
    let state = run(&batch);
    let thread = state.threads.get(11).unwrap();
    assert_eq!((thread.sid, thread.vpgid, thread.pgid), (0, 0, 10));
}

#[test]
fn a_told_connection_from_a_mapped_address_is_ipv4() {
    let mut batch = one();
    let mapped = [&[0; 10][..], &[255, 255, 127, 0, 0, 1]].concat();
    let tuple = [
        &[10u8][..],
        &mapped,
        &80u16.to_le_bytes(),
        &mapped,
        &9000u16.to_le_bytes(),
    ]
    .concat();
    let server = [&[10u8][..], &[0; 16], &7000u16.to_le_bytes()].concat();
    let told = |batch: &mut Batch, fd, kind, tuple, addr| {
        let params = [
            P::I(fd),
            P::B(kind),
            P::T(""),
            P::W(0),
            P::W(0),
            P::I(0),
            P::B(&[2]),
            tuple,
            addr,
        ];
        push(batch, 2, 10, K::FdSnapshot, &params);
    };
    told(&mut batch, 3, &[4], P::B(&tuple), P::None);
    told(&mut batch, 4, &[6], P::None, P::B(&server));
    let state = run(&batch);
    let slot = state.threads.find(10).unwrap();
    let kinds = [3, 4].map(|fd| state.threads.fd(slot, fd).unwrap().kind);
    assert_eq!(kinds, [FdKind::Ipv4, FdKind::Ipv4Server]);
    assert_eq!(name(&state, 10, 3).unwrap(), "127.0.0.1:80->127.0.0.1:9000");
    assert_eq!(name(&state, 10, 4).unwrap(), ":::7000", "as bind names it");
}

#[test]
fn who_becomes_another_user_loses_what_root_may() {
    const ALL: i64 = 0xff;
    const KEEP: u32 = u32::MAX;
    let run_calls = |calls: &[(K, &[u32])]| {
        let mut batch = one();
        push(&mut batch, 2, 10, K::Setuid, &[P::I(0), P::W(0)]);
        push(&mut batch, 2, 10, K::Capset, &[P::I(0), P::I(0), P::I(ALL), P::I(ALL)]);
        for (kind, ids) in calls {
            let mut params = vec![P::I(0)];
            params.extend(ids.iter().map(|id| P::W(*id)));
            push(&mut batch, 3, 10, *kind, &params);
        }
        let state = run(&batch);
        let thread = state.threads.get(10).unwrap();
        (thread.cap_permitted as i64, thread.cap_effective as i64)
    };
    assert_eq!(run_calls(&[(K::Setuid, &[5])]), (0, 0));
    assert_eq!(run_calls(&[(K::Setresuid, &[5, 5, 5])]), (0, 0));
    assert_eq!(run_calls(&[(K::Setreuid, &[5, 5])]), (0, 0));
    let for_a_while: (K, &[u32]) = (K::Setresuid, &[KEEP, 5, KEEP]);
    assert_eq!(run_calls(&[for_a_while]), (ALL, 0));
    assert_eq!(run_calls(&[for_a_while, (K::Setresuid, &[KEEP, 0, KEEP])]), (ALL, ALL));
    assert_eq!(run_calls(&[for_a_while, (K::Setresuid, &[5, 5, 5])]), (0, 0));
    assert_eq!(run_calls(&[(K::Setuid, &[0])]), (ALL, ALL));
    assert_eq!(run_calls(&[(K::Setgid, &[5])]), (ALL, ALL));
    // One that is no root and may something, as its file or its caller gave it, keeps it.
    let some: (K, &[u32]) = (K::Setuid, &[5]);
    let mut batch = one();
    push(&mut batch, 2, 10, K::Capset, &[P::I(0), P::I(0), P::I(ALL), P::I(ALL)]);
    push(&mut batch, 3, 10, some.0, &[P::I(0), P::W(5)]);
    assert_eq!(run(&batch).threads.get(10).unwrap().cap_effective as i64, ALL);
}
