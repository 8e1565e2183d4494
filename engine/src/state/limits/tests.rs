//! Floods: the tables stay as large as they may be, the most valuable stays, and an event costs the same all along.

use std::time::{Duration, Instant};

use super::*;
use crate::event::Batch;
use crate::generated::events::EventKind as K;
use crate::state::State;
use crate::state::tests_events::{P, clone, exec, openat, push, snapshot};
use crate::state::threads::{CLONE_THREAD, MAX_ANCESTORS};

const SECOND: u64 = 1_000_000_000;

/// The time and the most bytes of each quarter of a flood.
struct Flood {
    times: [Duration; 4],
    bytes: [u64; 4],
}

impl Flood {
    /// Let `count` rounds of events, each made by `make`, change the state.
    fn of(state: &mut State, count: u64, mut make: impl FnMut(&mut Batch, u64)) -> Flood {
        let mut flood = Flood {
            times: [Duration::ZERO; 4],
            bytes: [0; 4],
        };
        let mut batch = Batch::new();
        for round in 0..count {
            make(&mut batch, round);
            if batch.len() >= 1000 || round + 1 == count {
                let quarter = (round * 4 / count) as usize;
                let begun = Instant::now();
                for event in batch.iter() {
                    state.apply(&event, round);
                }
                flood.times[quarter] += begun.elapsed();
                if round % (count / 32) < 1000 {
                    flood.bytes[quarter] = flood.bytes[quarter].max(state.bytes());
                }
                batch.clear();
            }
        }
        flood
    }

    /// Once the tables are full nothing grows, neither bytes nor time. Times are compared with much room: the machine may be busy.
    fn is_flat(&self) {
        assert!(self.bytes[3] <= self.bytes[1] + self.bytes[1] / 10, "{:?}", self.bytes);
        assert!(self.times[3] <= self.times[1] * 4, "{:?}", self.times);
    }
}

fn small() -> Limits {
    Limits {
        threads: 10_000,
        ..Limits::default()
    }
}

fn exit(batch: &mut Batch, ts: u64, tid: i64) {
    let params = [P::I(0), P::I(0), P::B(&[0]), P::B(&[0]), P::I(0)];
    push(batch, ts, tid, K::Procexit, &params);
}

fn apply(state: &mut State, fill: impl FnOnce(&mut Batch)) {
    let mut batch = Batch::new();
    fill(&mut batch);
    for (number, event) in batch.iter().enumerate() {
        state.apply(&event, number as u64);
    }
}

#[test]
fn a_fork_bomb_takes_no_room_from_programs() {
    let mut state = State::new(small());
    apply(&mut state, |batch| {
        for tid in 1..=500 {
            snapshot(batch, tid, tid, i64::from(tid != 1), "daemon");
        }
    });
    // Each forks two, as `:(){ :|:& };:` does, and none exits.
    let flood = Flood::of(&mut state, 1_000_000, |batch, round| {
        let (child, parent) = (1000 + round as i64, 1000 + round as i64 / 2);
        clone(batch, SECOND + round, child, 0, child, parent, 0);
    });
    flood.is_flat();
    assert!(state.threads.len() <= 10_003, "{}", state.threads.len());
    assert!((1..=500).all(|tid| state.threads.get(tid).is_some_and(|thread| &*thread.comm == b"daemon")));
    assert!(state.counters.evicted_threads >= 990_000);
}

#[test]
fn one_parent_of_a_million_children_is_like_any_other() {
    let mut state = State::new(small());
    apply(&mut state, |batch| snapshot(batch, 10, 10, 1, "zygote"));
    let flood = Flood::of(&mut state, 1_000_000, |batch, round| {
        clone(batch, SECOND + round, 100 + round as i64, 0, 100 + round as i64, 10, 0);
    });
    flood.is_flat();
    let children = state.threads.get(10).unwrap().children.len();
    assert!(children <= 30_000, "{children}");
}

#[test]
fn a_group_of_a_million_threads_is_like_any_other() {
    let mut state = State::new(small());
    apply(&mut state, |batch| snapshot(batch, 10, 10, 1, "java"));
    let flood = Flood::of(&mut state, 1_000_000, |batch, round| {
        clone(batch, SECOND + round, 100 + round as i64, 0, 10, 1, CLONE_THREAD);
    });
    flood.is_flat();
    let group = state.threads.group(10).unwrap();
    assert_eq!(group.members.len(), state.threads.len());
    assert_eq!(group.alive as usize, state.threads.len());
}

#[test]
fn a_process_with_a_million_descriptors_keeps_the_newest_and_its_sockets() {
    let mut state = State::new(Limits::default());
    apply(&mut state, |batch| {
        snapshot(batch, 10, 10, 1, "server");
        openat(batch, 2, 10, 0, -100, "/dev/null", 0);
        push(batch, 3, 10, K::Socket, &[P::I(3), P::W(2), P::W(1), P::W(0), P::W(0)]);
        let address = [&[2, 10, 0, 0, 1][..], &80u16.to_le_bytes()].concat();
        push(batch, 4, 10, K::Bind, &[P::I(0), P::B(&address), P::I(3)]);
    });
    let flood = Flood::of(&mut state, 1_000_000, |batch, round| {
        openat(batch, SECOND + round, 10, 4 + round as i64, -100, "/srv/data", 0);
    });
    flood.is_flat();
    let fds = &state.threads.get(10).unwrap().fds;
    assert!(fds.len() <= 4096);
    assert_eq!(state.counters.evicted_fds, 1_000_002 - fds.len() as u64);
    assert!([0, 3, 1_000_003].iter().all(|number| fds.get(*number).is_some()));
}

#[test]
fn an_hour_of_container_churn_leaves_nothing_behind() {
    let mut state = State::new(Limits {
        users: 10_000,
        ..small()
    });
    apply(&mut state, |batch| snapshot(batch, 10, 10, 1, "containerd"));
    // A hundred containers a second: each with a user, an init with its own control group, a child; all of them exit.
    let flood = Flood::of(&mut state, 360_000, |batch, round| {
        let (ts, tid) = (round * SECOND / 100, 100 + 2 * round as i64);
        let id = format!("{round:064x}");
        let user = [
            P::W(1),
            P::W(1),
            P::T("app"),
            P::T("/"),
            P::T("/bin/sh"),
            P::T(&id[52..]),
        ];
        push(batch, ts, -1, K::Useradded, &user);
        clone(batch, ts, tid, 0, tid, 10, 0);
        let mut params = vec![P::I(0), P::T("app"), P::None, P::I(tid), P::I(tid), P::I(10), P::None];
        params.resize(14, P::None);
        let cgroups = format!("cpu=/docker/{id}\0");
        params.push(P::B(cgroups.as_bytes()));
        push(batch, ts + 1, tid, K::Execve, &params);
        clone(batch, ts + 2, tid + 1, 0, tid + 1, tid, 0);
        exit(batch, ts + 3, tid + 1);
        exit(batch, ts + 4, tid);
    });
    flood.is_flat();
    assert!(state.threads.len() < 10, "{}", state.threads.len());
    assert_eq!(state.users.len() + state.users.evicted() as usize, 360_000);
    assert_eq!(
        (state.threads.groups().count() <= 10, state.threads.orphaned()),
        (true, 1),
        "the orphan is containerd, whose parent nobody told"
    );
}

#[test]
fn numbers_that_come_again_take_no_room() {
    let mut state = State::new(small());
    apply(&mut state, |batch| snapshot(batch, 1, 1, 0, "init"));
    // Every exit is lost; a caller's report replaces the process that has its number.
    let flood = Flood::of(&mut state, 400_000, |batch, round| {
        let child = 100 + (round % 5000) as i64;
        clone(batch, 10 * SECOND * (round + 1), 1, child, 1, 0, 0);
        exec(batch, 10 * SECOND * (round + 1) + 1, child, "sh");
        openat(batch, 10 * SECOND * (round + 1) + 2, child, 3, -100, "/f", 0);
    });
    flood.is_flat();
    assert!(state.threads.len() <= 5001);
    assert!(state.counters.reused_threads > 390_000);
}

#[test]
fn unknown_parents_take_no_room() {
    let mut state = State::new(Limits {
        orphans: 1000,
        ..small()
    });
    let flood = Flood::of(&mut state, 200_000, |batch, round| {
        snapshot(batch, 1 + round as i64, 1 + round as i64, 1_000_000 + round as i64, "x");
    });
    flood.is_flat();
    assert!(state.threads.orphaned() <= 1000 && state.threads.evicted_orphans > 100_000);
    apply(&mut state, |batch| snapshot(batch, 1_199_999, 1_199_999, 1, "late"));
    let parent = state.threads.find(1_199_999).unwrap();
    assert_eq!(state.threads.children(parent).count(), 1);
}

#[test]
fn the_bytes_of_a_host_have_a_limit() {
    let bytes = 16 << 20;
    let mut state = State::new(Limits {
        bytes,
        ..Limits::default()
    });
    apply(&mut state, |batch| {
        snapshot(batch, 10, 10, 1, "server");
        for fd in 0..2000 {
            openat(batch, 1, 10, fd, -100, &format!("/srv/{fd}"), 0);
        }
    });
    // Each child changes the descriptors that it shares with its parent: small events that make much.
    let closing = Flood::of(&mut state, 20_000, |batch, round| {
        let child = 100 + round as i64;
        clone(batch, SECOND + round, child, 0, child, 10, 0);
        openat(batch, SECOND + round, child, 3, -100, "x", 0);
    });
    let text = "x".repeat(8000);
    let texts = Flood::of(&mut state, 20_000, |batch, round| {
        openat(
            batch,
            2 * SECOND + round,
            10,
            round as i64 % 500,
            -100,
            &format!("/{round}{text}"),
            0,
        );
        clone(
            batch,
            2 * SECOND + round,
            30_000 + round as i64,
            0,
            30_000 + round as i64,
            10,
            0,
        );
        exec(batch, 2 * SECOND + round, 30_000 + round as i64, &text);
    });
    for flood in [closing, texts] {
        assert!(
            flood.bytes.iter().all(|most| *most <= bytes + bytes / 4),
            "{:?}",
            flood.bytes
        );
    }
    assert!(state.counters.shrunk > 2);
    assert!(state.threads.get(10).is_some_and(|thread| &*thread.comm == b"server"));
}

#[test]
fn the_thread_of_the_event_and_its_process_stay() {
    let mut state = State::new(Limits {
        threads: 16,
        ..Limits::default()
    });
    apply(&mut state, |batch| {
        clone(batch, 1, 11, 0, 10, 1, CLONE_THREAD);
        for tid in 100..400 {
            snapshot(batch, tid, tid, 1, "x");
            push(batch, 2, 11, K::Getcwd, &[P::I(-1)]);
        }
    });
    assert!(state.threads.get(11).is_some() && state.threads.get(10).is_some());
}

#[test]
fn a_parent_that_comes_back_finds_its_children() {
    let mut state = State::new(Limits {
        threads: 64,
        ..Limits::default()
    });
    apply(&mut state, |batch| {
        clone(batch, 1, 10, 0, 10, 1, 0);
        clone(batch, 2, 11, 0, 11, 10, 0);
        exec(batch, 3, 11, "child");
        for tid in 100..164 {
            snapshot(batch, tid, tid, 10, "x");
            push(batch, 4, 11, K::Getcwd, &[P::I(-1)]);
        }
    });
    assert!(state.threads.get(10).is_none(), "a copy goes before programs");
    let child = state.threads.find(11).unwrap();
    assert_eq!(state.threads.ancestors(child).count(), 0);
    apply(&mut state, |batch| snapshot(batch, 10, 10, 1, "back"));
    assert_eq!(state.threads.ancestors(child).take(MAX_ANCESTORS).count(), 1);
    let back = state.threads.find(10).unwrap();
    assert!(state.threads.children(back).any(|slot| slot == child));
}

#[test]
fn one_process_too_large_for_the_host_loses_its_descriptors() {
    let mut state = State::new(Limits {
        bytes: 1 << 20,
        ..Limits::default()
    });
    let text = "x".repeat(8000);
    apply(&mut state, |batch| {
        snapshot(batch, 10, 10, 1, "server");
        clone(batch, 1, 11, 0, 10, 1, CLONE_THREAD);
        for fd in 0..4000 {
            openat(batch, 2, 11, fd, -100, &format!("/{fd}{text}"), 0);
        }
    });
    assert!(state.bytes() <= 2 << 20, "{}", state.bytes());
    assert_eq!(state.threads.len(), 2);
    let kept = state.threads.get(10).unwrap().fds.len();
    assert_eq!(state.counters.evicted_fds as usize, 4000 - kept);
}

#[test]
fn what_containers_are_called_takes_no_room_from_threads() {
    let limits = Limits {
        bytes: 4 << 20,
        ..Limits::default()
    };
    let mut state = State::new(limits);
    apply(&mut state, |batch| {
        (1..200).for_each(|tid| snapshot(batch, tid, tid, 1, "init"))
    });
    let label = "x".repeat(4000);
    let flood = Flood::of(&mut state, 20_000, |batch, round| {
        let json = format!(r#"{{"container":{{"id":"c{round}","labels":{{"a":"{label}","b":"{label}"}}}}}}"#);
        push(batch, round, -1, K::Container, &[P::T(&json)]);
    });
    flood.is_flat();
    assert!(state.bytes() <= limits.bytes + limits.bytes / 8, "{}", state.bytes());
    assert!(state.containers.evicted() > 15_000 && state.containers.get(b"c19999").is_some());
    assert_eq!((state.threads.len(), state.counters.evicted_threads), (199, 0));
}
