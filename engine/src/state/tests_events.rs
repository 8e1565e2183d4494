//! Events in the making, for tests.

use crate::event::Batch;
use crate::generated::events::EventKind as K;

/// A parameter in the making.
#[derive(Clone)]
pub(crate) enum P<'a> {
    None,
    I(i64),
    W(u32),
    T(&'a str),
    B(&'a [u8]),
}

pub(crate) fn push(batch: &mut Batch, ts: u64, tid: i64, kind: K, params: &[P]) {
    let encoded: Vec<Vec<u8>> = params
        .iter()
        .map(|param| match param {
            P::None => Vec::new(),
            P::I(number) => number.to_le_bytes().to_vec(),
            P::W(number) => number.to_le_bytes().to_vec(),
            P::T(text) => [text.as_bytes(), b"\0"].concat(),
            P::B(bytes) => bytes.to_vec(),
        })
        .collect();
    batch.push(ts, tid, 0, kind, encoded.iter().map(|param| &param[..]));
}

pub(crate) fn snapshot(batch: &mut Batch, tid: i64, pid: i64, ptid: i64, comm: &str) {
    let mut params = vec![
        P::I(pid),
        P::I(ptid),
        P::I(pid),
        P::I(pid),
        P::I(pid),
        P::I(tid),
        P::I(pid),
        P::T(comm),
        P::T(comm),
    ];
    params.extend([
        P::T("/usr/bin/x"),
        P::B(b"-a\0b\0"),
        P::B(b"HOME=/root\0"),
        P::T("/home"),
        P::T("/"),
        P::B(b"cpu=/\0"),
        P::I(1024),
    ]);
    params.extend([
        P::W(1000),
        P::W(1000),
        P::W(1000),
        P::W(0),
        P::W(0),
        P::W(0),
        P::I(0),
        P::I(0),
        P::I(0),
    ]);
    push(batch, 1, tid, K::ThreadSnapshot, &params);
}

/// What a clone tells of a child, on either side.
#[derive(Clone)]
pub(crate) struct Child<'a> {
    pub result: i64,
    pub name: &'a str,
    pub args: &'a [u8],
    /// pid, ptid, vtid and vpid.
    pub ids: [i64; 4],
    pub cwd: P<'a>,
    pub cgroups: &'a [u8],
    pub flags: u32,
    pub uid: u32,
    /// When the first process of its namespace started.
    pub pidns_start: i64,
}

impl Child<'_> {
    pub fn push(self, batch: &mut Batch, ts: u64, tid: i64) {
        let [pid, ptid, vtid, vpid] = self.ids;
        let mut params = vec![P::I(self.result), P::T(self.name), P::B(self.args)];
        params.extend([P::I(tid), P::I(pid), P::I(ptid), self.cwd, P::I(1024)]);
        params.extend([P::I(0), P::I(0), P::W(0), P::W(0), P::W(0)]);
        params.extend([
            P::T(self.name),
            P::B(self.cgroups),
            P::W(self.flags),
            P::W(self.uid),
            P::W(0),
        ]);
        params.extend([P::I(vtid), P::I(vpid), P::I(self.pidns_start)]);
        push(batch, ts, tid, K::Clone, &params);
    }
}

pub(crate) fn clone(batch: &mut Batch, ts: u64, tid: i64, result: i64, pid: i64, ptid: i64, flags: u32) {
    clone_as(batch, ts, tid, result, [pid, ptid, tid, pid], flags);
}

/// `ids`: pid, ptid, vtid and vpid.
pub(crate) fn clone_as(batch: &mut Batch, ts: u64, tid: i64, result: i64, ids: [i64; 4], flags: u32) {
    let child = Child {
        result,
        name: "sh",
        args: b"-c\0",
        ids,
        cwd: P::None,
        cgroups: b"cpu=/\0",
        flags,
        uid: 0,
        pidns_start: 0,
    };
    child.push(batch, ts, tid);
}

/// What an execve tells of the program.
#[derive(Clone)]
pub(crate) struct Program<'a> {
    pub name: &'a str,
    pub args: &'a [u8],
    pub pid: i64,
    pub ptid: i64,
    pub cgroups: &'a [u8],
    pub tty: u32,
    pub path: &'a str,
}

impl Program<'_> {
    pub fn push(self, batch: &mut Batch, ts: u64, tid: i64) {
        let mut params = vec![P::I(0), P::T(self.name), P::B(self.args)];
        params.extend([P::I(tid), P::I(self.pid), P::I(self.ptid), P::None, P::I(1024)]);
        params.extend([P::I(0), P::I(0), P::W(0), P::W(0), P::W(0)]);
        params.extend([
            P::T(self.name),
            P::B(self.cgroups),
            P::B(b"A=b\0"),
            P::W(self.tty),
            P::I(tid),
        ]);
        params.extend([
            P::W(1000),
            P::W(1),
            P::I(0),
            P::I(1),
            P::I(1),
            P::I(7),
            P::I(8),
            P::I(9),
            P::W(5),
        ]);
        params.extend([P::T(self.path), P::I(tid), P::W(6)]);
        push(batch, ts, tid, K::Execve, &params);
    }
}

pub(crate) fn exec(batch: &mut Batch, ts: u64, tid: i64, comm: &str) {
    exec_as(batch, ts, tid, [tid, 1], comm);
}

/// `ids`: pid and ptid.
pub(crate) fn exec_as(batch: &mut Batch, ts: u64, tid: i64, ids: [i64; 2], comm: &str) {
    let program = Program {
        name: comm,
        args: b"x\0",
        pid: ids[0],
        ptid: ids[1],
        cgroups: b"cpu=/\0",
        tty: 0,
        path: "/bin/x (deleted)",
    };
    program.push(batch, ts, tid);
}

pub(crate) fn openat(batch: &mut Batch, ts: u64, tid: i64, fd: i64, dirfd: i64, name: &str, flags: u32) {
    push(
        batch,
        ts,
        tid,
        K::Openat,
        &[
            P::I(fd),
            P::I(dirfd),
            P::T(name),
            P::W(flags),
            P::W(0),
            P::W(1),
            P::I(2),
        ],
    );
}

/// A socket tuple of 10.0.0.x.
pub(crate) fn ends(source: (u8, u16), destination: (u8, u16)) -> Vec<u8> {
    let mut tuple = vec![2];
    for (host, port) in [source, destination] {
        tuple.extend([10, 0, 0, host]);
        tuple.extend(port.to_le_bytes());
    }
    tuple
}
