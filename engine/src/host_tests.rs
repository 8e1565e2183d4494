use super::*;
use crate::generated::events::EventKind;
use crate::generated::fields::{ALL_FIELDS, Field};
use crate::state::tests_acts::{Act, acts, write};
use crate::state::tests_events::{P, clone, ends, exec, exec_as, openat, push, snapshot};
use crate::state::threads::CLONE_THREAD;
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

/// Each way to write a field.
fn arguments(field: Field) -> Vec<FieldArg> {
    let mut arguments = vec![FieldArg::None];
    match field.info().name {
        "proc.aname" | "proc.apid" | "proc.acmdline" | "proc.aexepath" => arguments.push(FieldArg::Index(2)),
        "proc.env" | "proc.aenv" => arguments.push(FieldArg::Key("A".into())),
        "thread.cgroup" => arguments.push(FieldArg::Key("cpu".into())),
        _ => {}
    }
    arguments
}

/// The fields of these scopes, as they are on an event.
fn facts_of(view: &EventView, scopes: &[crate::table::Scope]) -> FieldTexts {
    let mut found = Vec::new();
    // A leader that is in another session itself, as only lost events make one, is followed by nobody.
    let followed = |field: &Field| !matches!(field, Field::ProcSname | Field::ProcSidExe | Field::ProcSidExepath);
    let wanted = |field: &Field| scopes.contains(&field.info().scope) && followed(field);
    for field in ALL_FIELDS.into_iter().filter(wanted) {
        for arg in arguments(field) {
            found.push((
                field.info().name,
                format!("{arg:?} {:?}", view.field(field, &arg)).replace("Owned", "Text"),
            ));
        }
    }
    found
}

/// Names of fields, and what each says.
type FieldTexts = Vec<(&'static str, String)>;

/// Fields that are others although the version of their process, or descriptor, is the same.
fn stale_of(batch: &Batch) -> Vec<String> {
    use crate::table::Scope;
    let mut known: HashMap<(u8, u64, u64), FieldTexts> = HashMap::new();
    let mut wrong = Vec::new();
    Host::new(Limits::default()).each(batch, "box", |view| {
        let process = view.process_version().map(|(own, told)| (0, own, told));
        let fd = view.fd_version().map(|(own, told)| (1, own, told));
        let scopes: [&[Scope]; 2] = [&[Scope::Process, Scope::User, Scope::Container], &[Scope::Fd]];
        for (version, scopes) in [process, fd].into_iter().zip(scopes) {
            let Some(version) = version else { continue };
            let facts = facts_of(view, scopes);
            let before = known.entry(version).or_insert_with(|| facts.clone());
            for (old, new) in before.iter().zip(&facts) {
                if old != new {
                    wrong.push(format!("{} of {}: {} then {}", new.0, view.event.tid(), old.1, new.1));
                }
            }
        }
    });
    wrong
}

/// A descriptor that was there before, of thread 10.
fn tell(batch: &mut Batch, number: i64, kind: i64, tuple: P, addr: P) {
    let mut params = vec![P::I(number), P::I(kind), P::T(""), P::W(0), P::W(0), P::I(0), P::I(2)];
    params.extend([tuple, addr]);
    push(batch, 1, 10, EventKind::FdSnapshot, &params);
}

fn look(batch: &mut Batch, ts: u64, tid: i64) {
    push(batch, ts, tid, EventKind::Kill, &[P::I(0), P::I(1), P::B(&[9])]);
}

#[test]
fn a_session_begun_by_a_thread_is_one_of_all_threads() {
    let mut batch = Batch::new();
    snapshot(&mut batch, 1, 1, 0, "init");
    snapshot(&mut batch, 10, 10, 1, "sh");
    clone(&mut batch, 2, 10, 11, 10, 1, 0);
    clone(&mut batch, 3, 11, 12, 11, 10, CLONE_THREAD);
    clone(&mut batch, 3, 11, 13, 11, 10, CLONE_THREAD);
    look(&mut batch, 4, 11);
    look(&mut batch, 4, 13);
    push(&mut batch, 5, 12, EventKind::Setsid, &[P::I(11)]);
    look(&mut batch, 6, 11);
    look(&mut batch, 6, 13);
    assert_eq!(stale_of(&batch), [""; 0]);
}

#[test]
fn what_a_user_change_takes_away_is_gone_though_the_user_stays() {
    let mut batch = Batch::new();
    snapshot(&mut batch, 10, 10, 1, "sh");
    push(
        &mut batch,
        2,
        10,
        EventKind::Capset,
        &[P::I(0), P::I(0), P::I(7), P::I(0)],
    );
    look(&mut batch, 3, 10);
    push(
        &mut batch,
        4,
        10,
        EventKind::Setresuid,
        &[P::I(0), P::W(1000), P::W(1000), P::W(1000)],
    );
    look(&mut batch, 5, 10);
    assert_eq!(stale_of(&batch), [""; 0]);
}

#[test]
fn a_parent_that_comes_late_is_seen_by_its_children() {
    let mut batch = Batch::new();
    snapshot(&mut batch, 10, 10, 1, "sh");
    // Nobody announced 21, whose parent is 20.
    exec_as(&mut batch, 2, 21, [21, 20], "ls");
    look(&mut batch, 3, 21);
    clone(&mut batch, 4, 10, 20, 10, 1, 0);
    look(&mut batch, 5, 21);
    assert_eq!(stale_of(&batch), [""; 0]);
}

#[test]
fn a_main_thread_that_comes_late_is_seen_by_the_others() {
    let mut batch = Batch::new();
    snapshot(&mut batch, 5, 5, 1, "bash");
    snapshot(&mut batch, 11, 10, 5, "java");
    look(&mut batch, 2, 11);
    clone(&mut batch, 3, 5, 10, 5, 1, 0);
    look(&mut batch, 4, 11);
    assert_eq!(stale_of(&batch), [""; 0]);
}

#[test]
fn threads_see_a_main_thread_that_an_exec_takes_to_another_process() {
    let mut batch = Batch::new();
    snapshot(&mut batch, 10, 10, 1, "java");
    snapshot(&mut batch, 11, 10, 1, "java");
    look(&mut batch, 2, 11);
    exec_as(&mut batch, 3, 10, [30, 1], "ls");
    look(&mut batch, 4, 11);
    assert_eq!(stale_of(&batch), [""; 0]);
}

#[test]
fn children_of_one_that_names_itself_their_reaper_see_who_takes_its_number() {
    let mut batch = Batch::new();
    snapshot(&mut batch, 1, 1, 0, "init");
    snapshot(&mut batch, 5, 5, 1, "bash");
    snapshot(&mut batch, 20, 20, 5, "sh");
    snapshot(&mut batch, 21, 21, 20, "cat");
    let exit = [P::I(0), P::I(0), P::B(&[0]), P::B(&[0]), P::I(20)];
    push(&mut batch, 2, 20, EventKind::Procexit, &exit);
    look(&mut batch, 3, 21);
    clone(&mut batch, 4_000_000_000, 5, 20, 5, 1, 0);
    look(&mut batch, 4_000_000_001, 21);
    exec(&mut batch, 4_000_000_002, 20, "vi");
    look(&mut batch, 4_000_000_003, 21);
    assert_eq!(stale_of(&batch), [""; 0]);
}

#[test]
fn connections_that_turn_out_to_be_accepted_are_others() {
    let mut batch = Batch::new();
    snapshot(&mut batch, 10, 10, 1, "web");
    tell(&mut batch, 5, 3, P::B(&ends((1, 80), (2, 4000))), P::None);
    write(&mut batch, 2, 10, 5);
    let server = [&[2][..], &[0; 4], &80u16.to_le_bytes()].concat();
    tell(&mut batch, 3, 5, P::None, P::B(&server));
    write(&mut batch, 3, 10, 5);
    assert_eq!(stale_of(&batch), [""; 0]);
}

#[test]
fn an_address_of_the_host_makes_ends_local() {
    let mut batch = Batch::new();
    snapshot(&mut batch, 10, 10, 1, "web");
    tell(&mut batch, 5, 3, P::B(&ends((1, 80), (2, 4000))), P::None);
    write(&mut batch, 2, 10, 5);
    push(
        &mut batch,
        3,
        -1,
        EventKind::InterfaceSnapshot,
        &[P::T("eth0"), P::B(&[10, 0, 0, 2]), P::B(&[255, 255, 255, 0]), P::None],
    );
    write(&mut batch, 4, 10, 5);
    assert_eq!(stale_of(&batch), [""; 0]);
}

#[test]
fn facts_are_the_same_while_their_version_is() {
    use proptest::prelude::*;
    let cases = std::env::var("CASES")
        .ok()
        .and_then(|cases| cases.parse().ok())
        .unwrap_or(200);
    let strategy = prop::collection::vec(any::<Act>(), 1..40);
    proptest!(ProptestConfig::with_cases(cases), |(story in strategy)| {
        let mut batch = Batch::new();
        snapshot(&mut batch, 1, 1, 0, "init");
        snapshot(&mut batch, 5, 5, 1, "sshd");
        snapshot(&mut batch, 10, 10, 5, "bash");
        acts(&mut batch, 10, &story);
        prop_assert_eq!(stale_of(&batch), [""; 0]);
    });
}
