//! Draining the kernel's ring buffers: records of all CPUs come out as one stream in order of time, in a [`Batch`].
//!
//! The other side is probe/lib/store.h. What lies in a ring is not trusted: every length is checked, and a record that
//! does not fit its own lengths or the event table is counted and skipped.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::event::Batch;
use crate::generated::events::EventKind;

/// `struct record_header` of probe/lib/store.h.
pub const HEADER_BYTES: usize = 32;
/// Before each record in the ring: u32 length with the two bits below, u32 page offset.
const RING_HEADER: u64 = 8;
/// Reserved, not yet committed.
const BUSY: u32 = 1 << 31;
/// Committed as void.
const DISCARD: u32 = 1 << 30;

/// One ring as it lies in memory: two positions that only grow, and the data mapped twice in a row.
pub struct Ring {
    consumer: *const AtomicU64,
    producer: *const AtomicU64,
    data: *const u8,
    bytes: u64,
    /// Read up to here; stored to `consumer` by [`Ring::release`].
    position: u64,
    mapping: Option<Mapping>,
}

struct Mapping {
    consumer_page: *mut libc::c_void,
    producer_pages: *mut libc::c_void,
    page: usize,
    length: usize,
}

// SAFETY: the pointers lead to memory that this value owns or that its maker keeps alive, and are used through &mut self
// (positions through atomics); nothing is bound to a thread.
unsafe impl Send for Ring {}
// SAFETY: through &self only the atomics are read.
unsafe impl Sync for Ring {}

/// What is at the head of a ring.
#[derive(Debug, PartialEq, Eq)]
enum Head {
    Empty,
    /// Nothing to hand out: this many bytes to step over.
    Void(u64),
    /// The ring contradicts itself.
    Broken,
    /// A record of this many bytes.
    Record(usize),
}

impl Ring {
    /// Map the ring behind a map's descriptor. `bytes` is the size it was created with.
    pub fn map(fd: i32, bytes: usize) -> std::io::Result<Ring> {
        // SAFETY: sysconf has no preconditions.
        let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as usize;
        if !bytes.is_power_of_two() || !bytes.is_multiple_of(page) {
            return Err(std::io::Error::other(format!(
                "a ring of {bytes} bytes is no power of two of whole pages"
            )));
        }
        let length = page + 2 * bytes;
        // SAFETY: a fresh shared mapping at an address of the kernel's choice; failure is checked.
        let consumer_page = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                page,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                fd,
                0,
            )
        };
        if consumer_page == libc::MAP_FAILED {
            return Err(std::io::Error::last_os_error());
        }
        // SAFETY: as above, read only.
        let producer_pages = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                length,
                libc::PROT_READ,
                libc::MAP_SHARED,
                fd,
                page as libc::off_t,
            )
        };
        if producer_pages == libc::MAP_FAILED {
            let error = std::io::Error::last_os_error();
            // SAFETY: mapped above, used by nobody.
            unsafe { libc::munmap(consumer_page, page) };
            return Err(error);
        }
        // SAFETY: the kernel maps one page with the producer's position, then the data twice; all of it stays mapped
        // as long as the Ring that gets `mapping`.
        let mut ring = unsafe {
            Ring::at(
                consumer_page.cast(),
                producer_pages.cast(),
                producer_pages.cast::<u8>().add(page),
                bytes as u64,
            )
        };
        ring.mapping = Some(Mapping {
            consumer_page,
            producer_pages,
            page,
            length,
        });
        Ok(ring)
    }

    /// A ring at these addresses.
    ///
    /// # Safety
    /// The three must stay valid as long as the ring, `data` for `2 * bytes`, the second half showing the first; `bytes`
    /// is a power of two; nobody writes between the consumer's and the producer's position.
    pub unsafe fn at(consumer: *const AtomicU64, producer: *const AtomicU64, data: *const u8, bytes: u64) -> Ring {
        // SAFETY: valid by contract.
        let position = unsafe { &*consumer }.load(Ordering::Acquire);
        Ring {
            consumer,
            producer,
            data,
            bytes,
            position,
            mapping: None,
        }
    }

    /// The producer's position; pairs with the kernel's release store, so all up to it is visible.
    fn end(&self) -> u64 {
        // SAFETY: valid by the contract of `at`.
        unsafe { &*self.producer }.load(Ordering::Acquire)
    }

    /// Bytes written and not yet released.
    pub fn fill(&self) -> u64 {
        self.end().wrapping_sub(self.position).min(self.bytes)
    }

    fn head(&self) -> Head {
        let available = self.end().wrapping_sub(self.position);
        if available == 0 {
            return Head::Empty;
        }
        if available > self.bytes || available < RING_HEADER || !self.position.is_multiple_of(8) {
            return Head::Broken;
        }
        let offset = (self.position & (self.bytes - 1)) as usize;
        // SAFETY: offset < bytes, a multiple of 8, inside the data; pairs with the kernel's exchange that clears BUSY.
        let length = unsafe { &*self.data.add(offset).cast::<AtomicU32>() }.load(Ordering::Acquire);
        if length & BUSY != 0 {
            return Head::Empty;
        }
        let size = u64::from(length & !DISCARD);
        if RING_HEADER + size.next_multiple_of(8) > available {
            return Head::Broken;
        }
        if length & DISCARD != 0 {
            return Head::Void(RING_HEADER + size.next_multiple_of(8));
        }
        Head::Record(size as usize)
    }

    /// The bytes of the record at the head, which has `size` of them.
    fn record(&self, size: usize) -> &[u8] {
        let offset = ((self.position & (self.bytes - 1)) + RING_HEADER) as usize;
        // SAFETY: `head` found that the record ends at or before the producer's position, and offset + size is below
        // 2 * bytes, all of which is mapped; the kernel does not write there until `release` passes it.
        unsafe { std::slice::from_raw_parts(self.data.add(offset), size) }
    }

    fn step(&mut self, bytes: u64) {
        self.position = self.position.wrapping_add(bytes);
    }

    /// Give the space up to here back to the kernel.
    fn release(&self) {
        // SAFETY: valid by the contract of `at`. Release: our reads of the records come before it.
        unsafe { &*self.consumer }.store(self.position, Ordering::Release);
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        if let Some(m) = self.mapping.take() {
            // SAFETY: mapped in `map`, and no reference into it outlives the ring.
            unsafe {
                libc::munmap(m.consumer_page, m.page);
                libc::munmap(m.producer_pages, m.length);
            }
        }
    }
}

/// A record whose lengths hold.
struct Record<'a> {
    ts: u64,
    tid: u64,
    cpu: u32,
    kind: EventKind,
    asks: u32,
    lengths: &'a [u8],
    data: &'a [u8],
}

/// A record that came with a question: the collector has to describe its task before the event is numbered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    /// Of the event, in the batch that it was drained into.
    pub index: usize,
    pub tid: i64,
    pub pid: i64,
    /// All of the process, not the thread alone.
    pub whole: bool,
    /// CLOCK_BOOTTIME, ns.
    pub time: u64,
}

/// ASKS_THREAD and ASKS_PROCESS of probe/lib/marks.h.
const ASKS_PROCESS: u32 = 2;
const ASKS: u32 = 1 | ASKS_PROCESS;
/// Above them is the number of the process.
const ASKS_BITS: u32 = 2;

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(bytes[at..at + 2].try_into().expect("two bytes"))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

impl<'a> Record<'a> {
    fn parse(bytes: &'a [u8]) -> Option<Record<'a>> {
        if bytes.len() < HEADER_BYTES || u32_at(bytes, 16) as usize != bytes.len() {
            return None;
        }
        let kind = EventKind::from_code(u16_at(bytes, 20))?;
        let nparams = usize::from(u16_at(bytes, 22));
        let (lengths, data) = bytes[HEADER_BYTES..].split_at_checked(2 * nparams)?;
        let sum: usize = lengths.chunks_exact(2).map(|pair| usize::from(u16_at(pair, 0))).sum();
        if nparams != kind.info().params.len() || sum != data.len() {
            return None;
        }
        let (ts, tid, cpu) = (u64_at(bytes, 0), u64_at(bytes, 8), u32_at(bytes, 24));
        let asks = u32_at(bytes, 28);
        Some(Record {
            ts,
            tid,
            cpu,
            kind,
            asks,
            lengths,
            data,
        })
    }
}

/// The rings of all CPUs.
pub struct Rings {
    rings: Vec<Ring>,
    bad: u64,
    questions: Vec<Question>,
}

impl Rings {
    pub fn new(rings: Vec<Ring>) -> Rings {
        Rings {
            rings,
            bad: 0,
            questions: Vec::new(),
        }
    }

    /// Records that were skipped because they contradict themselves or the table.
    pub fn bad_records(&self) -> u64 {
        self.bad
    }

    /// Bytes waiting in each ring.
    pub fn fill(&self) -> Vec<u64> {
        self.rings.iter().map(Ring::fill).collect()
    }

    /// The questions of the events that were appended since this was last called, in their order.
    pub fn questions(&mut self) -> Vec<Question> {
        std::mem::take(&mut self.questions)
    }

    /// Append up to `limit` events to `batch`, in order of time; those later than `until` (CLOCK_BOOTTIME) stay.
    /// `clock_offset` is what makes boot time UTC. Returns how many were appended.
    pub fn drain(&mut self, batch: &mut Batch, until: u64, clock_offset: i64, limit: usize) -> usize {
        let mut heads = BinaryHeap::with_capacity(self.rings.len());
        for index in 0..self.rings.len() {
            heads.extend(self.next(index).map(|(ts, size)| Reverse((ts, index, size))));
        }
        let mut appended = 0;
        while appended < limit {
            let Some(Reverse((ts, index, size))) = heads.pop() else {
                break;
            };
            if ts > until {
                break;
            }
            let ring = &mut self.rings[index];
            if let Some(record) = Record::parse(ring.record(size)) {
                let lengths = record.lengths.chunks_exact(2).map(|pair| usize::from(u16_at(pair, 0)));
                let utc = record.ts.wrapping_add_signed(clock_offset);
                if record.asks & ASKS != 0 {
                    self.questions.push(Question {
                        index: batch.len(),
                        tid: record.tid as i64,
                        pid: i64::from(record.asks >> ASKS_BITS),
                        whole: record.asks & ASKS_PROCESS != 0,
                        time: record.ts,
                    });
                }
                batch.push_packed(
                    utc,
                    record.tid as i64,
                    record.cpu as u16,
                    record.kind,
                    lengths,
                    record.data,
                );
                appended += 1;
            }
            ring.step(RING_HEADER + (size as u64).next_multiple_of(8));
            heads.extend(self.next(index).map(|(ts, size)| Reverse((ts, index, size))));
        }
        self.rings.iter().for_each(Ring::release);
        appended
    }

    /// Time and size of the next good record of a ring; steps over what is none.
    fn next(&mut self, index: usize) -> Option<(u64, usize)> {
        loop {
            let ring = &mut self.rings[index];
            match ring.head() {
                Head::Empty => return None,
                Head::Void(bytes) => ring.step(bytes),
                Head::Broken => {
                    // Nothing up to the producer's position can be told apart any more.
                    self.bad += 1;
                    ring.position = ring.end();
                }
                Head::Record(size) => match Record::parse(ring.record(size)) {
                    Some(record) => return Some((record.ts, size)),
                    None => {
                        self.bad += 1;
                        ring.step(RING_HEADER + (size as u64).next_multiple_of(8));
                    }
                },
            }
        }
    }
}

#[cfg(test)]
#[path = "ring_tests.rs"]
mod tests;
