//! Avro's binary encoding: numbers, bytes, unions and arrays, for messages that may be hostile.

use crate::generated::events::EventKind;

/// The largest body that is read: what the broker takes for one message is a fraction of it.
pub const MAX_BODY: usize = 16 << 20;

/// Why bytes are not a message of ours. Each is one sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("the message ends in the middle of a value")]
    Truncated,
    #[error("a number has more than 64 bits")]
    Varint,
    #[error("a length of {0} bytes is negative or goes past the end of the message")]
    Length(i64),
    #[error("an array of {0} items does not fit in the message")]
    Count(i64),
    #[error("a union has no branch {0}")]
    Branch(i64),
    #[error("{0} is neither true nor false")]
    Boolean(u8),
    #[error("text is not UTF-8")]
    Utf8,
    #[error("{what} is {value}, out of its range")]
    Range { what: &'static str, value: i64 },
    #[error("{0} bytes follow the end of the message")]
    Trailing(usize),
    #[error("the message has {0} bytes, more than the {MAX_BODY} that are read")]
    TooLarge(usize),
    #[error("event {event} has the unknown code {code}")]
    UnknownCode { event: usize, code: i64 },
    #[error("parameter {param} of event {event} ({}): {reason}", kind.info().name)]
    Param {
        event: usize,
        kind: EventKind,
        param: usize,
        reason: &'static str,
    },
}

pub type Result<T> = std::result::Result<T, Error>;

#[inline]
pub fn put_long(out: &mut Vec<u8>, value: i64) {
    let mut bits = ((value << 1) ^ (value >> 63)) as u64;
    if bits < 0x80 {
        out.push(bits as u8);
        return;
    }
    let mut buffer = [0u8; 10];
    let mut used = 0;
    while bits >= 0x80 {
        buffer[used] = bits as u8 | 0x80;
        bits >>= 7;
        used += 1;
    }
    buffer[used] = bits as u8;
    out.extend_from_slice(&buffer[..=used]);
}

/// A number of 64 bits without sign: the same bits, as a long.
#[inline]
pub fn put_ulong(out: &mut Vec<u8>, value: u64) {
    put_long(out, value as i64);
}

#[inline]
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_long(out, bytes.len() as i64);
    out.extend_from_slice(bytes);
}

pub fn put_bool(out: &mut Vec<u8>, value: bool) {
    out.push(u8::from(value));
}

/// An array in one block.
pub fn put_array<T>(out: &mut Vec<u8>, items: &[T], mut put: impl FnMut(&mut Vec<u8>, &T)) {
    if !items.is_empty() {
        put_long(out, items.len() as i64);
        for item in items {
            put(out, item);
        }
    }
    out.push(0);
}

/// What is still to be read of a message.
#[derive(Clone, Copy)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

/// Where the reading of an array stands.
pub struct Items {
    left: u64,
    least: usize,
    done: bool,
}

impl<'a> Reader<'a> {
    pub fn new(body: &'a [u8]) -> Result<Reader<'a>> {
        if body.len() > MAX_BODY {
            return Err(Error::TooLarge(body.len()));
        }
        Ok(Reader { rest: body })
    }

    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// The message must be at its end.
    pub fn finish(self) -> Result<()> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(Error::Trailing(self.rest.len()))
        }
    }

    #[inline]
    pub fn long(&mut self) -> Result<i64> {
        let (&first, rest) = self.rest.split_first().ok_or(Error::Truncated)?;
        if first < 0x80 {
            self.rest = rest;
            return Ok(i64::from(first >> 1) ^ -i64::from(first & 1));
        }
        self.long_of_many()
    }

    fn long_of_many(&mut self) -> Result<i64> {
        let mut bits = 0u64;
        for (index, &byte) in self.rest.iter().enumerate().take(10) {
            if index == 9 && byte > 1 {
                return Err(Error::Varint);
            }
            bits |= u64::from(byte & 0x7f) << (7 * index);
            if byte < 0x80 {
                self.rest = &self.rest[index + 1..];
                return Ok((bits >> 1) as i64 ^ -((bits & 1) as i64));
            }
        }
        Err(if self.rest.len() < 10 {
            Error::Truncated
        } else {
            Error::Varint
        })
    }

    pub fn ulong(&mut self) -> Result<u64> {
        self.long().map(|value| value as u64)
    }

    /// A number that must fit `T`.
    #[inline]
    pub fn number<T: TryFrom<i64>>(&mut self, what: &'static str) -> Result<T> {
        let value = self.long()?;
        T::try_from(value).map_err(|_| Error::Range { what, value })
    }

    #[inline]
    pub fn bytes(&mut self) -> Result<&'a [u8]> {
        let length = self.long()?;
        let whole = usize::try_from(length)
            .ok()
            .filter(|&n| n <= self.rest.len())
            .ok_or(Error::Length(length))?;
        let (bytes, rest) = self.rest.split_at(whole);
        self.rest = rest;
        Ok(bytes)
    }

    pub fn text(&mut self) -> Result<&'a str> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Error::Utf8)
    }

    pub fn bool(&mut self) -> Result<bool> {
        let (&byte, rest) = self.rest.split_first().ok_or(Error::Truncated)?;
        self.rest = rest;
        match byte {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(Error::Boolean(other)),
        }
    }

    pub fn double(&mut self) -> Result<f64> {
        let (bytes, rest) = self.rest.split_first_chunk::<8>().ok_or(Error::Truncated)?;
        self.rest = rest;
        Ok(f64::from_le_bytes(*bytes))
    }

    /// The branch of a union of `branches`.
    #[inline]
    pub fn branch(&mut self, branches: i64) -> Result<u8> {
        let branch = self.long()?;
        if (0..branches).contains(&branch) {
            Ok(branch as u8)
        } else {
            Err(Error::Branch(branch))
        }
    }

    /// True where a union of null and one other type holds the other.
    #[inline]
    pub fn present(&mut self) -> Result<bool> {
        self.branch(2).map(|branch| branch == 1)
    }

    /// Begin an array whose items have at least `least` bytes each.
    pub fn array(&mut self, least: usize) -> Items {
        Items {
            left: 0,
            least,
            done: false,
        }
    }

    /// True if another item of the array follows. Blocks may be of any size, with or without their length in bytes.
    #[inline]
    pub fn more(&mut self, items: &mut Items) -> Result<bool> {
        if items.left > 0 {
            items.left -= 1;
            return Ok(true);
        }
        if items.done {
            return Ok(false);
        }
        let mut count = self.long()?;
        if count < 0 {
            let length = self.long()?;
            if usize::try_from(length).map_or(true, |n| n > self.rest.len()) {
                return Err(Error::Length(length));
            }
            count = count.checked_neg().ok_or(Error::Count(count))?;
        }
        if count == 0 {
            items.done = true;
            return Ok(false);
        }
        if count as u64 > (self.rest.len() / items.least) as u64 {
            return Err(Error::Count(count));
        }
        items.left = count as u64 - 1;
        Ok(true)
    }

    /// A whole array of items that have at least `least` bytes each.
    pub fn list<T>(&mut self, least: usize, mut item: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        let mut items = self.array(least);
        let mut list = Vec::new();
        while self.more(&mut items)? {
            list.push(item(self)?);
        }
        Ok(list)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn reader(bytes: &[u8]) -> Reader<'_> {
        Reader::new(bytes).unwrap()
    }

    #[test]
    fn numbers_have_avros_bytes() {
        for (value, bytes) in [
            (0, &[0u8][..]),
            (-1, &[1]),
            (1, &[2]),
            (-64, &[0x7f]),
            (64, &[0x80, 1]),
            (-65, &[0x81, 1]),
        ] {
            let mut out = Vec::new();
            put_long(&mut out, value);
            assert_eq!(out, bytes);
        }
    }

    proptest! {
        #[test]
        fn numbers_come_back(value: i64) {
            let mut out = Vec::new();
            put_long(&mut out, value);
            let mut reader = reader(&out);
            prop_assert_eq!(reader.long().unwrap(), value);
            prop_assert!(reader.finish().is_ok());
        }
    }

    #[test]
    fn a_number_of_too_many_bits_is_refused() {
        assert_eq!(reader(&[0xff; 9]).long(), Err(Error::Truncated));
        assert_eq!(reader(&[0xff; 12]).long(), Err(Error::Varint));
        let mut most = [0xff; 10];
        most[9] = 1;
        assert_eq!(reader(&most).long(), Ok(i64::MIN));
        most[9] = 2;
        assert_eq!(reader(&most).long(), Err(Error::Varint));
    }

    #[test]
    fn lengths_and_counts_beyond_the_message_are_refused() {
        assert_eq!(reader(&[20, 1, 2]).bytes(), Err(Error::Length(10)));
        assert_eq!(reader(&[1]).bytes(), Err(Error::Length(-1)));
        assert_eq!(reader(&[20, 0, 0]).list(1, Reader::long), Err(Error::Count(10)));
        let mut least = Vec::new();
        put_long(&mut least, i64::MIN);
        least.push(0);
        assert_eq!(reader(&least).list(1, Reader::long), Err(Error::Count(i64::MIN)));
    }

    #[test]
    fn blocks_may_be_split_and_carry_their_size() {
        // 1 item; 2 items in 2 bytes; the end.
        assert_eq!(reader(&[2, 2, 3, 4, 4, 6, 0]).list(1, Reader::long), Ok(vec![1, 2, 3]));
        assert_eq!(reader(&[1, 200, 1, 2]).list(1, Reader::long), Err(Error::Length(100)));
    }
}
