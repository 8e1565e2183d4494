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
pub(crate) type FieldTexts = Vec<(&'static str, String)>;

/// Fields that are others although the version of their process, or descriptor, is the same.
pub(crate) fn stale(host: &mut Host, batch: &Batch, known: &mut HashMap<(u8, u64, u64), FieldTexts>) -> Vec<String> {
    use crate::table::Scope;
    let mut wrong = Vec::new();
    host.each(batch, "box", |view| {
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

fn stale_of(batch: &Batch) -> Vec<String> {
    stale(&mut Host::new(Limits::default()), batch, &mut HashMap::new())
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
    clone(&mut batch, 3, 11, 12, 11, 10, crate::state::threads::CLONE_THREAD);
    look(&mut batch, 4, 11);
    push(&mut batch, 5, 12, EventKind::Setsid, &[P::I(11)]);
    look(&mut batch, 6, 11);
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
    let mut early = Batch::new();
    exec(&mut early, 2, 21, "ls");
    let event = early.iter().next().unwrap();
    let params: Vec<Vec<u8>> = (0..30)
        .map(|at| {
            if at == 5 {
                20i64.to_le_bytes().to_vec()
            } else {
                event.param(at).unwrap_or_default().to_vec()
            }
        })
        .collect();
    batch.push(2, 21, 0, EventKind::Execve, params.iter().map(|param| &param[..]));
    look(&mut batch, 3, 21);
    clone(&mut batch, 4, 10, 20, 10, 1, 0);
    look(&mut batch, 5, 21);
    assert_eq!(stale_of(&batch), [""; 0]);
}

#[test]
fn threads_see_who_took_the_number_of_their_process() {
    let mut batch = Batch::new();
    snapshot(&mut batch, 1, 1, 0, "init");
    snapshot(&mut batch, 5, 5, 1, "bash");
    snapshot(&mut batch, 6, 6, 1, "zsh");
    clone(&mut batch, 2, 5, 10, 5, 1, 0);
    clone(&mut batch, 2, 10, 11, 10, 5, crate::state::threads::CLONE_THREAD);
    look(&mut batch, 3, 11);
    clone(&mut batch, 4_000_000_000, 6, 10, 6, 1, 0);
    look(&mut batch, 4_000_000_001, 11);
    assert_eq!(stale_of(&batch), [""; 0]);
}

#[test]
fn connections_that_turn_out_to_be_accepted_are_others() {
    let mut batch = Batch::new();
    snapshot(&mut batch, 10, 10, 1, "web");
    let ends = |port: u16, other: u16| {
        let mut tuple = vec![2];
        for (ip, port) in [([10, 0, 0, 1], port), ([10, 0, 0, 2], other)] {
            tuple.extend(ip);
            tuple.extend(port.to_le_bytes());
        }
        tuple
    };
    let tell = |batch: &mut Batch, number, kind, tuple: &[u8], addr: &[u8]| {
        let (tuple, addr) = (P::B(tuple), P::B(addr));
        push(
            batch,
            1,
            10,
            EventKind::FdSnapshot,
            &[
                P::I(number),
                P::I(kind),
                P::T(""),
                P::W(0),
                P::W(0),
                P::I(0),
                P::I(2),
                tuple,
                addr,
            ],
        );
    };
    let write = |batch: &mut Batch, ts| {
        push(
            batch,
            ts,
            10,
            EventKind::Write,
            &[P::I(1), P::B(b"x"), P::I(5), P::I(1)],
        )
    };
    tell(&mut batch, 5, 3, &ends(80, 4000), &[]);
    write(&mut batch, 2);
    let server = [&[2][..], &[0; 4], &80u16.to_le_bytes()].concat();
    tell(&mut batch, 3, 5, &[], &server);
    write(&mut batch, 3);
    assert_eq!(stale_of(&batch), [""; 0]);
}

#[test]
fn an_address_of_the_host_makes_ends_local() {
    let mut batch = Batch::new();
    snapshot(&mut batch, 10, 10, 1, "web");
    let mut tuple = vec![2];
    for (ip, port) in [([10, 0, 0, 1], 80u16), ([10, 0, 0, 2], 4000)] {
        tuple.extend(ip);
        tuple.extend(port.to_le_bytes());
    }
    push(
        &mut batch,
        1,
        10,
        EventKind::FdSnapshot,
        &[
            P::I(5),
            P::I(3),
            P::T(""),
            P::W(0),
            P::W(0),
            P::I(0),
            P::I(2),
            P::B(&tuple),
            P::None,
        ],
    );
    let write = |batch: &mut Batch, ts| {
        push(
            batch,
            ts,
            10,
            EventKind::Write,
            &[P::I(1), P::B(b"x"), P::I(5), P::I(1)],
        )
    };
    write(&mut batch, 2);
    push(
        &mut batch,
        3,
        -1,
        EventKind::InterfaceSnapshot,
        &[P::T("eth0"), P::B(&[10, 0, 0, 2]), P::B(&[255, 255, 255, 0]), P::None],
    );
    write(&mut batch, 4);
    assert_eq!(stale_of(&batch), [""; 0]);
}

/// One act of a host: which, who, with whom, and how.
type Act = (u8, u8, u8, u8);

const WHO: [i64; 8] = [1, 5, 10, 11, 12, 20, 21, 30];
const NAMES: [&str; 5] = ["sh", "bash", "cat", "sshd", "x\u{e9}"];
const CGROUPS: [&[u8]; 3] = [
    b"cpu=/\0",
    b"cpu=/docker/27794335214c55a9f43dff8b00c77c22166ca97c4d9dfb6744818a0c3ecdb299\0",
    b"cpu=/lxc/box\0",
];

pub(crate) fn act(batch: &mut Batch, ts: u64, (which, who, whom, how): Act) {
    use crate::state::threads::{CHILD_IN_PIDNS, CLONE_FILES, CLONE_PARENT, CLONE_THREAD};
    use EventKind as K;
    let tid = WHO[usize::from(who % 8)];
    let other = WHO[usize::from(whom % 8)];
    let name = NAMES[usize::from(how % 5)];
    let cgroups = CGROUPS[usize::from(how % 3)];
    let flags = [0, CLONE_THREAD, CLONE_FILES, CLONE_PARENT, CHILD_IN_PIDNS][usize::from(how % 5)];
    let number = i64::from(whom % 4) + 3;
    let pair = |v6: bool| {
        let mut tuple = vec![if v6 { 10 } else { 2 }];
        for (ip, port) in [(1u8, 80u16 + u16::from(how % 3)), (1 + how % 2, 4000)] {
            tuple.extend(if v6 { vec![ip; 16] } else { vec![10, 0, 0, ip] });
            tuple.extend(port.to_le_bytes());
        }
        tuple
    };
    let end = |ip: u8, port: u16| [&[2, 10, 0, 0, ip][..], &port.to_le_bytes()].concat();
    match which % 32 {
        0 | 1 => {
            // From the caller's side.
            let mut params = vec![
                P::I(other),
                P::T(name),
                P::B(b"-c\0"),
                P::I(tid),
                P::I(tid),
                P::I(1),
                P::T("/"),
                P::I(9),
            ];
            params.extend([
                P::I(0),
                P::I(0),
                P::W(0),
                P::W(0),
                P::W(0),
                P::T(name),
                P::B(cgroups),
                P::W(flags),
            ]);
            params.extend([P::W(u32::from(how)), P::W(0), P::I(tid), P::I(tid), P::I(0)]);
            if flags & CLONE_THREAD != 0 {
                params[4] = P::I(tid);
            }
            push(batch, ts, tid, K::Clone, &params);
        }
        2 | 3 => {
            let pid = if flags & CLONE_THREAD != 0 { other } else { tid };
            let v = if how > 128 { 1 } else { tid };
            let mut params = vec![
                P::I(0),
                P::T(name),
                P::B(b"-d\0"),
                P::I(tid),
                P::I(pid),
                P::I(other),
                P::T("/"),
                P::I(9),
            ];
            params.extend([
                P::I(0),
                P::I(0),
                P::W(0),
                P::W(0),
                P::W(0),
                P::T(name),
                P::B(cgroups),
                P::W(flags),
            ]);
            params.extend([P::W(u32::from(how)), P::W(0), P::I(v), P::I(v), P::I(i64::from(how))]);
            push(batch, ts, tid, K::Clone, &params);
        }
        4 | 5 => {
            let pid = if how % 7 == 0 { other } else { tid };
            let mut params = vec![
                P::I(0),
                P::T(name),
                P::B(b"x\0y\0"),
                P::I(tid),
                P::I(pid),
                P::I(other),
                P::None,
                P::I(7),
            ];
            params.extend([
                P::I(0),
                P::I(0),
                P::W(0),
                P::W(0),
                P::W(0),
                P::T(name),
                P::B(cgroups),
                P::B(b"A=b\0"),
            ]);
            params.extend([
                P::W(u32::from(how)),
                P::I(tid),
                P::W(1000),
                P::W(1),
                P::I(0),
                P::I(1),
                P::I(1),
                P::I(7),
            ]);
            params.extend([P::I(8), P::I(9), P::W(5), P::T("/bin/x"), P::I(tid), P::W(6)]);
            push(batch, ts, tid, K::Execve, &params);
        }
        6 => push(
            batch,
            ts,
            tid,
            K::Procexit,
            &[
                P::I(0),
                P::I(0),
                P::B(&[0]),
                P::B(&[0]),
                P::I([other, 0, -1][usize::from(how % 3)]),
            ],
        ),
        7 => push(batch, ts, tid, K::Setsid, &[P::I(tid)]),
        8 => push(
            batch,
            ts,
            tid,
            K::Setpgid,
            &[P::I(0), P::I(other), P::I(i64::from(how % 2) * other)],
        ),
        9 => push(batch, ts, tid, K::Prctl, &[P::I(0), P::W(15), P::T(name), P::I(0)]),
        10 => push(
            batch,
            ts,
            tid,
            K::Prctl,
            &[P::I(0), P::W(36), P::None, P::I(i64::from(how % 2))],
        ),
        11 => push(
            batch,
            ts,
            tid,
            K::Chdir,
            &[P::I(0), P::T(["/a", "b", ".."][usize::from(how % 3)])],
        ),
        12 => push(
            batch,
            ts,
            tid,
            [K::Setuid, K::Setgid][usize::from(how % 2)],
            &[P::I(0), P::W(u32::from(whom % 3) * 500)],
        ),
        13 => {
            let id = |bit: u8| P::W([0, 500, u32::MAX][usize::from((how >> bit) % 3)]);
            push(
                batch,
                ts,
                tid,
                [K::Setresuid, K::Setresgid][usize::from(whom % 2)],
                &[P::I(0), id(0), id(2), id(4)],
            );
        }
        14 => push(
            batch,
            ts,
            tid,
            K::Capset,
            &[
                P::I(0),
                P::I(i64::from(how)),
                P::I(i64::from(whom)),
                P::I(i64::from(how & whom)),
            ],
        ),
        15 => push(batch, ts, tid, K::Unshare, &[P::I(0), P::W(1 << 20)]),
        16 => {
            let id = ["27794335214c", "box"][usize::from(how % 2)];
            let json = format!(r#"{{"container":{{"id":"{id}","type":0,"name":"{name}","pod_sandbox_id":"box"}}}}"#);
            push(batch, ts, -1, K::Container, &[P::T(&json)]);
        }
        17 => push(
            batch,
            ts,
            -1,
            K::Useradded,
            &[P::W(500), P::W(500), P::T(name), P::T("/h"), P::T("/s"), P::T("")],
        ),
        18 => push(
            batch,
            ts,
            -1,
            K::Userdeleted,
            &[P::W(500), P::W(500), P::T(name), P::T("/h"), P::T("/s"), P::T("")],
        ),
        19 => {
            let name = ["/etc/passwd", "rel", "../x", "/tmp//a"][usize::from(how % 4)];
            openat(batch, ts, tid, number, -100, name, 1);
        }
        20 => push(batch, ts, tid, K::Close, &[P::I(0), P::I(number)]),
        21 => push(
            batch,
            ts,
            tid,
            K::Dup2,
            &[P::I(i64::from(how % 4) + 3), P::I(number), P::I(i64::from(how % 4) + 3)],
        ),
        22 => push(
            batch,
            ts,
            tid,
            K::Socket,
            &[P::I(number), P::W(2), P::W(1 + u32::from(how % 2)), P::W(0), P::W(0)],
        ),
        23 => push(
            batch,
            ts,
            tid,
            K::Bind,
            &[P::I(0), P::B(&end(how % 3, 80)), P::I(number)],
        ),
        24 => push(
            batch,
            ts,
            tid,
            K::Connect,
            &[P::I(0), P::B(&pair(false)), P::I(number), P::B(&end(1, 4000))],
        ),
        25 => push(
            batch,
            ts,
            tid,
            K::Sendto,
            &[P::I(1), P::B(b"x"), P::I(number), P::I(1), P::B(&pair(how > 128))],
        ),
        26 => push(
            batch,
            ts,
            tid,
            K::Recvfrom,
            &[P::I(1), P::B(b"x"), P::B(&pair(how > 128)), P::I(number), P::I(1)],
        ),
        27 if how % 4 == 0 => snapshot(batch, tid, tid, other, name),
        27 if how % 4 == 1 => snapshot(batch, tid, other, 1, name),
        28 if how % 4 == 0 => push(batch, ts, tid, K::ThreadGuessed, &[P::I(i64::from(how & 16 != 0))]),
        29 => push(
            batch,
            ts,
            tid,
            K::Fcntl,
            &[P::I(number + 1), P::I(number), P::I(1), P::I(0)],
        ),
        30 => push(
            batch,
            ts,
            tid,
            K::Prlimit,
            &[
                P::I(0),
                P::I(i64::from(how)),
                P::I(9),
                P::I(9),
                P::I(9),
                P::I(other),
                P::W(7),
            ],
        ),
        _ => push(batch, ts, tid, K::Write, &[P::I(1), P::B(b"x"), P::I(number), P::I(1)]),
    }
}

pub(crate) fn acts(batch: &mut Batch, begun: u64, acts: &[Act]) {
    for (at, act_at) in acts.iter().enumerate() {
        // Now and then so much later that numbers are free again.
        let ts = begun + at as u64 * if act_at.3 % 16 == 0 { 3_000_000_000 } else { 1000 };
        act(batch, ts, *act_at);
        for tid in WHO {
            push(
                batch,
                ts + 1,
                tid,
                EventKind::Write,
                &[P::I(1), P::B(b"x"), P::I(i64::from(act_at.2 % 4) + 3), P::I(1)],
            );
        }
    }
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
