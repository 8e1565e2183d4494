//! A host that was saved and loaded goes on as if nothing had happened; what is no saved host is refused.

use proptest::prelude::*;

use super::*;
use crate::event::Batch;
use crate::facts::Origin;
use crate::generated::events::{EventKind as K, KINDS};
use crate::host::Host;
use crate::host::tests::header;
use crate::state::Limits;
use crate::state::tests_events::{P, clone, exec, openat, push, snapshot};
use crate::state::threads::CLONE_THREAD;
use crate::throttle::tests::throttled;

fn limits() -> Limits {
    Limits {
        threads: 12,
        fds: 6,
        users: 4,
        containers: 4,
        orphans: 4,
        exits: 4,
        throttled: 4,
        bytes: 40_000,
    }
}

/// One event of many kinds, of few threads and descriptors, so that they meet.
fn add(batch: &mut Batch, ts: u64, what: u8, tid: i64, number: i64) {
    let name = format!("/f{number}");
    match what {
        0 => snapshot(batch, tid, tid, number, "told"),
        1 => snapshot(batch, tid, number, 1, "thread"),
        2 => clone(batch, ts, tid, 0, tid, number, 0),
        3 => clone(batch, ts, tid, 0, number, 1, CLONE_THREAD),
        4 => clone(batch, ts, tid, number, tid, 1, 0),
        5 => exec(batch, ts, tid, &name),
        6 => openat(batch, ts, tid, number, -100, &name, 0),
        7 => push(batch, ts, tid, K::Close, &[P::I(0), P::I(number)]),
        8 => push(
            batch,
            ts,
            tid,
            K::Procexit,
            &[P::I(0), P::I(0), P::B(&[0]), P::B(&[0]), P::I(number - 1)],
        ),
        9 => push(batch, ts, tid, K::Setuid, &[P::I(0), P::W(number as u32)]),
        10 => push(batch, ts, tid, K::Chdir, &[P::I(0), P::T(&name)]),
        11 => push(
            batch,
            ts,
            tid,
            K::Socket,
            &[P::I(number), P::W(2), P::W(1), P::W(0), P::W(0)],
        ),
        12 => {
            let address = [&[2, 10, 0, 0, tid as u8][..], &80u16.to_le_bytes()].concat();
            push(batch, ts, tid, K::Bind, &[P::I(0), P::B(&address), P::I(number)]);
        }
        13 => {
            let user = [
                P::W(number as u32),
                P::W(1),
                P::T(&name),
                P::T("/"),
                P::T("/bin/sh"),
                P::T(""),
            ];
            push(batch, ts, -1, K::Useradded, &user);
        }
        14 => push(batch, ts, tid, K::Dup, &[P::I(number + 1), P::I(number)]),
        15 => push(batch, ts, tid, K::Setsid, &[P::I(tid)]),
        16 => {
            let json = format!(r#"{{"container":{{"id":"c{number}","name":"n{tid}","labels":{{"a":"{number}"}}}}}}"#);
            push(batch, ts, -1, K::Container, &[P::T(&json)]);
        }
        _ => push(batch, ts, tid, K::Getcwd, &[P::I(-1)]),
    }
}

fn events() -> impl Strategy<Value = Vec<(u8, i64, i64, u8)>> {
    prop::collection::vec((0u8..18, 1i64..24, 1i64..24, 0u8..4), 1..120)
}

fn batch_of(events: &[(u8, i64, i64, u8)], ts: &mut u64) -> Batch {
    let mut batch = Batch::new();
    for (what, tid, number, wait) in events {
        *ts += [0, 1, 1000, 3_000_000_000][usize::from(*wait)];
        add(&mut batch, *ts, *what, *tid, *number);
    }
    batch
}

fn rich() -> Host {
    let mut host = Host::new(Limits::default());
    let mut batch = Batch::new();
    for tid in 1..40 {
        for what in [0, 2, 3, 5, 6, 11, 12, 13, 10, 9] {
            add(&mut batch, 10 + tid as u64, what, tid, tid % 7 + 1);
        }
    }
    host.process::<()>(&header(1), &batch, None, Origin::default());
    host
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn a_loaded_host_goes_on_as_the_saved_one(first in events(), second in events(), tight in any::<bool>()) {
        let limits = if tight { limits() } else { Limits::default() };
        let mut ts = 1_000_000_000;
        let mut host = Host::new(limits);
        host.process::<()>(&header(1), &batch_of(&first, &mut ts), None, Origin::default());
        let bytes = host.save();
        let mut loaded = Host::load(&bytes, limits).unwrap();
        prop_assert_eq!(loaded.counters(), host.counters());
        prop_assert_eq!(&loaded.save(), &bytes);
        for part in second.chunks(40) {
            let batch = batch_of(part, &mut ts);
            let one = host.process::<()>(&header(ts), &batch, None, Origin::default());
            let other = loaded.process::<()>(&header(ts), &batch, None, Origin::default());
            prop_assert_eq!(one, other);
        }
        prop_assert_eq!(loaded.counters(), host.counters());
        prop_assert_eq!(loaded.save(), host.save());
    }

    #[test]
    fn a_changed_byte_is_noticed(at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let mut bytes = rich().save();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(Host::load(&bytes, Limits::default()).is_err());
    }

    #[test]
    fn a_hostile_body_does_no_harm(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        let (_, mut body) = unseal(&rich().save(), 1 << 30).unwrap();
        for (at, byte) in changes {
            let at = at.index(body.len());
            body[at] = byte;
        }
        if let Ok(mut host) = Host::load(&seal(&body), Limits::default()) {
            let mut batch = Batch::new();
            for (round, kind) in KINDS.into_iter().enumerate() {
                let count = kind.info().params.len();
                batch.push(50, round as i64 % 40, 0, kind, vec![&b"\x01\0\0\0\0\0\0\0"[..]; count]);
            }
            host.process::<()>(&header(900), &batch, None, Origin::default());
            host.counters();
            host.save();
        }
    }

    #[test]
    fn junk_is_no_saved_host(junk in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(Host::load(&junk, Limits::default()).is_err());
        prop_assert!(Host::load(&seal(&junk), Limits::default()).is_err());
    }
}

#[test]
fn what_is_cut_short_is_refused_wherever_it_is_cut() {
    let bytes = rich().save();
    for end in 0..bytes.len() {
        let error = Host::load(&bytes[..end], Limits::default()).unwrap_err();
        assert!(matches!(error, Error::Foreign | Error::Length), "{end}: {error}");
    }
    let (_, body) = unseal(&bytes, 1 << 30).unwrap();
    for end in 0..body.len() {
        assert!(Host::load(&seal(&body[..end]), Limits::default()).is_err(), "{end}");
    }
    assert_eq!(
        Host::load(&seal(&[&body[..], b"x"].concat()), Limits::default()).err(),
        Some(Error::Length)
    );
}

#[test]
fn newer_versions_and_false_sizes_are_named() {
    let mut bytes = rich().save();
    bytes[8] = VERSION as u8 + 1;
    let error = Host::load(&bytes, Limits::default()).unwrap_err();
    assert_eq!(error, Error::Newer(VERSION + 1));
    // A body that claims to be large, with the checksum that this asks for.
    bytes[8] = VERSION as u8;
    bytes[18..26].copy_from_slice(&(1u64 << 40).to_le_bytes());
    let sum = checksum(&bytes[..26], &bytes[34..]);
    bytes[26..34].copy_from_slice(&sum.to_le_bytes());
    assert_eq!(
        Host::load(&bytes, Limits::default()).unwrap_err(),
        Error::Large(1 << 40)
    );
}

#[test]
fn a_host_with_smaller_limits_makes_room() {
    let bytes = rich().save();
    let less = Limits {
        bytes: 1 << 20,
        ..limits()
    };
    let mut host = Host::load(&bytes, less).unwrap();
    let mut batch = Batch::new();
    add(&mut batch, 100, 99, 1, 1);
    host.process::<()>(&header(900), &batch, None, Origin::default());
    assert!(host.state.threads.len() <= 12, "{}", host.state.threads.len());
}

/// What a version has that those before it had not.
fn rich_of(version: u16) -> Host {
    let mut host = rich();
    if version >= 2 {
        let mut batch = Batch::new();
        (1..9).for_each(|number| add(&mut batch, 90, 16, number, number));
        host.process::<()>(&header(500), &batch, None, Origin::default());
        let mut opens = Batch::new();
        (1..6).for_each(|number| add(&mut opens, 95, 6, number, 3));
        host.process(&header(600), &opens, Some(&mut throttled()), Origin::default());
    }
    host
}

/// What a host knows of every thread, as text.
fn facts(host: &Host) -> String {
    let threads: Vec<_> = (0..100).filter_map(|tid| host.state.describe(tid)).collect();
    serde_json::to_string_pretty(&threads).unwrap()
}

/// `TIERCEL_GOLDEN=1 cargo test` writes the newest anew, which is right before a version is released only.
#[test]
fn older_versions_stay_readable() {
    let path = |version, kind| {
        format!(
            "{}/src/state/saved/version_{version}.{kind}",
            env!("CARGO_MANIFEST_DIR")
        )
    };
    if std::env::var_os("TIERCEL_GOLDEN").is_some() {
        let host = rich_of(VERSION);
        std::fs::write(path(VERSION, "bin"), host.save()).unwrap();
        std::fs::write(path(VERSION, "json"), facts(&host)).unwrap();
    }
    for version in 1..=VERSION {
        let bytes = std::fs::read(path(version, "bin")).unwrap();
        assert_eq!(bytes[8..10], version.to_le_bytes());
        let mut loaded = Host::load(&bytes, Limits::default()).unwrap();
        let known = std::fs::read_to_string(path(version, "json")).unwrap();
        assert_eq!(facts(&loaded), known);
        assert_eq!(loaded.counters()["containers"], if version >= 2 { 8 } else { 0 });
        assert_eq!(loaded.counters()["throttled"] > 0, version >= 2);
        let mut batch = Batch::new();
        for tid in 1..40 {
            add(&mut batch, 200, 6, tid, 3);
        }
        let (told, _) = loaded.process::<()>(&header(900), &batch, None, Origin::default());
        assert_eq!(told.events.len(), 39);
    }
}
