//! Rings made in plain memory, written as the kernel would.

use super::*;

const BYTES: usize = 4096;

/// A ring whose data lies twice in memory, as the kernel maps it.
struct Fake {
    consumer: Box<AtomicU64>,
    producer: Box<AtomicU64>,
    data: Vec<u64>,
}

impl Fake {
    fn new() -> Fake {
        Fake {
            consumer: Box::default(),
            producer: Box::default(),
            data: vec![0; 2 * BYTES / 8],
        }
    }

    fn ring(&mut self) -> Ring {
        // SAFETY: the tests keep the Fake alive and write only while no Ring method runs.
        unsafe {
            Ring::at(
                &*self.consumer,
                &*self.producer,
                self.data.as_mut_ptr().cast(),
                BYTES as u64,
            )
        }
    }

    fn put(&mut self, bits: u32, record: &[u8]) {
        let start = self.producer.load(Ordering::Relaxed);
        let mut whole = (record.len() as u32 | bits).to_le_bytes().to_vec();
        whole.extend([0; 4]);
        whole.extend(record);
        whole.resize(whole.len().next_multiple_of(8), 0xAA);
        for (i, byte) in whole.iter().enumerate() {
            let at = (start as usize + i) % BYTES;
            // SAFETY: both halves are inside `data`.
            unsafe {
                *self.data.as_mut_ptr().cast::<u8>().add(at) = *byte;
                *self.data.as_mut_ptr().cast::<u8>().add(at + BYTES) = *byte;
            }
        }
        self.producer.store(start + whole.len() as u64, Ordering::Release);
    }
}

fn close(ts: u64, tid: u64, fd: i64) -> Vec<u8> {
    let mut out = ts.to_le_bytes().to_vec();
    out.extend(tid.to_le_bytes());
    out.extend(52u32.to_le_bytes());
    out.extend(5u16.to_le_bytes());
    out.extend(2u16.to_le_bytes());
    out.extend(3u32.to_le_bytes());
    out.extend([0; 4]);
    out.extend([8, 0, 8, 0]);
    out.extend(0i64.to_le_bytes());
    out.extend(fd.to_le_bytes());
    out
}

fn times(batch: &Batch) -> Vec<u64> {
    batch.iter().map(|e| e.ts()).collect()
}

#[test]
fn records_of_all_rings_come_in_order_of_time_up_to_the_watermark() {
    let (mut a, mut b) = (Fake::new(), Fake::new());
    [10, 30, 50].into_iter().for_each(|ts| a.put(0, &close(ts, 1, 3)));
    [20, 40, 60].into_iter().for_each(|ts| b.put(0, &close(ts, 2, 4)));
    let mut rings = Rings::new(vec![a.ring(), b.ring()]);
    let mut batch = Batch::new();
    assert_eq!(rings.drain(&mut batch, 50, 1000, 100), 5);
    assert_eq!(times(&batch), [1010, 1020, 1030, 1040, 1050]);
    let event = batch.get(1);
    assert_eq!(
        (event.tid(), event.cpu(), event.result(), event.int(1)),
        (2, 3, Some(0), Some(4))
    );
    assert_eq!(rings.fill(), [0, 64]);
    assert_eq!(a.consumer.load(Ordering::Relaxed), 3 * 64);
    assert_eq!(rings.drain(&mut batch, 60, 0, 100), 1);
}

#[test]
fn questions_are_told_with_the_place_of_their_event() {
    let mut a = Fake::new();
    let mut rings = Rings::new(vec![a.ring()]);
    let mut batch = Batch::new();
    for (ts, asks) in [(1, 0u32), (2, 3), (3, 1), (4, 2), (5, 0)] {
        let mut record = close(ts, 100 + ts, 3);
        record[28..32].copy_from_slice(&(asks | 4_194_304 << 2).to_le_bytes());
        a.put(0, &record);
    }
    assert_eq!(rings.drain(&mut batch, 99, 1000, 3), 3);
    let question = |index, tid, whole| Question {
        index,
        tid,
        pid: 4_194_304,
        whole,
        time: tid as u64 - 100,
    };
    assert_eq!(rings.questions(), [question(1, 102, true), question(2, 103, false)]);
    assert_eq!(rings.questions(), []);
    let mut batch = Batch::new();
    assert_eq!(rings.drain(&mut batch, 99, 1000, 3), 2);
    assert_eq!(rings.questions(), [question(0, 104, true)]);
}

#[test]
fn the_limit_holds_and_nothing_is_lost() {
    let mut a = Fake::new();
    (0..10).for_each(|ts| a.put(0, &close(ts, 1, 3)));
    let mut rings = Rings::new(vec![a.ring()]);
    let mut batch = Batch::new();
    assert_eq!(rings.drain(&mut batch, 99, 0, 4), 4);
    assert_eq!(rings.drain(&mut batch, 99, 0, 100), 6);
    assert_eq!(times(&batch), (0..10).collect::<Vec<u64>>());
}

#[test]
fn a_record_goes_round_the_end() {
    let mut a = Fake::new();
    let mut rings = Rings::new(vec![a.ring()]);
    for round in 0..200 {
        a.put(0, &close(round, 1, round as i64));
        let mut batch = Batch::new();
        assert_eq!(rings.drain(&mut batch, 999, 0, 10), 1);
        assert_eq!(batch.get(0).int(1), Some(round as i64));
    }
}

#[test]
fn uncommitted_stops_and_discarded_is_stepped_over() {
    let mut a = Fake::new();
    a.put(DISCARD, &close(1, 1, 1));
    a.put(0, &close(2, 1, 1));
    a.put(BUSY, &close(3, 1, 1));
    a.put(0, &close(4, 1, 1));
    let mut rings = Rings::new(vec![a.ring()]);
    let mut batch = Batch::new();
    assert_eq!(rings.drain(&mut batch, 99, 0, 10), 1);
    assert_eq!(times(&batch), [2]);
    assert_eq!(rings.bad_records(), 0);
}

#[test]
fn a_record_that_contradicts_itself_is_counted_and_skipped() {
    let good = close(1, 1, 1);
    let wrong = |at: usize, byte: u8| {
        let mut record = good.clone();
        record[at] = byte;
        record
    };
    let mut a = Fake::new();
    // Length, code, number of parameters, a parameter's length; too short.
    for record in [
        wrong(16, 51),
        wrong(20, 6),
        wrong(22, 3),
        wrong(32, 9),
        good[..31].to_vec(),
        Vec::new(),
    ] {
        a.put(0, &record);
    }
    a.put(0, &close(7, 1, 1));
    let mut rings = Rings::new(vec![a.ring()]);
    let mut batch = Batch::new();
    assert_eq!(rings.drain(&mut batch, 99, 0, 10), 1);
    assert_eq!((times(&batch), rings.bad_records()), (vec![7], 6));
}

#[test]
fn a_ring_that_contradicts_itself_is_given_up_to_its_end() {
    let mut a = Fake::new();
    a.put(0, &close(1, 1, 1));
    a.data[0] = 4000;
    let mut rings = Rings::new(vec![a.ring()]);
    let mut batch = Batch::new();
    assert_eq!(rings.drain(&mut batch, 99, 0, 10), 0);
    a.put(0, &close(2, 1, 1));
    assert_eq!(rings.drain(&mut batch, 99, 0, 10), 1);
    assert_eq!(rings.bad_records(), 1);
    a.producer.store(1 << 40, Ordering::Relaxed);
    assert_eq!((rings.drain(&mut batch, 99, 0, 10), rings.bad_records()), (0, 2));
}

#[test]
fn bytes_of_any_kind_do_no_harm() {
    use proptest::prelude::*;
    proptest!(|(words in proptest::collection::vec(any::<u64>(), 2 * BYTES / 8), end in 0u64..2 * BYTES as u64)| {
        let mut a = Fake::new();
        a.data = words;
        a.producer.store(end, Ordering::Relaxed);
        let mut rings = Rings::new(vec![a.ring()]);
        rings.drain(&mut Batch::new(), u64::MAX, 0, 1000);
    });
}
