//! Parameters of an event as Avro fields (`values`, `addr`, `tuple`, `fds`, `dyns`) and back, without loss.
//!
//! A value is null, a long or bytes. Text travels without its NUL. What does not have the layout of its type (a number of
//! another width, a cut address) travels as bytes, and comes back as those bytes.

use super::wire::{Error, Reader, Result, put_array, put_bytes, put_long};
use crate::{
    event::Event,
    generated::events::EventKind,
    table::{Coding, DynType, ParamInfo},
};

const NULL: u8 = 0;
const LONG: u8 = 2;
const BYTES: u8 = 4;
/// `dyns.type` of a parameter without value, or of one whose bytes are not those of a type in its list.
const NO_TYPE: i64 = -1;

const AF_UNIX: u8 = 1;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;

pub fn put_params(out: &mut Vec<u8>, event: &Event) {
    let infos = event.kind().info().params;
    let count = event.param_count().min(infos.len());
    let [mut addr, mut tuple, mut fds] = [&[][..]; 3];
    let mut dyns = 0;
    if count > 0 {
        put_long(out, count as i64);
    }
    for (index, info) in infos[..count].iter().enumerate() {
        let bytes = event.param(index).unwrap_or_default();
        match info.kind.coding() {
            coding @ (Coding::Int { .. } | Coding::Text | Coding::Bytes) => put_value(out, coding, bytes),
            Coding::Sockaddr if addr.is_empty() && is_sockaddr(bytes) => {
                addr = bytes;
                out.push(NULL);
            }
            Coding::Socktuple if tuple.is_empty() && is_socktuple(bytes) => {
                tuple = bytes;
                out.push(NULL);
            }
            Coding::Fdlist if fds.is_empty() && is_fdlist(bytes) => {
                fds = bytes;
                out.push(NULL);
            }
            Coding::Dyn => {
                dyns += 1;
                out.push(NULL);
            }
            Coding::Sockaddr | Coding::Socktuple | Coding::Fdlist => put_value(out, Coding::Bytes, bytes),
        }
    }
    out.push(0);
    put_sockaddr(out, addr);
    put_socktuple(out, tuple);
    put_fdlist(out, fds);
    if dyns > 0 {
        put_long(out, dyns);
        for (index, info) in infos[..count].iter().enumerate() {
            if let Some(types) = info.dynamic {
                put_dyn(out, types, event.param(index).unwrap_or_default());
            }
        }
    }
    out.push(0);
}

#[inline]
fn put_value(out: &mut Vec<u8>, coding: Coding, bytes: &[u8]) {
    if bytes.is_empty() {
        out.push(NULL);
        return;
    }
    match coding {
        Coding::Int { width, signed } if width == bytes.len() => {
            out.push(LONG);
            put_long(out, integer(bytes, signed));
        }
        Coding::Text => {
            out.push(BYTES);
            put_bytes(out, bytes.strip_suffix(&[0]).unwrap_or(bytes));
        }
        _ => {
            out.push(BYTES);
            put_bytes(out, bytes);
        }
    }
}

/// Little-endian bytes of 1, 2, 4 or 8, the widths of the table.
fn integer(bytes: &[u8], signed: bool) -> i64 {
    let mut wide = [if signed && bytes[bytes.len() - 1] >= 0x80 {
        0xff
    } else {
        0
    }; 8];
    wide[..bytes.len()].copy_from_slice(bytes);
    i64::from_le_bytes(wide)
}

fn is_sockaddr(bytes: &[u8]) -> bool {
    match *bytes {
        [] => false,
        [AF_INET, ref rest @ ..] => rest.len() == 6,
        [AF_INET6, ref rest @ ..] => rest.len() == 18,
        [AF_UNIX, ref rest @ ..] => rest.last() == Some(&0),
        [_, ref rest @ ..] => rest.is_empty(),
    }
}

fn is_socktuple(bytes: &[u8]) -> bool {
    match *bytes {
        [] => false,
        [AF_INET, ref rest @ ..] => rest.len() == 12,
        [AF_INET6, ref rest @ ..] => rest.len() == 36,
        [AF_UNIX, ref rest @ ..] => rest.len() > 16 && rest.last() == Some(&0),
        [_, ref rest @ ..] => rest.is_empty(),
    }
}

const FDLIST_ITEM: usize = 10;

fn is_fdlist(bytes: &[u8]) -> bool {
    let Some((count, items)) = bytes.split_first_chunk::<2>() else {
        return false;
    };
    items.len() == usize::from(u16::from_le_bytes(*count)) * FDLIST_ITEM
}

fn port(bytes: &[u8]) -> i64 {
    i64::from(u16::from_le_bytes([bytes[0], bytes[1]]))
}

fn put_sockaddr(out: &mut Vec<u8>, bytes: &[u8]) {
    let Some((&family, rest)) = bytes.split_first() else {
        return out.push(NULL);
    };
    out.push(LONG);
    put_long(out, i64::from(family));
    let (ip, port, path) = match family {
        AF_UNIX => (&[][..], 0, &rest[..rest.len() - 1]),
        AF_INET | AF_INET6 => (&rest[..rest.len() - 2], port(&rest[rest.len() - 2..]), &[][..]),
        _ => (&[][..], 0, &[][..]),
    };
    put_bytes(out, ip);
    put_long(out, port);
    put_bytes(out, path);
}

fn put_socktuple(out: &mut Vec<u8>, bytes: &[u8]) {
    let Some((&family, rest)) = bytes.split_first() else {
        return out.push(NULL);
    };
    out.push(LONG);
    put_long(out, i64::from(family));
    let mut end = |address: &[u8], port: i64| {
        put_bytes(out, address);
        put_long(out, port);
    };
    let path = match family {
        AF_UNIX => {
            end(&rest[..8], 0);
            end(&rest[8..16], 0);
            &rest[16..rest.len() - 1]
        }
        AF_INET | AF_INET6 => {
            for half in rest.chunks_exact(rest.len() / 2) {
                let (ip, number) = half.split_at(half.len() - 2);
                end(ip, port(number));
            }
            &[][..]
        }
        _ => {
            end(&[], 0);
            end(&[], 0);
            &[][..]
        }
    };
    put_bytes(out, path);
}

fn put_fdlist(out: &mut Vec<u8>, bytes: &[u8]) {
    let Some(items) = bytes.get(2..) else {
        return out.push(NULL);
    };
    out.push(LONG);
    let items: &[[u8; FDLIST_ITEM]] = items.as_chunks().0;
    put_array(out, items, |out, item| {
        put_long(out, integer(&item[..8], true));
        put_long(out, integer(&item[8..], true));
    });
}

fn put_dyn(out: &mut Vec<u8>, types: &[DynType], bytes: &[u8]) {
    if let Some((&index, value)) = bytes.split_first()
        && let Some(kind) = types.get(usize::from(index))
    {
        let coding = kind.kind.coding();
        let fits = match coding {
            Coding::Int { width, .. } => width == value.len(),
            Coding::Text => value.last() == Some(&0),
            _ => true,
        };
        if fits || value.is_empty() {
            put_long(out, i64::from(index));
            return put_value(out, coding, value);
        }
    }
    put_long(out, NO_TYPE);
    put_value(out, Coding::Bytes, bytes);
}

#[derive(Clone, Copy)]
enum Value<'a> {
    Null,
    Long(i64),
    Bytes(&'a [u8]),
}

#[inline]
fn read_value<'a>(reader: &mut Reader<'a>) -> Result<Value<'a>> {
    Ok(match reader.branch(3)? {
        0 => Value::Null,
        1 => Value::Long(reader.long()?),
        _ => Value::Bytes(reader.bytes()?),
    })
}

/// Append the parameter that a value stands for.
#[inline]
fn take_value(data: &mut Vec<u8>, coding: Coding, value: Value) -> std::result::Result<(), &'static str> {
    match (value, coding) {
        (Value::Null, _) => Ok(()),
        (Value::Long(number), Coding::Int { width, signed }) => {
            if integer(&number.to_le_bytes()[..width], signed) != number {
                return Err("the number does not fit its type");
            }
            data.extend_from_slice(&number.to_le_bytes()[..width]);
            Ok(())
        }
        (Value::Long(_), _) => Err("its type is not a number"),
        (Value::Bytes(text), Coding::Text) => {
            data.extend_from_slice(text);
            data.push(0);
            Ok(())
        }
        (Value::Bytes(_), Coding::Dyn) => Err("its value belongs in dyns"),
        (Value::Bytes(bytes), _) => {
            data.extend_from_slice(bytes);
            Ok(())
        }
    }
}

/// A parameter whose bytes stand in a field of their own, after `values`.
struct Hole {
    param: usize,
    /// Where in `data` they go.
    at: usize,
    /// Where in `filled` they are.
    from: usize,
    to: usize,
}

/// Reads the fields that [`put_params`] writes, into parameters that lie back to back. Kept from event to event, for its memory.
#[derive(Default)]
pub struct ParamReader {
    pub lengths: Vec<u32>,
    pub data: Vec<u8>,
    holes: Vec<Hole>,
    filled: Vec<u8>,
}

impl ParamReader {
    pub fn read(&mut self, reader: &mut Reader, event: usize, kind: EventKind) -> Result<()> {
        let infos = kind.info().params;
        self.lengths.clear();
        self.data.clear();
        self.holes.clear();
        self.filled.clear();
        let fail = |param, reason| Error::Param {
            event,
            kind,
            param,
            reason,
        };
        let mut values = reader.array(1);
        while reader.more(&mut values)? {
            let value = read_value(reader)?;
            let (param, at) = (self.lengths.len(), self.data.len());
            // A newer table may have more parameters than this one.
            let Some(info) = infos.get(param) else { continue };
            let coding = info.kind.coding();
            if matches!(value, Value::Null)
                && matches!(
                    coding,
                    Coding::Sockaddr | Coding::Socktuple | Coding::Fdlist | Coding::Dyn
                )
            {
                self.holes.push(Hole {
                    param,
                    at,
                    from: 0,
                    to: 0,
                });
            } else {
                take_value(&mut self.data, coding, value).map_err(|reason| fail(param, reason))?;
            }
            self.lengths.push((self.data.len() - at) as u32);
        }
        if reader.present()? {
            self.fill(infos, Coding::Sockaddr, fail, |out| read_sockaddr(reader, out))?;
        }
        if reader.present()? {
            self.fill(infos, Coding::Socktuple, fail, |out| read_socktuple(reader, out))?;
        }
        if reader.present()? {
            self.fill(infos, Coding::Fdlist, fail, |out| read_fdlist(reader, out))?;
        }
        self.read_dyns(reader, infos, fail)?;
        for hole in self.holes.iter().rev().filter(|hole| hole.from < hole.to) {
            self.data
                .splice(hole.at..hole.at, self.filled[hole.from..hole.to].iter().copied());
            self.lengths[hole.param] = (hole.to - hole.from) as u32;
        }
        Ok(())
    }

    /// Read a structure into the first hole of its coding; one without a hole belongs to a parameter of a newer table.
    fn fill(
        &mut self,
        infos: &[ParamInfo],
        coding: Coding,
        fail: impl Fn(usize, &'static str) -> Error,
        read: impl FnOnce(&mut Vec<u8>) -> Result<std::result::Result<(), &'static str>>,
    ) -> Result<()> {
        let from = self.filled.len();
        let hole = self
            .holes
            .iter_mut()
            .find(|hole| infos[hole.param].kind.coding() == coding);
        let outcome = read(&mut self.filled)?;
        if let Some(hole) = hole {
            outcome.map_err(|reason| fail(hole.param, reason))?;
            (hole.from, hole.to) = (from, self.filled.len());
        }
        Ok(())
    }

    fn read_dyns(
        &mut self,
        reader: &mut Reader,
        infos: &[ParamInfo],
        fail: impl Fn(usize, &'static str) -> Error,
    ) -> Result<()> {
        let mut holes = self
            .holes
            .iter_mut()
            .filter_map(|hole| infos[hole.param].dynamic.map(|types| (hole, types)));
        let mut dyns = reader.array(2);
        while reader.more(&mut dyns)? {
            let (index, value) = (reader.long()?, read_value(reader)?);
            let Some((hole, types)) = holes.next() else { continue };
            hole.from = self.filled.len();
            let coding = match usize::try_from(index).ok().and_then(|row| types.get(row)) {
                Some(dynamic) => {
                    self.filled.push(index as u8);
                    dynamic.kind.coding()
                }
                None if index == NO_TYPE => Coding::Bytes,
                None => return Err(fail(hole.param, "its list of types has no such row")),
            };
            take_value(&mut self.filled, coding, value).map_err(|reason| fail(hole.param, reason))?;
            hole.to = self.filled.len();
        }
        Ok(())
    }
}

/// The outer error is that of the message, the inner one that of the value.
type Read = Result<std::result::Result<(), &'static str>>;

const NO_ADDRESS: &str = "the address does not have the length of its family";

/// Bytes of an address in this family; `None` where a family has no addresses.
fn address_length(family: u8) -> Option<usize> {
    match family {
        AF_INET => Some(4),
        AF_INET6 => Some(16),
        AF_UNIX => Some(8),
        _ => None,
    }
}

fn read_sockaddr(reader: &mut Reader, out: &mut Vec<u8>) -> Read {
    let family: u8 = reader.number("family")?;
    let (ip, port, path) = (reader.bytes()?, reader.number::<u16>("port")?, reader.bytes()?);
    out.push(family);
    match family {
        AF_UNIX => {
            out.extend_from_slice(path);
            out.push(0);
        }
        AF_INET | AF_INET6 => {
            if address_length(family) != Some(ip.len()) {
                return Ok(Err(NO_ADDRESS));
            }
            out.extend_from_slice(ip);
            out.extend_from_slice(&port.to_le_bytes());
        }
        _ => {}
    }
    Ok(Ok(()))
}

fn read_socktuple(reader: &mut Reader, out: &mut Vec<u8>) -> Read {
    let family: u8 = reader.number("family")?;
    let mut ends = [(&[][..], 0u16); 2];
    for end in &mut ends {
        *end = (reader.bytes()?, reader.number("port")?);
    }
    let path = reader.bytes()?;
    out.push(family);
    let Some(length) = address_length(family) else {
        return Ok(Ok(()));
    };
    for (address, port) in ends {
        if address.len() != length {
            return Ok(Err(NO_ADDRESS));
        }
        out.extend_from_slice(address);
        if family != AF_UNIX {
            out.extend_from_slice(&port.to_le_bytes());
        }
    }
    if family == AF_UNIX {
        out.extend_from_slice(path);
        out.push(0);
    }
    Ok(Ok(()))
}

fn read_fdlist(reader: &mut Reader, out: &mut Vec<u8>) -> Read {
    let start = out.len();
    out.extend_from_slice(&[0, 0]);
    let mut count = 0usize;
    let mut items = reader.array(2);
    while reader.more(&mut items)? {
        let (fd, events) = (reader.long()?, reader.number::<i16>("events")?);
        out.extend_from_slice(&fd.to_le_bytes());
        out.extend_from_slice(&events.to_le_bytes());
        count += 1;
    }
    let Ok(count) = u16::try_from(count) else {
        return Ok(Err("it has more than 65535 descriptors"));
    };
    out[start..start + 2].copy_from_slice(&count.to_le_bytes());
    Ok(Ok(()))
}
