//! Random acts of a few processes, in any order and whether or not they could happen.

use super::tests_events::{Child, P, Program, ends, openat, push, snapshot};
use super::threads::{CHILD_IN_PIDNS, CLONE_FILES, CLONE_PARENT, CLONE_THREAD};
use crate::event::Batch;
use crate::generated::events::EventKind as K;

/// One act of a host: which, who, with whom, and how.
pub(crate) type Act = (u8, u8, u8, u8);

const WHO: [i64; 8] = [1, 5, 10, 11, 12, 20, 21, 30];
const NAMES: [&str; 5] = ["sh", "bash", "cat", "sshd", "x\u{e9}"];
const CGROUPS: [&[u8]; 3] = [
    b"cpu=/\0",
    b"cpu=/docker/27794335214c55a9f43dff8b00c77c22166ca97c4d9dfb6744818a0c3ecdb299\0",
    b"cpu=/lxc/box\0",
];

fn act(batch: &mut Batch, ts: u64, (which, who, whom, how): Act) {
    let tid = WHO[usize::from(who % 8)];
    let other = WHO[usize::from(whom % 8)];
    let name = NAMES[usize::from(how % 5)];
    let cgroups = CGROUPS[usize::from(how % 3)];
    let flags = [0, CLONE_THREAD, CLONE_FILES, CLONE_PARENT, CHILD_IN_PIDNS][usize::from(how % 5)];
    let number = i64::from(whom % 4) + 3;
    let pair = |v6: bool| {
        let (source, destination) = ((1, 80 + u16::from(how % 3)), (1 + how % 2, 4000));
        if !v6 {
            return ends(source, destination);
        }
        let mut tuple = vec![10];
        for (host, port) in [source, destination] {
            tuple.extend([host; 16]);
            tuple.extend(u16::to_le_bytes(port));
        }
        tuple
    };
    let end = |ip: u8, port: u16| [&[2, 10, 0, 0, ip][..], &port.to_le_bytes()].concat();
    let child = |result, pidns_start| Child {
        result,
        name,
        args: b"",
        ids: [0; 4],
        cwd: P::T("/"),
        cgroups,
        flags,
        uid: how.into(),
        pidns_start,
    };
    match which % 32 {
        // From the caller's side, then from the child's.
        0 | 1 => Child {
            args: b"-c\0",
            ids: [tid, 1, tid, tid],
            ..child(other, 0)
        }
        .push(batch, ts, tid),
        2 | 3 => {
            let pid = if flags & CLONE_THREAD != 0 { other } else { tid };
            let virtual_id = if how > 128 { 1 } else { tid };
            Child {
                args: b"-d\0",
                ids: [pid, other, virtual_id, virtual_id],
                ..child(0, i64::from(how))
            }
            .push(batch, ts, tid);
        }
        4 | 5 => Program {
            name,
            args: b"x\0y\0",
            pid: if how % 7 == 0 { other } else { tid },
            ptid: other,
            cgroups,
            tty: how.into(),
            path: "/bin/x",
        }
        .push(batch, ts, tid),
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
        _ => write(batch, ts, tid, number),
    }
}

pub(crate) fn acts(batch: &mut Batch, begun: u64, acts: &[Act]) {
    for (at, act_at) in acts.iter().enumerate() {
        // Now and then so much later that numbers are free again.
        let ts = begun + at as u64 * if act_at.3 % 16 == 0 { 3_000_000_000 } else { 1000 };
        act(batch, ts, *act_at);
        for tid in WHO {
            write(batch, ts + 1, tid, i64::from(act_at.2 % 4) + 3);
        }
    }
}

/// An event that asks about a thread and one of its descriptors, and changes neither.
pub(crate) fn write(batch: &mut Batch, ts: u64, tid: i64, number: i64) {
    push(batch, ts, tid, K::Write, &[P::I(1), P::B(b"x"), P::I(number), P::I(1)]);
}
