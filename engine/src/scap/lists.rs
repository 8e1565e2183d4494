//! The lists at the start of a capture (processes, descriptors, interfaces, users) as the events by which a host tells its state.

use super::record::Cursor;
use crate::{event::Batch, generated::events::EventKind};

/// Lists have no time: so their events can be told from those that the capture holds.
const TIME: u64 = 0;
const NO_THREAD: i64 = -1;

const EXE_WRITABLE: u32 = 1;
const EXE_UPPER_LAYER: u32 = 2;
const EXE_FROM_MEMFD: u32 = 4;
const EXE_LOWER_LAYER: u32 = 8;

fn nul(text: &[u8]) -> Vec<u8> {
    [text, &[0]].concat()
}

fn entry<'a>(cursor: &mut Cursor<'a>, counts_itself: bool) -> Option<Cursor<'a>> {
    let length = (cursor.u32()? as usize).checked_sub(if counts_itself { 4 } else { 0 })?;
    Some(Cursor {
        rest: cursor.take(length)?,
    })
}

/// Run `read` for each entry; the last bytes of a block may be padding.
fn each<'a>(body: &'a [u8], sized: Option<bool>, mut read: impl FnMut(&mut Cursor<'a>) -> Option<()>) -> Option<()> {
    let mut cursor = Cursor { rest: body };
    while cursor.rest.len() >= 4 {
        match sized {
            Some(counts_itself) => read(&mut entry(&mut cursor, counts_itself)?)?,
            None => read(&mut cursor)?,
        }
    }
    Some(())
}

pub fn processes(version: u8, body: &[u8], batch: &mut Batch) -> Option<()> {
    each(body, (version >= 9).then_some(true), |entry| {
        process(version, entry, batch)
    })
}

fn process(version: u8, cursor: &mut Cursor, batch: &mut Batch) -> Option<()> {
    let [tid, pid, ptid] = [cursor.u64()?, cursor.u64()?, cursor.u64()?];
    let sid = if version >= 6 { Some(cursor.u64()?) } else { None };
    let vpgid = if version >= 8 { Some(cursor.u64()?) } else { None };
    let (comm, exe) = (cursor.text()?, cursor.text()?);
    let exepath = if version >= 7 { Some(cursor.text()?) } else { None };
    let (args, cwd) = (cursor.text()?, cursor.text()?);
    let fdlimit = cursor.u64()?;
    let [flags, uid, gid] = [cursor.u32()?, cursor.u32()?, cursor.u32()?];
    let memory = if version >= 2 { cursor.take(28)? } else { &[] };
    let env = if version >= 3 { cursor.text()? } else { &[] };
    let (vtid, vpid, cgroups) = if version >= 4 {
        (cursor.u64()?, cursor.u64()?, cursor.text()?)
    } else {
        (tid, pid, &[][..])
    };
    let root = if version >= 5 { Some(cursor.text()?) } else { None };
    let tail = if version >= 9 {
        Tail::read(cursor)
    } else {
        Tail::default()
    };
    let number = |value: Option<u64>| value.map_or(Vec::new(), |value| value.to_le_bytes().to_vec());
    let short = |value: Option<u32>| value.map_or(Vec::new(), |value| value.to_le_bytes().to_vec());
    let text = |value: Option<&[u8]>| value.map_or(Vec::new(), nul);
    let part = |from: usize, to: usize| memory.get(from..to).unwrap_or_default().to_vec();
    let params = [
        number(Some(pid)),
        number(Some(ptid)),
        number(sid),
        number(tail.pgid),
        number(vpgid),
        number(Some(vtid)),
        number(Some(vpid)),
        nul(comm),
        nul(exe),
        text(exepath),
        args.to_vec(),
        env.to_vec(),
        nul(cwd),
        text(root),
        cgroups.to_vec(),
        number(Some(fdlimit)),
        short(Some(uid)),
        short(Some(gid)),
        short(tail.loginuid),
        short(tail.tty),
        short(Some(flags)),
        short(Some(tail.exe_flags)),
        number(tail.capabilities.map(|c| c[0])),
        number(tail.capabilities.map(|c| c[1])),
        number(tail.capabilities.map(|c| c[2])),
        number(tail.exe.map(|exe| exe[0])),
        number(tail.exe.map(|exe| exe[1])),
        number(tail.exe.map(|exe| exe[2])),
        Vec::new(),
        number(tail.pidns_start),
        part(0, 4),
        part(4, 8),
        part(8, 12),
        part(12, 20),
        part(20, 28),
    ];
    batch.push(
        TIME,
        tid as i64,
        0,
        EventKind::ThreadSnapshot,
        params.iter().map(Vec::as_slice),
    );
    Some(())
}

/// What later versions put at the end of an entry, each part there if it fits.
#[derive(Default)]
struct Tail {
    pidns_start: Option<u64>,
    tty: Option<u32>,
    loginuid: Option<u32>,
    exe_flags: u32,
    /// Inheritable, permitted, effective.
    capabilities: Option<[u64; 3]>,
    /// Inode, its ctime and mtime.
    exe: Option<[u64; 3]>,
    pgid: Option<u64>,
}

impl Tail {
    fn read(cursor: &mut Cursor) -> Tail {
        let mut tail = Tail::default();
        tail.fill(cursor);
        tail
    }

    /// `None` where the entry ends.
    fn fill(&mut self, cursor: &mut Cursor) -> Option<()> {
        // The start of the namespace and the terminal came later, but stand first.
        if cursor.rest.len() > 29 {
            self.pidns_start = Some(cursor.u64()?);
            self.tty = Some(cursor.u32()?);
        }
        self.loginuid = Some(cursor.u32()?);
        self.flag(cursor, EXE_WRITABLE)?;
        self.capabilities = Some([cursor.u64()?, cursor.u64()?, cursor.u64()?]);
        self.flag(cursor, EXE_UPPER_LAYER)?;
        self.exe = Some([cursor.u64()?, cursor.u64()?, cursor.u64()?]);
        self.flag(cursor, EXE_FROM_MEMFD)?;
        self.flag(cursor, EXE_LOWER_LAYER)?;
        self.pgid = Some(cursor.u64()?);
        Some(())
    }

    fn flag(&mut self, cursor: &mut Cursor, bit: u32) -> Option<()> {
        self.exe_flags |= if cursor.u8()? != 0 { bit } else { 0 };
        Some(())
    }
}

pub fn files(version: u8, body: &[u8], batch: &mut Batch) -> Option<()> {
    let mut cursor = Cursor { rest: body };
    let tid = cursor.u64()? as i64;
    each(cursor.rest, (version >= 2).then_some(true), |entry| {
        file(version, tid, entry, batch)
    })
}

fn file(version: u8, tid: i64, cursor: &mut Cursor, batch: &mut Batch) -> Option<()> {
    let (fd, ino, kind) = (cursor.u64()?, cursor.u64()?, cursor.u8()?);
    let (mut name, mut flags, mut dev, mut l4) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut tuple, mut addr) = (Vec::new(), Vec::new());
    match kind {
        3 | 4 => {
            let (family, length) = if kind == 3 { (2, 4) } else { (10, 16) };
            let [source, destination] = [cursor.take(length)?, cursor.take(length)?];
            let [sport, dport] = [cursor.take(2)?, cursor.take(2)?];
            tuple = [&[family], source, sport, destination, dport].concat();
            l4 = vec![cursor.u8()?];
        }
        5 | 6 => {
            let (family, length) = if kind == 5 { (2, 4) } else { (10, 16) };
            addr = [&[family], cursor.take(length)?, cursor.take(2)?].concat();
            l4 = vec![cursor.u8()?];
        }
        8 => {
            let ends = cursor.take(16)?;
            // Old captures have the line of /proc/net/unix to its end.
            let path = cursor.text()?;
            name = nul(path.strip_suffix(b"\n").unwrap_or(path));
            tuple = [&[1], ends, &name].concat();
        }
        16 if version >= 2 => {
            flags = cursor.u32()?.to_le_bytes().to_vec();
            name = nul(cursor.text()?);
            dev = cursor.u32().map_or(Vec::new(), |dev| dev.to_le_bytes().to_vec());
        }
        _ => name = nul(cursor.text()?),
    }
    let (fd, ino, kind) = (fd.to_le_bytes(), ino.to_le_bytes(), [kind]);
    let params = [&fd[..], &kind, &name, &flags, &dev, &ino, &l4, &tuple, &addr];
    batch.push(TIME, tid, 0, EventKind::FdSnapshot, params);
    Some(())
}

pub fn interfaces(version: u8, body: &[u8], batch: &mut Batch) -> Option<()> {
    each(body, (version >= 2).then_some(false), |cursor| {
        let (kind, length) = (cursor.u16()?, usize::from(cursor.u16()?));
        let size = match kind {
            1 | 3 => 4,
            2 | 4 => 16,
            _ => return None,
        };
        let [address, netmask, broadcast] = [cursor.take(size)?, cursor.take(size)?, cursor.take(size)?];
        if kind <= 2 {
            cursor.u64()?;
        }
        let name = nul(cursor.take(length)?);
        batch.push(
            TIME,
            NO_THREAD,
            0,
            EventKind::InterfaceSnapshot,
            [&name[..], address, netmask, broadcast],
        );
        Some(())
    })
}

pub fn users(version: u8, body: &[u8], batch: &mut Batch) -> Option<()> {
    each(body, (version >= 2).then_some(true), |cursor| {
        match cursor.u8()? {
            0 => {
                let [uid, gid] = [cursor.take(4)?, cursor.take(4)?];
                let [name, home, shell] = [nul(cursor.text()?), nul(cursor.text()?), nul(cursor.text()?)];
                let params = [uid, gid, &name, &home, &shell, &[0]];
                batch.push(TIME, NO_THREAD, 0, EventKind::Useradded, params);
            }
            1 => {
                let gid = cursor.take(4)?;
                let name = nul(cursor.text()?);
                batch.push(TIME, NO_THREAD, 0, EventKind::Groupadded, [gid, &name, &[0]]);
            }
            _ => return None,
        }
        Some(())
    })
}
