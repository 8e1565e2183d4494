//! Sequences of events, and the state after them.

use super::tests_events::{P, clone, exec, openat, push, snapshot};
use super::*;
use crate::event::Batch;
use crate::generated::events::EventKind as K;

pub(super) fn run(batch: &Batch) -> State {
    let mut state = State::new(Limits::default());
    for (index, event) in batch.iter().enumerate() {
        state.apply(&event, index as u64);
    }
    state
}

pub(super) fn name(state: &State, tid: i64, fd: i64) -> Option<String> {
    let slot = state.threads.find(tid)?;
    state
        .threads
        .fd(slot, fd)
        .map(|fd| String::from_utf8_lossy(&fd.name).into_owned())
}

#[test]
fn a_child_inherits_and_becomes_another_program() {
    let mut batch = Batch::new();
    snapshot(&mut batch, 10, 10, 1, "bash");
    openat(&mut batch, 2, 10, 3, -100, "a", 0);
    openat(&mut batch, 3, 10, 4, -100, "b", 4096);
    clone(&mut batch, 5, 11, 0, 11, 10, 0);
    clone(&mut batch, 6, 10, 11, 10, 1, 0);
    exec(&mut batch, 7, 11, "ls");
    let state = run(&batch);
    let child = state.threads.get(11).unwrap();
    assert_eq!(
        (&*child.comm, &*child.exepath, &*child.cwd),
        (&b"ls"[..], &b"/bin/x"[..], &b"/home/"[..])
    );
    assert_eq!((child.uid, child.gid, child.ptid, child.clone_ts), (5, 6, 10, 5));
    assert_eq!(name(&state, 11, 3).as_deref(), Some("/home/a"));
    assert_eq!(name(&state, 11, 4), None, "closed on exec");
    assert_eq!(
        name(&state, 10, 4).as_deref(),
        Some("/home/b"),
        "the parent keeps its own"
    );
    assert_eq!(state.threads.ancestors(state.threads.find(11).unwrap()).count(), 1);
}

#[test]
fn threads_share_descriptors_and_directory() {
    let mut batch = Batch::new();
    snapshot(&mut batch, 10, 10, 1, "java");
    clone(&mut batch, 2, 11, 0, 10, 1, threads::CLONE_THREAD);
    openat(&mut batch, 3, 11, 5, -100, "x", 0);
    push(&mut batch, 4, 11, K::Chdir, &[P::I(0), P::T("/srv")]);
    let state = run(&batch);
    assert_eq!(name(&state, 10, 5).as_deref(), Some("/home/x"));
    assert_eq!(state.cwd(state.threads.find(11).unwrap()), b"/srv/");
    assert_eq!(state.threads.group(10).unwrap().members.len(), 2);
}

#[test]
fn exit_and_close_take_effect_after_their_event() {
    let mut batch = Batch::new();
    snapshot(&mut batch, 10, 10, 1, "a");
    openat(&mut batch, 2, 10, 3, -100, "/f", 0);
    push(&mut batch, 3, 10, K::Close, &[P::I(0), P::I(3)]);
    push(
        &mut batch,
        4,
        10,
        K::Procexit,
        &[P::I(0), P::I(0), P::B(&[0]), P::B(&[0]), P::I(1)],
    );
    push(&mut batch, 5, 99, K::Switch, &[P::I(1)]);
    let mut state = State::new(Limits::default());
    let mut seen = Vec::new();
    for (index, event) in batch.iter().enumerate() {
        let at = state.apply(&event, index as u64);
        seen.push((at.thread.is_some(), at.file.map(|fd| fd.name.to_vec())));
    }
    assert_eq!(seen[2], (true, Some(b"/f".to_vec())));
    assert_eq!(seen[3], (true, None));
    assert!(state.threads.get(10).is_none());
}

#[test]
fn orphans_go_to_their_reaper() {
    let mut batch = Batch::new();
    snapshot(&mut batch, 1, 1, 0, "init");
    snapshot(&mut batch, 10, 10, 1, "a");
    snapshot(&mut batch, 11, 11, 10, "b");
    push(
        &mut batch,
        4,
        10,
        K::Procexit,
        &[P::I(0), P::I(0), P::B(&[0]), P::B(&[0]), P::I(0)],
    );
    push(&mut batch, 5, 11, K::Switch, &[P::I(1)]);
    let state = run(&batch);
    assert_eq!(state.threads.get(11).unwrap().ptid, 1);
}

#[test]
fn an_ancestors_exec_gives_descendants_a_new_version() {
    let mut batch = Batch::new();
    for (tid, ptid) in [(13, 12), (12, 11), (11, 10), (10, 1)] {
        snapshot(&mut batch, tid, tid, ptid, "x");
    }
    let mut state = run(&batch);
    let slot = state.threads.find(13).unwrap();
    state.threads.refresh(slot);
    let before = state.threads[slot].version;
    let mut batch = Batch::new();
    exec(&mut batch, 7, 11, "y");
    state.apply(&batch.get(0), 9);
    state.threads.refresh(slot);
    assert_ne!(state.threads[slot].version, before);
}

#[test]
fn circles_of_parents_end() {
    let mut batch = Batch::new();
    for (tid, ptid) in [(10, 11), (11, 12), (12, 10), (20, 20)] {
        snapshot(&mut batch, tid, tid, ptid, "x");
    }
    exec(&mut batch, 7, 11, "y");
    push(
        &mut batch,
        8,
        11,
        K::Procexit,
        &[P::I(0), P::I(0), P::B(&[0]), P::B(&[0]), P::I(0)],
    );
    push(
        &mut batch,
        9,
        12,
        K::Procexit,
        &[P::I(0), P::I(0), P::B(&[0]), P::B(&[0]), P::I(0)],
    );
    let state = run(&batch);
    for thread in state.threads.iter() {
        let slot = state.threads.find(thread.tid).unwrap();
        assert!(state.threads.ancestors(slot).count() <= threads::MAX_ANCESTORS);
    }
}

#[test]
fn dup_pipe_and_ranges() {
    let mut batch = Batch::new();
    snapshot(&mut batch, 10, 10, 1, "x");
    openat(&mut batch, 2, 10, 3, -100, "/f", 0);
    push(&mut batch, 3, 10, K::Dup2, &[P::I(7), P::I(3), P::I(7)]);
    push(
        &mut batch,
        4,
        10,
        K::Pipe2,
        &[P::I(0), P::I(8), P::I(9), P::I(77), P::W(0)],
    );
    push(&mut batch, 5, 10, K::CloseRange, &[P::I(0), P::W(3), P::W(6), P::W(0)]);
    let state = run(&batch);
    assert_eq!(name(&state, 10, 7).as_deref(), Some("/f"));
    assert_eq!(name(&state, 10, 3), None);
    let slot = state.threads.find(10).unwrap();
    assert_eq!(state.threads.fd(slot, 9).unwrap().ino, 77);
}

#[test]
fn sockets_know_client_and_server() {
    let tuple = |source: u8, sport: u16, destination: u8, dport: u16| {
        let mut bytes = vec![2, 10, 0, 0, source];
        bytes.extend(sport.to_le_bytes());
        bytes.extend([10, 0, 0, destination]);
        bytes.extend(dport.to_le_bytes());
        bytes
    };
    let server = [&[2, 10, 0, 0, 1][..], &53u16.to_le_bytes()].concat();
    let mut batch = Batch::new();
    snapshot(&mut batch, 10, 10, 1, "dns");
    push(
        &mut batch,
        2,
        10,
        K::Socket,
        &[P::I(3), P::W(2), P::W(2), P::W(0), P::W(0)],
    );
    push(&mut batch, 3, 10, K::Bind, &[P::I(0), P::B(&server), P::I(3)]);
    push(
        &mut batch,
        4,
        10,
        K::Recvfrom,
        &[P::I(5), P::B(b"query"), P::B(&tuple(9, 4000, 1, 53)), P::I(3), P::W(99)],
    );
    push(
        &mut batch,
        5,
        10,
        K::Sendto,
        &[P::I(5), P::B(b"reply"), P::I(3), P::W(5), P::B(&tuple(1, 53, 8, 4001))],
    );
    push(
        &mut batch,
        6,
        10,
        K::Socket,
        &[P::I(4), P::W(2), P::W(1), P::W(0), P::W(0)],
    );
    push(
        &mut batch,
        7,
        10,
        K::Connect,
        &[P::I(-115), P::B(&tuple(1, 5000, 7, 443)), P::I(4), P::None],
    );
    let mut state = State::new(Limits::default());
    let mut names = Vec::new();
    for (index, event) in batch.iter().enumerate() {
        let seen = state.apply(&event, index as u64);
        names.push((
            seen.file.map(|fd| String::from_utf8_lossy(&fd.name).into_owned()),
            seen.name_changed,
        ));
    }
    assert_eq!(names[2].0.as_deref(), Some("10.0.0.1:53"));
    assert_eq!(names[3], (Some("10.0.0.9:4000->10.0.0.1:53".into()), true));
    assert_eq!(names[4], (Some("10.0.0.8:4001->10.0.0.1:53".into()), true));
    assert_eq!(names[6], (Some("10.0.0.1:5000->10.0.0.7:443".into()), true));
    let slot = state.threads.find(10).unwrap();
    assert_eq!(state.threads.fd(slot, 4).unwrap().l4proto(), Some("tcp"));
}

#[test]
fn tables_are_bounded() {
    let mut state = State::new(Limits {
        threads: 10,
        fds: 4,
        ..Limits::default()
    });
    let mut batch = Batch::new();
    for tid in 1..100 {
        push(&mut batch, 1, tid, K::Getcwd, &[P::I(-1)]);
    }
    for fd in 0..10 {
        openat(&mut batch, 2, 1, fd, -100, "/f", 0);
    }
    for (index, event) in batch.iter().enumerate() {
        state.apply(&event, index as u64);
    }
    assert!(state.threads.len() <= 10);
    assert_eq!(
        state.threads.len() as u64 + state.counters.evicted_threads,
        state.counters.unknown_threads
    );
    assert_eq!(state.counters.evicted_fds, 6);
}

#[test]
fn junk_of_every_kind_does_no_harm() {
    let mut state = State::new(Limits {
        threads: 64,
        fds: 16,
        ..Limits::default()
    });
    let junk: [&[u8]; 6] = [
        b"",
        b"\x01",
        b"\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\0\0\0\0\0\0\0\0",
        b"\x02\0\0\0\0\0\0\0",
        b"/../..//\0",
    ];
    let mut number = 0u64;
    for round in 0..40usize {
        for kind in crate::generated::events::KINDS {
            let count = kind.info().params.len();
            let mut batch = Batch::new();
            batch.push(
                number,
                (number % 7) as i64 - 1,
                0,
                kind,
                (0..count).map(|param| junk[(param * 7 + round * 5 + kind as usize) % junk.len()]),
            );
            state.apply(&batch.get(0), number);
            number += 1;
        }
    }
    assert!(state.threads.len() <= 64);
}

#[test]
fn no_two_hosts_have_the_same_version() {
    let [mut one, mut other] = [Limits::default(), Limits::default()].map(State::new);
    let versions: std::collections::HashSet<u64> = (0..1000)
        .flat_map(|_| [one.threads.fresh_version(), other.threads.fresh_version()])
        .collect();
    assert_eq!(versions.len(), 2000);
}

/// A host told of this thread at `ts`, which is later than the events that follow it.
fn told(batch: &mut Batch, ts: u64, tid: i64, comm: &str) {
    let mut one = Batch::new();
    snapshot(&mut one, tid, tid, 1, comm);
    let event = one.get(0);
    let params: Vec<&[u8]> = (0..event.param_count()).map(|i| event.param(i).unwrap()).collect();
    batch.push(ts, tid, 0, K::ThreadSnapshot, params);
}

fn getuid(batch: &mut Batch, ts: u64, tid: i64) {
    push(batch, ts, tid, K::Getuid, &[P::W(0)]);
}

/// Whether each event of a system call is about guessed facts, and the name of its thread.
fn guesses(state: &mut State, batch: &Batch) -> Vec<(bool, String)> {
    let mut found = Vec::new();
    for (number, event) in batch.iter().enumerate() {
        let seen = state.apply(&event, number as u64);
        if let Some(slot) = seen.thread {
            let thread = &state.threads[slot];
            found.push((
                thread.guessed_until != 0,
                String::from_utf8_lossy(&thread.comm).into_owned(),
            ));
        }
    }
    found
}

fn pairs(found: &[(bool, String)]) -> Vec<(bool, &str)> {
    found.iter().map(|(guessed, name)| (*guessed, &name[..])).collect()
}

#[test]
fn what_was_told_late_is_a_guess_until_then() {
    let (mut state, mut batch) = (State::new(Limits::default()), Batch::new());
    told(&mut batch, 100, 7, "bash");
    for ts in [50, 100, 101, 102] {
        getuid(&mut batch, ts, 7);
    }
    let found = guesses(&mut state, &batch);
    assert_eq!(
        pairs(&found),
        [(true, "bash"), (true, "bash"), (false, "bash"), (false, "bash")]
    );
}

#[test]
fn who_was_never_told_of_is_a_guess_until_it_executes() {
    let (mut state, mut batch) = (State::new(Limits::default()), Batch::new());
    getuid(&mut batch, 50, 7);
    clone(&mut batch, 60, 8, 0, 8, 7, 0);
    getuid(&mut batch, 61, 8);
    exec(&mut batch, 70, 8, "ls");
    getuid(&mut batch, 71, 7);
    let found = guesses(&mut state, &batch);
    let expected = [
        (true, "<NA>"),
        (true, "sh"),
        (true, "sh"),
        (false, "ls"),
        (true, "<NA>"),
    ];
    assert_eq!(pairs(&found), expected);
}

#[test]
fn who_can_no_longer_be_told_of_is_a_guess_for_good() {
    let (mut state, mut batch) = (State::new(Limits::default()), Batch::new());
    told(&mut batch, 10, 7, "bash");
    getuid(&mut batch, 20, 7);
    push(&mut batch, 30, 7, K::ThreadGuessed, &[P::B(&[1])]);
    getuid(&mut batch, 31, 7);
    clone(&mut batch, 40, 8, 0, 8, 7, 0);
    push(&mut batch, 50, 9, K::ThreadGuessed, &[P::B(&[1])]);
    getuid(&mut batch, 51, 9);
    told(&mut batch, 60, 7, "bash");
    getuid(&mut batch, 61, 7);
    let found = guesses(&mut state, &batch);
    let expected = [
        (false, "bash"),
        (true, "bash"),
        (true, "sh"),
        (true, "<NA>"),
        (false, "bash"),
    ];
    assert_eq!(pairs(&found), expected);
}

#[test]
fn a_guess_about_one_thread_or_about_the_process() {
    for (whole, others) in [(0u8, false), (1, true)] {
        let (mut state, mut batch) = (State::new(Limits::default()), Batch::new());
        told(&mut batch, 10, 7, "bash");
        clone(&mut batch, 20, 8, 0, 7, 1, 8192);
        push(&mut batch, 30, 8, K::ThreadGuessed, &[P::B(&[whole])]);
        getuid(&mut batch, 31, 7);
        getuid(&mut batch, 31, 8);
        let found = guesses(&mut state, &batch);
        assert_eq!((found[1].0, found[2].0), (others, true));
    }
}

#[test]
fn a_clone_that_is_older_than_what_was_told_changes_nothing() {
    let (mut state, mut batch) = (State::new(Limits::default()), Batch::new());
    snapshot(&mut batch, 5, 5, 1, "sh");
    told(&mut batch, 100, 7, "ls");
    getuid(&mut batch, 50, 7);
    clone(&mut batch, 60, 5, 7, 5, 1, 0);
    clone(&mut batch, 60, 7, 0, 7, 5, 0);
    getuid(&mut batch, 61, 7);
    clone(&mut batch, 3_000_000_101, 5, 7, 5, 1, 0);
    getuid(&mut batch, 3_000_000_102, 7);
    let found = guesses(&mut state, &batch);
    assert_eq!(found[3], (true, "ls".into()));
    assert_eq!(found[5], (false, "sh".into()), "the number was used again");
}

#[test]
fn told_again_its_descriptors_are_those_and_it_dies_once() {
    let (mut state, mut batch) = (State::new(Limits::default()), Batch::new());
    told(&mut batch, 10, 7, "bash");
    clone(&mut batch, 15, 8, 0, 7, 1, 8192);
    push(&mut batch, 20, 7, K::FdSnapshot, &[P::I(3), P::B(&[1]), P::T("/lost")]);
    told(&mut batch, 30, 7, "bash");
    push(&mut batch, 30, 7, K::FdSnapshot, &[P::I(4), P::B(&[1]), P::T("/there")]);
    clone(&mut batch, 31, 8, 0, 7, 1, 8192);
    guesses(&mut state, &batch);
    let slot = state.threads.find(7).unwrap();
    assert!(state.threads.fd(slot, 3).is_none());
    assert_eq!(&*state.threads.fd(slot, 4).unwrap().name, b"/there");
    assert_eq!(state.threads.group(7).unwrap().alive, 2);
    let mut end = Batch::new();
    for tid in [8, 7] {
        push(&mut end, 40, tid, K::Procexit, &[P::I(0)]);
    }
    getuid(&mut end, 41, 99);
    guesses(&mut state, &end);
    assert!(state.threads.find(7).is_none() && state.threads.group(7).is_none());
}

#[test]
fn who_exits_while_it_is_told_of_is_gone() {
    for (ts, there) in [(90, false), (40, true)] {
        let (mut state, mut batch, mut one) = (State::new(Limits::default()), Batch::new(), Batch::new());
        told(&mut one, 100, 7, "bash");
        let event = one.get(0);
        let mut params: Vec<&[u8]> = (0..event.param_count()).map(|i| event.param(i).unwrap()).collect();
        let start = 50i64.to_le_bytes();
        params.extend([&[][..], &[], &[], &start]);
        batch.push(100, 7, 0, K::ThreadSnapshot, params);
        push(&mut batch, ts, 7, K::Procexit, &[P::I(0)]);
        getuid(&mut batch, 101, 8);
        guesses(&mut state, &batch);
        assert_eq!(
            state.threads.find(7).is_some(),
            there,
            "who had its number exited before it began"
        );
    }
}
