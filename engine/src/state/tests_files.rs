//! Descriptors where libsinsp keeps what is no longer there (docs/differences.md).

use super::tests::{name, run};
use super::tests_events::{P, openat, push, snapshot};
use crate::event::Batch;
use crate::generated::events::EventKind as K;

fn two_files() -> Batch {
    let mut batch = Batch::new();
    snapshot(&mut batch, 10, 10, 1, "a");
    openat(&mut batch, 2, 10, 3, -100, "/three", 0);
    openat(&mut batch, 2, 10, 4, -100, "/four", 0);
    batch
}

#[test]
fn a_close_that_complains_closes() {
    for (error, there) in [(-9, true), (-5, false), (-4, false)] {
        let mut batch = two_files();
        push(&mut batch, 3, 10, K::Close, &[P::I(error), P::I(3)]);
        push(&mut batch, 4, 10, K::Switch, &[P::I(1)]);
        assert_eq!(name(&run(&batch), 10, 3).is_some(), there, "{error}");
    }
}

#[test]
fn a_copy_of_something_unknown_is_unknown() {
    let mut batch = two_files();
    push(&mut batch, 3, 10, K::Dup2, &[P::I(3), P::I(77), P::I(3)]);
    push(&mut batch, 3, 10, K::PidfdGetfd, &[P::I(4), P::I(78), P::I(5), P::W(0)]);
    let state = run(&batch);
    assert_eq!((name(&state, 10, 3), name(&state, 10, 4)), (None, None));
}

#[test]
fn a_copy_to_itself_changes_nothing() {
    let mut batch = two_files();
    openat(&mut batch, 3, 10, 5, -100, "/five", 4096);
    push(&mut batch, 4, 10, K::Dup2, &[P::I(5), P::I(5), P::I(5)]);
    push(&mut batch, 4, 10, K::Dup2, &[P::I(4), P::I(5), P::I(4)]);
    let state = run(&batch);
    let slot = state.threads.find(10).unwrap();
    let cloexec = |fd| state.threads.fd(slot, fd).unwrap().cloexec;
    assert_eq!((cloexec(5), cloexec(4)), (true, false));
}

#[test]
fn handed_descriptors_are_not_what_their_numbers_were() {
    let rights = |fds: &[i32]| {
        let mut message = (16 + 4 * fds.len() as u64).to_le_bytes().to_vec();
        message.extend([1, 0, 0, 0, 1, 0, 0, 0]);
        fds.iter().for_each(|fd| message.extend(fd.to_le_bytes()));
        message.resize(message.len().next_multiple_of(8), 0);
        message
    };
    let credentials = [
        &28u64.to_le_bytes()[..],
        &[1, 0, 0, 0, 2, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    ]
    .concat();
    for (control, left) in [
        (rights(&[3]), (false, true)),
        ([credentials.clone(), rights(&[3, 4])].concat(), (false, false)),
        (credentials, (true, true)),
        (rights(&[3, 4])[..20].to_vec(), (false, true)),
        (u64::MAX.to_le_bytes().repeat(4), (true, true)),
        (vec![0; 40], (true, true)),
    ] {
        let mut batch = two_files();
        let message = [P::I(1), P::W(1), P::B(b"x"), P::None, P::B(&control), P::I(9)];
        push(&mut batch, 3, 10, K::Recvmsg, &message);
        let state = run(&batch);
        let there = (name(&state, 10, 3).is_some(), name(&state, 10, 4).is_some());
        assert_eq!(there, left, "{control:?}");
    }
}

#[test]
fn what_the_kernel_always_closes_on_exec_is_so() {
    let mut batch = two_files();
    push(&mut batch, 3, 10, K::Bpf, &[P::I(5), P::W(0)]);
    push(&mut batch, 3, 10, K::IoUringSetup, &[P::I(6)]);
    let tuple = [2, 10, 0, 0, 1, 80, 0, 10, 0, 0, 2, 90, 0];
    let accepted = [P::I(7), P::B(&tuple), P::B(&[0]), P::W(0), P::W(0), P::W(0o2_000_000)];
    push(&mut batch, 3, 10, K::Accept4, &accepted);
    let state = run(&batch);
    let slot = state.threads.find(10).unwrap();
    for fd in [5, 6, 7] {
        assert!(state.threads.fd(slot, fd).unwrap().cloexec, "{fd}");
    }
    let told = state.describe(10).unwrap();
    assert_eq!(told["fds"]["7"]["source"], serde_json::json!(["10.0.0.1", 80]));
    assert_eq!(state.describe(99), None);
}
