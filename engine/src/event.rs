//! Decoded events: what every source (ring, capture, Avro) fills and every consumer (state, rules, Avro) reads.

use crate::generated::events::EventKind;

/// The fixed part of an event; its parameters lie in the arena of its [`Batch`].
#[derive(Clone, Copy, Debug)]
pub struct Header {
    /// UTC nanoseconds.
    pub ts: u64,
    /// Thread, -1 where an event has none (plugin, asynchronous).
    pub tid: i64,
    pub kind: EventKind,
    pub cpu: u16,
    /// First parameter in `Batch::ends`, and how many there are.
    first_param: u32,
    params: u16,
    /// Start of the first parameter in `Batch::data`.
    start: u32,
    /// Changes the state and is not shown (captures mark such events).
    hidden: bool,
}

/// Events in one arena: parameters back to back in the encoding of reference captures (little-endian integers, strings
/// with their NUL, no alignment).
#[derive(Clone, Debug, Default)]
pub struct Batch {
    headers: Vec<Header>,
    ends: Vec<u32>,
    data: Vec<u8>,
    /// What was known of the host before this batch is void: a capture goes on with another recording.
    begins_section: bool,
}

/// One event of a batch.
#[derive(Clone, Copy)]
pub struct Event<'a> {
    header: &'a Header,
    ends: &'a [u32],
    data: &'a [u8],
}

impl Batch {
    pub fn new() -> Batch {
        Batch::default()
    }

    pub fn len(&self) -> usize {
        self.headers.len()
    }

    pub fn is_empty(&self) -> bool {
        self.headers.is_empty()
    }

    /// Bytes of parameters held.
    pub fn data_len(&self) -> usize {
        self.data.len()
    }

    /// Forget all events, keep the memory.
    pub fn clear(&mut self) {
        self.headers.clear();
        self.ends.clear();
        self.data.clear();
        self.begins_section = false;
    }

    pub fn begin_section(&mut self) {
        self.begins_section = true;
    }

    pub fn begins_section(&self) -> bool {
        self.begins_section
    }

    /// The event appended last changes the state and is not shown.
    pub fn hide_last(&mut self) {
        if let Some(header) = self.headers.last_mut() {
            header.hidden = true;
        }
    }

    /// Forget the events from the `len`-th on.
    pub fn truncate(&mut self, len: usize) {
        let Some(first) = self.headers.get(len) else { return };
        let (param, start) = (first.first_param as usize, first.start as usize);
        self.headers.truncate(len);
        self.ends.truncate(param);
        self.data.truncate(start);
    }

    /// Append an event; `params` are its encoded parameters in order, an empty slice being "no value".
    pub fn push<'p>(
        &mut self,
        ts: u64,
        tid: i64,
        cpu: u16,
        kind: EventKind,
        params: impl IntoIterator<Item = &'p [u8]>,
    ) {
        let first_param = self.ends.len() as u32;
        let start = self.data.len() as u32;
        for param in params {
            self.data.extend_from_slice(param);
            self.ends.push(self.data.len() as u32);
        }
        let params = (self.ends.len() as u32 - first_param) as u16;
        self.headers.push(Header {
            ts,
            tid,
            kind,
            cpu,
            first_param,
            params,
            start,
            hidden: false,
        });
    }

    /// Append an event whose parameters are already back to back in `data` with these lengths.
    /// The caller has checked that the lengths add up to at most `data.len()`.
    #[inline]
    pub fn push_packed(
        &mut self,
        ts: u64,
        tid: i64,
        cpu: u16,
        kind: EventKind,
        lengths: impl Iterator<Item = usize>,
        data: &[u8],
    ) {
        let first_param = self.ends.len() as u32;
        let start = self.data.len() as u32;
        let mut end = start;
        self.ends.extend(lengths.map(|length| {
            end += length as u32;
            end
        }));
        debug_assert!((end - start) as usize <= data.len());
        self.data.extend_from_slice(&data[..(end - start) as usize]);
        let params = (self.ends.len() as u32 - first_param) as u16;
        self.headers.push(Header {
            ts,
            tid,
            kind,
            cpu,
            first_param,
            params,
            start,
            hidden: false,
        });
    }

    /// Append events of another batch.
    pub fn extend(&mut self, other: &Batch, range: std::ops::Range<usize>) {
        let (Some(first), Some(last)) = (
            other.headers[range.clone()].first(),
            other.headers[range.clone()].last(),
        ) else {
            return;
        };
        let (param, start) = (first.first_param, first.start);
        let last_param = last.first_param + u32::from(last.params);
        let end = if last.params == 0 {
            last.start
        } else {
            other.ends[last_param as usize - 1]
        };
        let (to_param, to_start) = (self.ends.len() as u32, self.data.len() as u32);
        self.data.extend_from_slice(&other.data[start as usize..end as usize]);
        self.ends.extend(
            other.ends[param as usize..last_param as usize]
                .iter()
                .map(|end| end - start + to_start),
        );
        self.headers.extend(other.headers[range].iter().map(|header| Header {
            first_param: header.first_param - param + to_param,
            start: header.start - start + to_start,
            ..*header
        }));
    }

    /// Put the events of another batch before this one's, told no later than its first.
    pub fn put_first(&mut self, mut other: Batch) {
        if let Some(first) = self.headers.first() {
            for header in &mut other.headers {
                header.ts = header.ts.min(first.ts);
            }
        }
        other.begins_section |= self.begins_section;
        std::mem::swap(self, &mut other);
        self.extend(&other, 0..other.len());
    }

    /// Put other bytes in the place of parameters: `acts` says for a kind which to look at, in ascending order, `apply`
    /// gives the new bytes of one, or None where they stay.
    pub fn rewrite<'a, A: Copy + 'a>(
        &mut self,
        acts: impl Fn(EventKind) -> &'a [(usize, A)],
        mut apply: impl FnMut(A, &[u8]) -> Option<Vec<u8>>,
    ) {
        let mut out: Vec<u8> = Vec::new();
        // The old bytes up to `done` are in `out`, in their new form.
        let (mut done, mut changed) = (0usize, false);
        for header in &mut self.headers {
            let acts = acts(header.kind);
            if acts.is_empty() && !changed {
                continue;
            }
            let mut start = header.start as usize;
            header.start = (start - done + out.len()) as u32;
            let first = header.first_param as usize;
            let mut acts = acts.iter().peekable();
            for (index, end) in self.ends[first..first + usize::from(header.params)]
                .iter_mut()
                .enumerate()
            {
                let old = *end as usize;
                if let Some(&(_, act)) = acts.next_if(|&&(at, _)| at == index)
                    && let Some(new) = apply(act, &self.data[start..old])
                {
                    if !changed {
                        (changed, out) = (true, Vec::with_capacity(self.data.len()));
                    }
                    out.extend_from_slice(&self.data[done..start]);
                    out.extend_from_slice(&new);
                    done = old;
                }
                *end = (old - done + out.len()) as u32;
                start = old;
            }
        }
        if changed {
            out.extend_from_slice(&self.data[done..]);
            self.data = out;
        }
    }

    pub fn get(&self, index: usize) -> Event<'_> {
        let header = &self.headers[index];
        let first = header.first_param as usize;
        Event {
            header,
            ends: &self.ends[first..first + usize::from(header.params)],
            data: &self.data,
        }
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = Event<'_>> {
        (0..self.len()).map(|i| self.get(i))
    }
}

impl<'a> Event<'a> {
    pub fn ts(&self) -> u64 {
        self.header.ts
    }

    pub fn tid(&self) -> i64 {
        self.header.tid
    }

    pub fn cpu(&self) -> u16 {
        self.header.cpu
    }

    pub fn kind(&self) -> EventKind {
        self.header.kind
    }

    pub fn is_hidden(&self) -> bool {
        self.header.hidden
    }

    /// Bytes of all parameters.
    #[inline]
    pub fn size(&self) -> usize {
        self.ends.last().map_or(0, |end| (end - self.header.start) as usize)
    }

    pub fn param_count(&self) -> usize {
        self.ends.len()
    }

    /// Encoded bytes of a parameter; `None` if the event carries fewer, empty if it has no value.
    pub fn param(&self, index: usize) -> Option<&'a [u8]> {
        let end = *self.ends.get(index)? as usize;
        let start = if index == 0 {
            self.header.start
        } else {
            self.ends[index - 1]
        } as usize;
        Some(&self.data[start..end])
    }

    /// An integer parameter of any width, sign-extended where `signed`; `None` if absent or not of an integer's width.
    fn integer(&self, index: usize, signed: bool) -> Option<i64> {
        let bytes = self.param(index)?;
        let wide = match *bytes {
            [a] => i64::from(a),
            [a, b] => i64::from(u16::from_le_bytes([a, b])),
            [a, b, c, d] => i64::from(u32::from_le_bytes([a, b, c, d])),
            [a, b, c, d, e, f, g, h] => return Some(i64::from_le_bytes([a, b, c, d, e, f, g, h])),
            _ => return None,
        };
        let shift = 64 - 8 * bytes.len() as u32;
        Some(if signed { wide << shift >> shift } else { wide })
    }

    pub fn int(&self, index: usize) -> Option<i64> {
        self.integer(index, true)
    }

    pub fn uint(&self, index: usize) -> Option<u64> {
        self.integer(index, false).map(|v| v as u64)
    }

    /// A string parameter without its NUL; `None` if absent, without value, or the text `(NULL)`.
    pub fn text(&self, index: usize) -> Option<&'a [u8]> {
        let bytes = self.param(index)?;
        if bytes.is_empty() {
            return None;
        }
        let end = memchr::memchr(0, bytes).unwrap_or(bytes.len());
        (&bytes[..end] != b"(NULL)").then_some(&bytes[..end])
    }

    /// What the call returned: its parameter `res`, else the descriptor or id where that is what it gives.
    pub fn result(&self) -> Option<i64> {
        use crate::table::ParamType::{Fd, Gid, Uid};
        let first = self.kind().info().params.first()?;
        let returns =
            first.name == "res" || matches!(first.kind, Uid | Gid) || (first.name == "fd" && first.kind == Fd);
        (returns && self.kind().is_kernel()).then(|| self.int(0)).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_come_back_as_pushed() {
        let mut batch = Batch::new();
        batch.push(
            7,
            42,
            1,
            EventKind::Close,
            [&(-9i64).to_le_bytes()[..], &3i64.to_le_bytes()[..]],
        );
        batch.push(8, 43, 0, EventKind::Chdir, [&0i64.to_le_bytes()[..], b"/tmp\0"]);
        assert_eq!(batch.len(), 2);
        let close = batch.get(0);
        assert_eq!(
            (close.ts(), close.tid(), close.cpu(), close.result()),
            (7, 42, 1, Some(-9))
        );
        assert_eq!(close.int(1), Some(3));
        assert_eq!(close.param(2), None);
        assert_eq!(batch.get(1).text(1), Some(&b"/tmp"[..]));
    }

    #[test]
    fn what_is_put_first_is_told_no_later() {
        let (mut batch, mut other) = (Batch::new(), Batch::new());
        batch.push(5, 1, 0, EventKind::Chdir, [&0i64.to_le_bytes()[..], b"/a\0"]);
        other.push(4, 2, 0, EventKind::Chdir, [&0i64.to_le_bytes()[..], b"/b\0"]);
        other.push(9, 3, 0, EventKind::Chdir, [&0i64.to_le_bytes()[..], b"/c\0"]);
        batch.put_first(other);
        let seen: Vec<_> = batch
            .iter()
            .map(|event| (event.ts(), event.tid(), event.text(1).map(<[u8]>::to_vec)))
            .collect();
        let path = |path: &[u8]| Some(path.to_vec());
        assert_eq!(seen, [(4, 2, path(b"/b")), (5, 3, path(b"/c")), (5, 1, path(b"/a"))]);
    }

    #[test]
    fn a_range_of_another_batch_keeps_its_parameters() {
        let mut other = Batch::new();
        for ts in 0..5u64 {
            other.push(
                ts,
                1,
                0,
                EventKind::Chdir,
                [&[ts as u8; 8][..], &b"/a\0"[..(ts as usize).min(3)]],
            );
            other.push(ts, 2, 0, EventKind::Syscall, []);
        }
        let mut batch = Batch::new();
        batch.push(9, 9, 0, EventKind::Close, [&b"12345678"[..]]);
        for range in [3..7, 10..10, 8..10, 0..1] {
            batch.extend(&other, range);
        }
        let seen: Vec<_> = batch
            .iter()
            .map(|e| (e.ts(), e.param(0).map(|p| p[0]), e.param(1).map(<[u8]>::len)))
            .collect();
        let (close, none) = ((9, Some(b'1'), None), (1, None, None));
        let expected = [
            close,
            none,
            (2, Some(2), Some(2)),
            (2, None, None),
            (3, Some(3), Some(3)),
            (4, Some(4), Some(3)),
            (4, None, None),
            (0, Some(0), Some(0)),
        ];
        assert_eq!(seen, expected);
    }

    #[test]
    fn what_is_cut_off_leaves_the_rest_as_it_was() {
        let mut batch = Batch::new();
        for ts in 0..4u64 {
            batch.push(ts, 1, 0, EventKind::Chdir, [&[ts as u8; 8][..], b"/a\0"]);
        }
        batch.truncate(9);
        assert_eq!(batch.len(), 4);
        batch.truncate(2);
        batch.push(9, 1, 0, EventKind::Syscall, []);
        let seen: Vec<_> = batch.iter().map(|e| (e.ts(), e.param(1))).collect();
        assert_eq!(seen, [(0, Some(&b"/a\0"[..])), (1, Some(&b"/a\0"[..])), (9, None)]);
        assert_eq!(batch.data_len(), 22);
    }

    #[test]
    fn narrow_integers_keep_their_sign() {
        let mut batch = Batch::new();
        batch.push(0, 0, 0, EventKind::Close, [&(-2i32).to_le_bytes()[..]]);
        assert_eq!(batch.get(0).int(0), Some(-2));
        assert_eq!(batch.get(0).uint(0), Some(0xffff_fffe));
    }
}
