//! EventBatch: what a worker makes of one raw batch, for sinks and anyone else.

use std::net::IpAddr;

use super::{
    container,
    header::{Kind, put_codes, put_header, put_losses, read_header, read_losses, skip_codes},
    params::{ParamReader, put_params},
    wire::{Error, Reader, Result, put_array, put_bool, put_bytes, put_long, put_ulong},
};
use crate::{
    event::Batch,
    facts::{Ancestor, BatchHeader, Enriched, EventFacts, File, Origin, Process},
    generated::events::EventKind,
};

/// An EventBatch as it is read: event i of `batch` is that of `enriched.events[i]`.
#[derive(Clone, Debug, Default)]
pub struct EventBatch {
    pub header: BatchHeader,
    /// Numbers in the raw batch.
    pub count: u32,
    pub origin: Origin,
    pub rules_version: String,
    pub enriched: Enriched,
    pub batch: Batch,
}

const NULL: u8 = 0;
const PRESENT: u8 = 2;
/// Bytes of the smallest items: what bounds a count before anything is allocated.
const LEAST_PROCESS: usize = 34;
const LEAST_ANCESTOR: usize = 6;
const LEAST_FILE: usize = 12;
const LEAST_EVENT: usize = 16;

/// The body for what `enriched` says of the raw batch; events are looked up there by their index.
pub fn encode(
    header: &BatchHeader,
    batch: &Batch,
    enriched: &Enriched,
    origin: Origin,
    rules_version: &str,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(8192 + enriched.events.len() * 112 + enriched.processes.len() * 512);
    put_header(&mut out, header, Some(batch.len() as u32));
    put_long(&mut out, i64::from(origin.partition));
    put_long(&mut out, origin.offset);
    put_bytes(&mut out, rules_version.as_bytes());
    put_array(&mut out, &enriched.rules, |out, rule| put_bytes(out, rule.as_bytes()));
    put_codes(
        &mut out,
        batch,
        enriched.events.iter().map(|event| event.index as usize),
    );
    put_array(&mut out, &enriched.processes, put_process);
    put_array(&mut out, &enriched.files, put_file);
    put_array(&mut out, &enriched.events, |out, facts| {
        put_event(out, header, batch, facts)
    });
    put_array(&mut out, &enriched.containers, container::put);
    put_losses(&mut out, &header.shed);
    out
}

fn put_event(out: &mut Vec<u8>, header: &BatchHeader, batch: &Batch, facts: &EventFacts) {
    let event = batch.get(facts.index as usize);
    put_long(out, i64::from(facts.index));
    put_long(out, event.ts().wrapping_sub(header.time) as i64);
    put_long(out, event.tid());
    put_long(out, i64::from(event.cpu()));
    put_long(out, i64::from(event.kind().code()));
    for number in [facts.process.map(i64::from), facts.file.map(i64::from), facts.fd] {
        match number {
            None => out.push(NULL),
            Some(number) => {
                out.push(PRESENT);
                put_long(out, number);
            }
        }
    }
    put_bool(out, facts.name_changed);
    put_params(out, &event);
    put_array(out, &facts.resolved, |out, (param, text)| {
        put_long(out, i64::from(*param));
        put_bytes(out, text);
    });
    put_array(out, &facts.rules, |out, rule| put_long(out, i64::from(*rule)));
}

fn put_process(out: &mut Vec<u8>, process: &Process) {
    let p = process;
    put_ulong(out, p.id);
    put_ulong(out, p.since);
    for number in [p.pid, p.ppid, p.vpid, p.sid, p.pgid, p.vpgid] {
        put_long(out, number);
    }
    for text in [&p.name, &p.exe, &p.exepath] {
        put_bytes(out, text);
    }
    put_array(out, &p.args, |out, arg| put_bytes(out, arg));
    put_bytes(out, &p.cwd);
    put_bytes(out, &p.sname);
    put_long(out, i64::from(p.tty));
    put_long(out, i64::from(p.uid));
    put_bytes(out, &p.user);
    put_long(out, i64::from(p.gid));
    put_bytes(out, &p.group);
    put_long(out, p.loginuid);
    put_bytes(out, &p.login);
    put_bytes(out, &p.container_id);
    for set in [p.cap_effective, p.cap_permitted, p.cap_inheritable] {
        put_ulong(out, set);
    }
    // An int: the bits of the table are few.
    put_long(out, i64::from(p.exe_flags as i32));
    for number in [p.exe_ino, p.exe_ctime, p.exe_mtime, p.exe_ctime_to_start, p.started] {
        put_ulong(out, number);
    }
    put_array(out, &p.ancestors, |out, ancestor| {
        put_long(out, ancestor.pid);
        for text in [&ancestor.name, &ancestor.exe, &ancestor.exepath, &ancestor.cmdline] {
            put_bytes(out, text);
        }
        put_ulong(out, ancestor.started);
    });
    put_bool(out, p.guessed);
}

fn put_file(out: &mut Vec<u8>, file: &File) {
    put_bytes(out, &[file.typechar]);
    put_bytes(out, &file.name);
    put_bytes(out, &file.raw);
    put_bytes(out, &file.l4proto);
    for endpoint in [file.client, file.server, file.local, file.remote] {
        let Some((ip, port)) = endpoint else {
            out.push(NULL);
            continue;
        };
        out.push(PRESENT);
        match ip {
            IpAddr::V4(ip) => put_bytes(out, &ip.octets()),
            IpAddr::V6(ip) => put_bytes(out, &ip.octets()),
        }
        put_long(out, i64::from(port));
    }
    put_bool(out, file.is_server);
    put_bool(out, file.connected);
    put_long(out, i64::from(file.dev));
    put_ulong(out, file.ino);
}

pub fn decode(body: &[u8]) -> Result<EventBatch> {
    let mut reader = Reader::new(body)?;
    let (mut header, count) = read_header(&mut reader, Kind::Enriched)?;
    let origin = Origin {
        partition: reader.number("partition")?,
        offset: reader.long()?,
    };
    let rules_version = reader.text()?.to_owned();
    let rules = reader.list(1, |reader| reader.text().map(str::to_owned))?;
    skip_codes(&mut reader)?;
    let processes = reader.list(LEAST_PROCESS, read_process)?;
    let files = reader.list(LEAST_FILE, read_file)?;
    let mut enriched = Enriched {
        processes,
        files,
        events: Vec::new(),
        rules,
        containers: Vec::new(),
    };
    let mut batch = Batch::new();
    let mut params = ParamReader::default();
    let mut events = reader.array(LEAST_EVENT);
    while reader.more(&mut events)? {
        read_event(&mut reader, &header, &mut enriched, &mut batch, &mut params)?;
    }
    enriched.containers = reader.list(container::LEAST, container::read)?;
    header.shed = read_losses(&mut reader)?;
    reader.finish()?;
    Ok(EventBatch {
        header,
        count,
        origin,
        rules_version,
        enriched,
        batch,
    })
}

fn read_event(
    reader: &mut Reader,
    header: &BatchHeader,
    enriched: &mut Enriched,
    batch: &mut Batch,
    params: &mut ParamReader,
) -> Result<()> {
    let index = reader.number("seq")?;
    let ts = header.time.wrapping_add(reader.ulong()?);
    let (tid, cpu, code) = (reader.long()?, reader.number("cpu")?, reader.long()?);
    let kind = u16::try_from(code)
        .ok()
        .and_then(EventKind::from_code)
        .ok_or(Error::UnknownCode {
            event: batch.len(),
            code,
        })?;
    let process = read_index(reader, "process", enriched.processes.len())?;
    let file = read_index(reader, "file", enriched.files.len())?;
    let fd = if reader.present()? { Some(reader.long()?) } else { None };
    let name_changed = reader.bool()?;
    params.read(reader, batch.len(), kind)?;
    let resolved = reader.list(2, |reader| Ok((reader.number("param")?, reader.bytes()?.to_vec())))?;
    let most = enriched.rules.len();
    let rules = reader.list(1, |reader| bounded(reader, "rule", most))?;
    batch.push_packed(
        ts,
        tid,
        cpu,
        kind,
        params.lengths.iter().map(|&n| n as usize),
        &params.data,
    );
    enriched.events.push(EventFacts {
        index,
        process,
        file,
        fd,
        name_changed,
        resolved,
        rules,
    });
    Ok(())
}

/// An index below `most`.
fn bounded(reader: &mut Reader, what: &'static str, most: usize) -> Result<u32> {
    let index: u32 = reader.number(what)?;
    if (index as usize) < most {
        Ok(index)
    } else {
        Err(Error::Range {
            what,
            value: i64::from(index),
        })
    }
}

fn read_index(reader: &mut Reader, what: &'static str, most: usize) -> Result<Option<u32>> {
    if reader.present()? {
        bounded(reader, what, most).map(Some)
    } else {
        Ok(None)
    }
}

fn read_process(reader: &mut Reader) -> Result<Process> {
    fn text(reader: &mut Reader) -> Result<Vec<u8>> {
        reader.bytes().map(<[u8]>::to_vec)
    }
    // Fields are evaluated in the order in which they stand here: that of the schema.
    Ok(Process {
        id: reader.ulong()?,
        since: reader.ulong()?,
        pid: reader.long()?,
        ppid: reader.long()?,
        vpid: reader.long()?,
        sid: reader.long()?,
        pgid: reader.long()?,
        vpgid: reader.long()?,
        name: text(reader)?,
        exe: text(reader)?,
        exepath: text(reader)?,
        args: reader.list(1, text)?,
        cwd: text(reader)?,
        sname: text(reader)?,
        tty: reader.number("tty")?,
        uid: reader.number("uid")?,
        user: text(reader)?,
        gid: reader.number("gid")?,
        group: text(reader)?,
        loginuid: reader.long()?,
        login: text(reader)?,
        container_id: text(reader)?,
        cap_effective: reader.ulong()?,
        cap_permitted: reader.ulong()?,
        cap_inheritable: reader.ulong()?,
        exe_flags: reader.number::<i32>("exe_flags")? as u32,
        exe_ino: reader.ulong()?,
        exe_ctime: reader.ulong()?,
        exe_mtime: reader.ulong()?,
        exe_ctime_to_start: reader.ulong()?,
        started: reader.ulong()?,
        ancestors: reader.list(LEAST_ANCESTOR, |reader| {
            Ok(Ancestor {
                pid: reader.long()?,
                name: text(reader)?,
                exe: text(reader)?,
                exepath: text(reader)?,
                cmdline: text(reader)?,
                started: reader.ulong()?,
            })
        })?,
        guessed: reader.bool()?,
    })
}

fn read_file(reader: &mut Reader) -> Result<File> {
    let typechar = match *reader.bytes()? {
        [typechar] => typechar,
        ref other => {
            return Err(Error::Range {
                what: "length of typechar",
                value: other.len() as i64,
            });
        }
    };
    Ok(File {
        typechar,
        name: reader.bytes()?.to_vec(),
        raw: reader.bytes()?.to_vec(),
        l4proto: reader.text()?.as_bytes().to_vec(),
        client: read_endpoint(reader)?,
        server: read_endpoint(reader)?,
        local: read_endpoint(reader)?,
        remote: read_endpoint(reader)?,
        is_server: reader.bool()?,
        connected: reader.bool()?,
        dev: reader.number("dev")?,
        ino: reader.ulong()?,
    })
}

fn read_endpoint(reader: &mut Reader) -> Result<Option<(IpAddr, u16)>> {
    if !reader.present()? {
        return Ok(None);
    }
    let bytes = reader.bytes()?;
    let ip = match (<[u8; 4]>::try_from(bytes), <[u8; 16]>::try_from(bytes)) {
        (Ok(v4), _) => IpAddr::from(v4),
        (_, Ok(v6)) => IpAddr::from(v6),
        _ => {
            return Err(Error::Range {
                what: "length of an address",
                value: bytes.len() as i64,
            });
        }
    };
    Ok(Some((ip, reader.number("port")?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::avro::arbitrary::{assert_carried, batch_of, made_events};
    use proptest::{collection::vec, prelude::*};

    fn enriched(events: usize) -> Enriched {
        let processes = vec![Process {
            id: u64::MAX,
            since: 3,
            pid: -1,
            loginuid: -1,
            name: b"\xff".to_vec(),
            args: vec![b"-a".to_vec(), Vec::new()],
            tty: u32::MAX,
            uid: u32::MAX,
            cap_effective: u64::MAX,
            exe_flags: 8,
            ancestors: vec![Ancestor {
                pid: 1,
                name: b"init".to_vec(),
                started: 5,
                ..Ancestor::default()
            }],
            guessed: true,
            ..Process::default()
        }];
        let files = vec![File {
            typechar: b'4',
            l4proto: b"tcp".to_vec(),
            client: Some(([127, 0, 0, 1].into(), 65535)),
            server: Some(([0u16, 0, 0, 0, 0, 0, 0, 1].into(), 1)),
            dev: u32::MAX,
            ino: u64::MAX,
            ..File::default()
        }];
        let facts = |index: usize| EventFacts {
            index: index as u32,
            process: index.is_multiple_of(2).then_some(0),
            file: index.is_multiple_of(3).then_some(0),
            fd: (index % 3 < 2).then_some(-1),
            name_changed: index.is_multiple_of(5),
            resolved: vec![(index as u16, b"/tmp/\xff".to_vec())],
            rules: vec![0; index % 2],
        };
        Enriched {
            processes,
            files,
            events: (0..events).map(facts).collect(),
            rules: vec!["a rule".into()],
            containers: vec![container::tests::made(), Default::default()],
        }
    }

    proptest! {
        #[test]
        fn all_comes_back(events in made_events(12)) {
            let header = BatchHeader { host: "h".into(), first_seq: 9, time: 1000, ..BatchHeader::default() };
            let (batch, facts) = (batch_of(&events), enriched(events.len()));
            let origin = Origin { partition: 3, offset: 77 };
            let body = encode(&header, &batch, &facts, origin, "v1");
            let read = decode(&body).unwrap();
            prop_assert_eq!(read.count as usize, events.len());
            prop_assert_eq!((read.header, read.origin, read.rules_version, read.enriched), (header, origin, "v1".into(), facts));
            assert_carried(&read.batch, &events)?;
        }

        #[test]
        fn damage_does_not_make_it_panic(events in made_events(4), hits in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
            let mut body = encode(&BatchHeader::default(), &batch_of(&events), &enriched(events.len()), Origin::default(), "");
            for (at, byte) in hits {
                let at = at.index(body.len());
                body[at] = byte;
            }
            let _ = decode(&body);
        }
    }
}
