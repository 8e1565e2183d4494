//! How values become bytes and come back: numbers of variable length, lists with their length, shared things by number.

use std::hash::BuildHasher;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use hashbrown::HashMap;

use super::Error;
use crate::facts::Process;
use crate::state::fds::{Fd, Fds, Table};
use crate::state::hash::IntMap;
use crate::state::text::{LONGEST, Text};
use crate::state::threads::VERSIONS_OF_A_HOST;

/// What can be saved.
pub trait Saved: Sized {
    fn save(&self, out: &mut Writer);
    fn load(input: &mut Reader) -> Result<Self, Error>;

    fn save_all(items: &[Self], out: &mut Writer) {
        out.number(items.len() as u64);
        for item in items {
            item.save(out);
        }
    }

    fn load_all(input: &mut Reader) -> Result<Vec<Self>, Error> {
        let length = input.length()?;
        let mut items = Vec::with_capacity(length.min(ROOM));
        for _ in 0..length {
            items.push(Self::load(input)?);
        }
        Ok(items)
    }
}

/// A struct of which every field is saved, in this order. A field that is missing here does not compile.
macro_rules! saved {
    (@load $input:ident) => { Saved::load($input)? };
    (@load $input:ident $from:literal) => {
        if $input.version >= $from { Saved::load($input)? } else { Default::default() }
    };
    ($type:ident { $($field:ident $(since $from:literal)?),* $(,)? } $(versions { $($version:ident),* })?) => {
        impl $crate::state::saved::Saved for $type {
            fn save(&self, out: &mut $crate::state::saved::Writer) {
                let $type { $($field,)* $($($version,)*)? } = self;
                $($crate::state::saved::Saved::save($field, out);)*
                $($(out.version(*$version);)*)?
            }

            fn load(
                input: &mut $crate::state::saved::Reader,
            ) -> Result<Self, $crate::state::saved::Error> {
                $(let $field = saved!(@load input $($from)?);)*
                $($(let $version = input.version()?;)*)?
                Ok($type { $($field,)* $($($version,)*)? })
            }
        }
    };
}
pub(crate) use saved;

/// What follows has one holder.
const OWN: u64 = 0;
/// What follows has several; the next is known by the next number, beginning after this one.
const SHARED: u64 = 1;
/// Items that a list has room for before the first is read: its length is a claim.
const ROOM: usize = 64;

/// A body in the making. Shared things are known by where they are in memory, which does not change meanwhile.
#[derive(Debug, Default)]
pub struct Writer {
    pub bytes: Vec<u8>,
    /// Versions are written as their distance to this one.
    pub first_version: u64,
    texts: IntMap<u64, u64>,
    fds: IntMap<u64, u64>,
    tables: IntMap<u64, u64>,
    facts: IntMap<u64, u64>,
}

impl Writer {
    pub fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.bytes.push(number as u8);
    }

    /// 0 is the version of what has none.
    pub fn version(&mut self, version: u64) {
        self.number(match version {
            0 => 0,
            version => version.wrapping_sub(self.first_version).wrapping_add(1),
        });
    }

    /// True if the thing at this address is written already: its number stands for it. What has one holder has no number.
    fn told(&mut self, pool: fn(&mut Writer) -> &mut IntMap<u64, u64>, address: u64, holders: usize) -> bool {
        if holders <= 1 {
            self.number(OWN);
            return false;
        }
        let pool = pool(self);
        let next = SHARED + 1 + pool.len() as u64;
        let known = *pool.entry(address).or_insert(next);
        self.number(if known == next { SHARED } else { known });
        known != next
    }
}

/// A body being read.
#[derive(Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    pub version: u16,
    pub first_version: u64,
    /// Distance of the largest version that there can be.
    pub last_version: u64,
    texts: Vec<Text>,
    fds: Vec<Arc<Fd>>,
    tables: Vec<Fds>,
    facts: Vec<Arc<Process>>,
}

const CUT: Error = Error::Invalid("it ends too early");

impl<'a> Reader<'a> {
    pub fn new(version: u16, body: &'a [u8]) -> Reader<'a> {
        Reader {
            rest: body,
            version,
            first_version: 0,
            last_version: 0,
            texts: Vec::new(),
            fds: Vec::new(),
            tables: Vec::new(),
            facts: Vec::new(),
        }
    }

    fn byte(&mut self) -> Result<u8, Error> {
        let (byte, rest) = self.rest.split_first().ok_or(CUT)?;
        self.rest = rest;
        Ok(*byte)
    }

    pub fn number(&mut self) -> Result<u64, Error> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            if shift == 63 && byte > 1 {
                break;
            }
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Error::Invalid("a number too long"))
    }

    /// A number that something is counted with: far from where counting ends.
    pub fn count(&mut self) -> Result<u64, Error> {
        let count = self.number()?;
        if count >> 62 != 0 {
            return Err(Error::Invalid("a count too large"));
        }
        Ok(count)
    }

    pub fn version(&mut self) -> Result<u64, Error> {
        match self.number()? {
            0 => Ok(0),
            distance if distance - 1 <= self.last_version => Ok(self.first_version.wrapping_add(distance - 1)),
            _ => Err(Error::Invalid("a version that was never given")),
        }
    }

    /// The version that is given last; those that follow are no larger.
    pub fn set_last_version(&mut self) -> Result<u64, Error> {
        self.last_version = self.number()?;
        if self.last_version > VERSIONS_OF_A_HOST / 2 {
            return Err(Error::Invalid("a version that was never given"));
        }
        Ok(self.first_version.wrapping_add(self.last_version))
    }

    /// Length of a list: each of its items takes a byte at least.
    pub fn length(&mut self) -> Result<usize, Error> {
        let length = self.number()?;
        if length > self.rest.len() as u64 {
            return Err(CUT);
        }
        Ok(length as usize)
    }

    fn bytes(&mut self) -> Result<&'a [u8], Error> {
        let length = self.length()?;
        let (bytes, rest) = self.rest.split_at(length);
        self.rest = rest;
        Ok(bytes)
    }

    pub fn finish(self) -> Result<(), Error> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(Error::Length)
        }
    }
}

/// One of what was read before.
fn known<T: Clone>(pool: &[T], number: u64) -> Result<T, Error> {
    let place = usize::try_from(number - SHARED - 1).ok();
    place
        .and_then(|place| pool.get(place))
        .cloned()
        .ok_or(Error::Invalid("it points at what is not there"))
}

impl Saved for u64 {
    fn save(&self, out: &mut Writer) {
        out.number(*self);
    }

    fn load(input: &mut Reader) -> Result<u64, Error> {
        input.number()
    }
}

impl Saved for i64 {
    fn save(&self, out: &mut Writer) {
        out.number((self << 1 ^ self >> 63) as u64);
    }

    fn load(input: &mut Reader) -> Result<i64, Error> {
        let number = input.number()?;
        Ok((number >> 1) as i64 ^ -((number & 1) as i64))
    }
}

macro_rules! narrow {
    ($($type:ty),*) => {$(
        impl Saved for $type {
            fn save(&self, out: &mut Writer) {
                out.number(u64::from(*self));
            }

            fn load(input: &mut Reader) -> Result<$type, Error> {
                <$type>::try_from(input.number()?).map_err(|_| Error::Invalid("a number too large"))
            }
        }
    )*};
}
narrow!(u16, u32);

impl Saved for u8 {
    fn save(&self, out: &mut Writer) {
        out.bytes.push(*self);
    }

    fn load(input: &mut Reader) -> Result<u8, Error> {
        input.byte()
    }

    fn save_all(items: &[u8], out: &mut Writer) {
        out.number(items.len() as u64);
        out.bytes.extend_from_slice(items);
    }

    fn load_all(input: &mut Reader) -> Result<Vec<u8>, Error> {
        input.bytes().map(<[u8]>::to_vec)
    }
}

/// What a key alone says.
impl Saved for () {
    fn save(&self, _: &mut Writer) {}

    fn load(_: &mut Reader) -> Result<(), Error> {
        Ok(())
    }
}

impl Saved for bool {
    fn save(&self, out: &mut Writer) {
        out.bytes.push(u8::from(*self));
    }

    fn load(input: &mut Reader) -> Result<bool, Error> {
        match input.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Error::Invalid("neither true nor false")),
        }
    }
}

impl<T: Saved> Saved for Option<T> {
    fn save(&self, out: &mut Writer) {
        self.is_some().save(out);
        if let Some(value) = self {
            value.save(out);
        }
    }

    fn load(input: &mut Reader) -> Result<Option<T>, Error> {
        bool::load(input)?.then(|| T::load(input)).transpose()
    }
}

impl<A: Saved, B: Saved> Saved for (A, B) {
    fn save(&self, out: &mut Writer) {
        self.0.save(out);
        self.1.save(out);
    }

    fn load(input: &mut Reader) -> Result<(A, B), Error> {
        Ok((A::load(input)?, B::load(input)?))
    }
}

impl<T: Saved> Saved for Vec<T> {
    fn save(&self, out: &mut Writer) {
        T::save_all(self, out);
    }

    fn load(input: &mut Reader) -> Result<Vec<T>, Error> {
        T::load_all(input)
    }
}

impl Saved for String {
    fn save(&self, out: &mut Writer) {
        out.number(self.len() as u64);
        out.bytes.extend_from_slice(self.as_bytes());
    }

    fn load(input: &mut Reader) -> Result<String, Error> {
        let text = std::str::from_utf8(input.bytes()?);
        text.map(str::to_owned)
            .map_err(|_| Error::Invalid("a name that is no UTF-8"))
    }
}

/// Rows in the order of their keys: the same bytes for the same content.
impl<V: Saved, S: BuildHasher + Default> Saved for HashMap<i64, V, S> {
    fn save(&self, out: &mut Writer) {
        out.number(self.len() as u64);
        let mut rows: Vec<_> = self.iter().collect();
        rows.sort_unstable_by_key(|(key, _)| **key);
        for (key, value) in rows {
            key.save(out);
            value.save(out);
        }
    }

    fn load(input: &mut Reader) -> Result<Self, Error> {
        let length = input.length()?;
        let mut map = HashMap::with_capacity_and_hasher(length.min(ROOM), S::default());
        for _ in 0..length {
            let key = i64::load(input)?;
            if map.insert(key, V::load(input)?).is_some() {
                return Err(Error::Invalid("a key twice"));
            }
        }
        Ok(map)
    }
}

impl Saved for IpAddr {
    fn save(&self, out: &mut Writer) {
        match self {
            IpAddr::V4(ip) => {
                out.bytes.push(4);
                out.bytes.extend_from_slice(&ip.octets());
            }
            IpAddr::V6(ip) => {
                out.bytes.push(6);
                ip.save(out);
            }
        }
    }

    fn load(input: &mut Reader) -> Result<IpAddr, Error> {
        match input.byte()? {
            4 => {
                let (octets, rest) = input.rest.split_first_chunk::<4>().ok_or(CUT)?;
                input.rest = rest;
                Ok(IpAddr::V4(Ipv4Addr::from(*octets)))
            }
            6 => Ipv6Addr::load(input).map(IpAddr::V6),
            _ => Err(Error::Invalid("an address of no known family")),
        }
    }
}

impl Saved for Ipv6Addr {
    fn save(&self, out: &mut Writer) {
        out.bytes.extend_from_slice(&self.octets());
    }

    fn load(input: &mut Reader) -> Result<Ipv6Addr, Error> {
        let (octets, rest) = input.rest.split_first_chunk::<16>().ok_or(CUT)?;
        input.rest = rest;
        Ok(Ipv6Addr::from(*octets))
    }
}

impl Saved for Text {
    fn save(&self, out: &mut Writer) {
        if !out.told(|out| &mut out.texts, self.address(), self.holders()) {
            out.number(self.len() as u64);
            out.bytes.extend_from_slice(self);
        }
    }

    fn load(input: &mut Reader) -> Result<Text, Error> {
        let number = input.number()?;
        if number > SHARED {
            return known(&input.texts, number);
        }
        let bytes = input.bytes()?;
        if bytes.len() > LONGEST {
            return Err(Error::Invalid("a text too long"));
        }
        let text = Text::from(bytes);
        if number == SHARED {
            input.texts.push(text.clone());
        }
        Ok(text)
    }
}

macro_rules! shared {
    ($type:ty, $pool:ident, $inner:ty, $make:expr, $address:expr, $holders:expr) => {
        impl Saved for $type {
            fn save(&self, out: &mut Writer) {
                if !out.told(|out| &mut out.$pool, $address(self), $holders(self)) {
                    <$inner>::save(self, out);
                }
            }

            fn load(input: &mut Reader) -> Result<$type, Error> {
                let number = input.number()?;
                if number > SHARED {
                    return known(&input.$pool, number);
                }
                let made: $type = $make(<$inner>::load(input)?);
                if number == SHARED {
                    input.$pool.push(made.clone());
                }
                Ok(made)
            }
        }
    };
}

fn address<T>(shared: &Arc<T>) -> u64 {
    Arc::as_ptr(shared).addr() as u64
}

shared!(Arc<Fd>, fds, Fd, Arc::new, address, Arc::strong_count);
shared!(Arc<Process>, facts, Process, Arc::new, address, Arc::strong_count);
shared!(Fds, tables, Table, Fds::from, Fds::address, Fds::holders);
