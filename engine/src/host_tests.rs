use super::*;
use crate::generated::events::EventKind;
use crate::generated::fields::{ALL_FIELDS, Field};
use crate::state::tests::{P, clone, exec, openat, push, snapshot};
use crate::value::FieldArg;

/// Matches every open.
struct Opens;

impl Rules for Opens {
    fn concerns(&self, _: EventKind) -> bool {
        true
    }

    fn evaluate<F: Facts>(&mut self, facts: &F, matched: &mut Vec<u32>) {
        if facts.kind() == EventKind::Openat {
            matched.push(0);
        }
    }

    fn name(&self, _: u32) -> &str {
        "opens"
    }

    fn alert<F: Facts>(&self, _: u32, facts: &F, _: &BatchHeader, seq: u64, _: u64, origin: Origin) -> Alert {
        let name = facts.field(Field::FdName, &FieldArg::None);
        let message = String::from_utf8_lossy(name.bytes().unwrap_or_default()).into_owned();
        Alert {
            seq,
            message,
            origin,
            ..Alert::default()
        }
    }
}

pub(crate) fn header(first_seq: u64) -> BatchHeader {
    BatchHeader {
        host_id: "h".into(),
        host: "box".into(),
        boot_id: "b".into(),
        run: 5,
        first_seq,
        ..BatchHeader::default()
    }
}

fn first_batch() -> Batch {
    let mut batch = Batch::new();
    snapshot(&mut batch, 1, 1, 0, "init");
    snapshot(&mut batch, 10, 10, 1, "bash");
    openat(&mut batch, 2, 10, 3, -100, "a", 0);
    openat(&mut batch, 3, 10, 4, -100, "a", 0);
    clone(&mut batch, 4, 11, 0, 11, 10, 0);
    exec(&mut batch, 5, 11, "ls");
    openat(&mut batch, 6, 11, -2, -100, "gone", 0);
    push(&mut batch, 7, 11, EventKind::Kill, &[P::I(0), P::I(10), P::B(&[9])]);
    batch
}

#[test]
fn a_batch_tells_each_process_and_file_once() {
    let mut host = Host::new(Limits::default());
    let (enriched, alerts) = host.process(
        &header(100),
        &first_batch(),
        Some(&mut Opens),
        Origin {
            partition: 1,
            offset: 2,
        },
    );
    assert_eq!(enriched.events.len(), 6, "snapshots are no events");
    assert_eq!(enriched.events[0].index, 2);
    let names: Vec<&[u8]> = enriched.processes.iter().map(|process| &process.name[..]).collect();
    assert_eq!(names, [&b"bash"[..], b"sh", b"ls"]);
    assert_eq!(enriched.processes[2].ancestors[0].name, b"bash");
    assert_eq!(enriched.processes[2].ppid, 10);
    assert_eq!(
        enriched.files.len(),
        2,
        "the same file twice, and the one that is not there"
    );
    assert_eq!(enriched.files[1].name, b"/home/gone");
    assert_eq!(enriched.events[0].resolved, [(2, b"/home/a".to_vec())]);
    assert_eq!(enriched.events[5].resolved, [(1, b"bash".to_vec())]);
    assert_eq!(enriched.rules, ["opens"]);
    assert_eq!((enriched.events[0].rules.len(), enriched.events[5].rules.len()), (1, 0));
    let told: Vec<(u64, &str)> = alerts.iter().map(|alert| (alert.seq, &alert.message[..])).collect();
    assert_eq!(told, [(102, "/home/a"), (103, "/home/a"), (106, "/home/gone")]);
}

#[test]
fn the_key_of_a_process_stays_from_batch_to_batch() {
    let mut host = Host::new(Limits::default());
    let (first, _) = host.process::<()>(&header(100), &first_batch(), None, Origin::default());
    let mut batch = Batch::new();
    push(&mut batch, 8, 11, EventKind::Getcwd, &[P::I(-1)]);
    push(&mut batch, 9, 11, EventKind::Setuid, &[P::I(0), P::W(77)]);
    // Users told again change nothing that this process shows.
    push(
        &mut batch,
        9,
        -1,
        EventKind::Groupadded,
        &[P::W(4), P::T("x"), P::T("")],
    );
    push(&mut batch, 10, 11, EventKind::Getcwd, &[P::I(-1)]);
    let (second, _) = host.process::<()>(&header(108), &batch, None, Origin::default());
    let ids: Vec<u64> = second
        .events
        .iter()
        .map(|event| second.processes[event.process.unwrap() as usize].id)
        .collect();
    assert_eq!(ids[0], first.processes[2].id);
    assert_ne!(ids[1], ids[0]);
    assert_eq!(ids[2], ids[1]);
    assert_eq!((second.processes[1].uid, second.processes[1].since), (77, 9));
}

#[test]
fn the_same_batches_give_the_same_result() {
    let run = || {
        let mut host = Host::new(Limits::default());
        host.process(&header(1), &first_batch(), Some(&mut Opens), Origin::default())
    };
    assert_eq!(run(), run());
}

#[test]
fn a_new_run_begins_with_an_empty_state() {
    let mut host = Host::new(Limits::default());
    host.process::<()>(&header(100), &first_batch(), None, Origin::default());
    let next = BatchHeader { run: 6, ..header(500) };
    host.process::<()>(&next, &Batch::new(), None, Origin::default());
    assert_eq!(host.counters()["threads"], 0);
}

#[test]
fn every_field_answers_on_every_event() {
    let mut host = Host::new(Limits::default());
    let mut batch = first_batch();
    for kind in crate::generated::events::KINDS {
        batch.push(
            20,
            10,
            0,
            kind,
            vec![&b"\x01\0\0\0\0\0\0\0"[..]; kind.info().params.len()],
        );
    }
    let mut answers = 0;
    host.each(&batch, "box", |view| {
        for field in ALL_FIELDS {
            for arg in [FieldArg::None, FieldArg::Index(1), FieldArg::Key("name".into())] {
                answers += usize::from(!view.field(field, &arg).is_absent());
            }
        }
    });
    assert!(answers > 1000);
}

#[test]
fn a_new_section_forgets_and_hidden_events_only_change() {
    let mut host = Host::new(Limits::default());
    let mut batch = first_batch();
    host.each(&batch, "", |_| {});
    batch.clear();
    openat(&mut batch, 8, 10, 5, -100, "b", 0);
    batch.hide_last();
    push(&mut batch, 9, 10, EventKind::Close, &[P::I(0), P::I(5)]);
    let mut names = Vec::new();
    host.each(&batch, "", |view| {
        names.push((view.number, view.seen.file.clone().map(|fd| fd.name.to_vec())))
    });
    assert_eq!(names, [(8, Some(b"/home/b".to_vec()))]);
    let mut batch = Batch::new();
    push(&mut batch, 10, 10, EventKind::Getcwd, &[P::I(-1)]);
    batch.begin_section();
    host.each(&batch, "", |_| {});
    assert_eq!(host.state.threads.len(), 1);
    assert!(host.state.threads.get(10).unwrap().is_invalid());
}
