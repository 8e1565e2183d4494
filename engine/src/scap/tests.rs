//! Captures of any content, pushed in pieces of any size.

use crate::generated::events::EventKind;
use proptest::{collection::vec, prelude::*};

use super::{CaptureReader, Error};
use crate::{
    avro::arbitrary::{batch_of, made_events},
    event::Batch,
};

type Told = (u64, i64, u16, u16, Vec<Vec<u8>>);

fn block(kind: u32, body: &[u8]) -> Vec<u8> {
    let padded = body.len().next_multiple_of(4);
    let total = (padded as u32 + 12).to_le_bytes();
    let mut out = [&kind.to_le_bytes()[..], &total, body].concat();
    out.resize(8 + padded, 0);
    out.extend(total);
    out
}

fn section() -> Vec<u8> {
    let body = [&0x1A2B_3C4Du32.to_le_bytes()[..], &[1, 0, 2, 0], &[0xff; 8]].concat();
    block(0x0A0D_0D0A, &body)
}

/// The events as blocks whose header tells the number of parameters.
fn event_blocks(batch: &Batch) -> Vec<u8> {
    let mut out = Vec::new();
    for event in batch.iter() {
        let params: Vec<&[u8]> = (0..event.param_count()).filter_map(|i| event.param(i)).collect();
        let data: usize = params.iter().map(|param| param.len()).sum();
        let mut body = event.cpu().to_le_bytes().to_vec();
        body.extend(event.ts().to_le_bytes());
        body.extend(event.tid().to_le_bytes());
        body.extend((26 + 2 * params.len() as u32 + data as u32).to_le_bytes());
        body.extend(event.kind().code().to_le_bytes());
        body.extend((params.len() as u32).to_le_bytes());
        params
            .iter()
            .for_each(|param| body.extend((param.len() as u16).to_le_bytes()));
        params.iter().for_each(|param| body.extend(*param));
        out.extend(block(0x216, &body));
    }
    out
}

/// Blocks of the kinds that there are, with bodies of any content.
fn wild_blocks() -> impl Strategy<Value = Vec<u8>> {
    let kinds = vec![
        0x201u32,
        0x202,
        0x203,
        0x204,
        0x205,
        0x206,
        0x207,
        0x208,
        0x209,
        0x210,
        0x212,
        0x215,
        0x216,
        0x217,
        0x218,
        0x219,
        0x220,
        0x221,
        0x222,
        0x999,
        0x0A0D_0D0A,
    ];
    let one = (prop::sample::select(kinds), vec(any::<u8>(), 0..90)).prop_map(|(kind, body)| block(kind, &body));
    vec(one, 0..3).prop_map(|blocks| blocks.concat())
}

fn drain(reader: &mut CaptureReader, limit: usize, told: &mut Vec<Told>) -> Option<Error> {
    loop {
        match reader.next(limit) {
            Ok(Some(batch)) => told.extend(batch.iter().map(|event| {
                let params = (0..event.param_count()).filter_map(|i| event.param(i));
                let params = params.map(<[u8]>::to_vec).collect();
                (event.ts(), event.tid(), event.cpu(), event.kind().code(), params)
            })),
            Ok(None) => return None,
            Err(error) => return Some(error),
        }
    }
}

/// All that is told of a capture: its events, how many were skipped, and the fault.
fn read(data: &[u8], sizes: &[usize], limit: usize) -> (Vec<Told>, u64, Option<Error>) {
    let (mut reader, mut told, mut rest) = (CaptureReader::new(), Vec::new(), data);
    for &size in sizes.iter().cycle().take(data.len()) {
        let (piece, after) = rest.split_at(size.min(rest.len()));
        reader.feed(piece);
        drain(&mut reader, limit, &mut told);
        rest = after;
    }
    reader.feed(rest);
    reader.finish();
    let fault = drain(&mut reader, limit, &mut told);
    (told, reader.skipped(), fault)
}

proptest! {
    #[test]
    fn pieces_of_any_size_are_the_whole(
        events in made_events(6), wild in wild_blocks(), hits in vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        sizes in vec(1usize..40, 1..5), limit in 1usize..5, begun in prop::bool::weighted(0.9),
    ) {
        let events = event_blocks(&batch_of(&events));
        let mut data = [if begun { section() } else { Vec::new() }, wild, events].concat();
        for (at, byte) in hits {
            if !data.is_empty() {
                let at = at.index(data.len());
                data[at] = byte;
            }
        }
        let whole = read(&data, &[], usize::MAX);
        prop_assert_eq!(&read(&data, &sizes, limit), &whole);
        prop_assert_eq!(&read(&data, &[1], 1), &whole);
    }

    #[test]
    fn every_event_comes_out_again(events in made_events(6)) {
        let batch = batch_of(&events);
        let blocks = [section(), event_blocks(&batch)].concat();
        let (told, skipped, fault) = read(&blocks, &[], 100);
        if fault.is_none() {
            prop_assert!(told.len() as u64 + skipped <= batch.len() as u64);
        }
    }

    #[test]
    fn bytes_of_any_kind_do_no_harm(data in vec(any::<u8>(), 0..400), sizes in vec(1usize..40, 1..5)) {
        let whole = read(&data, &[], 9);
        prop_assert_eq!(&read(&data, &sizes, 9), &whole);
    }
}

#[test]
fn a_compressed_capture_is_told_from_its_first_bytes() {
    for sizes in [&[1][..], &[2], &[]] {
        assert_eq!(read(&[0x1f, 0x8b, 8, 0], sizes, 9).2, Some(Error::Compressed));
        assert_eq!(read(&[0x1f], sizes, 9).2, Some(Error::NoCapture));
    }
}

/// A block with flags, or without, of an event with these parameters.
fn told_block(flags: Option<u32>, ts: u64, code: u16, params: &[&[u8]]) -> Vec<u8> {
    let data = params.concat();
    let mut body = vec![0, 0];
    body.extend(flags.map(u32::to_le_bytes).into_iter().flatten());
    body.extend(ts.to_le_bytes());
    body.extend(7u64.to_le_bytes());
    body.extend((26 + 2 * params.len() as u32 + data.len() as u32).to_le_bytes());
    body.extend(code.to_le_bytes());
    body.extend((params.len() as u32).to_le_bytes());
    params
        .iter()
        .for_each(|param| body.extend((param.len() as u16).to_le_bytes()));
    body.extend(data);
    block(if flags.is_some() { 0x217 } else { 0x216 }, &body)
}

fn batches(data: &[u8]) -> Vec<Batch> {
    let mut reader = CaptureReader::new();
    reader.feed(data);
    reader.finish();
    std::iter::from_fn(|| reader.next(100).unwrap()).collect()
}

#[test]
fn events_for_the_state_alone_are_hidden() {
    let close = |flags| told_block(flags, 1, 5, &[&[0; 8], &[3, 0, 0, 0, 0, 0, 0, 0]]);
    let data = [section(), close(None), close(Some(0)), close(Some(1)), close(Some(3))].concat();
    let hidden: Vec<bool> = batches(&data)[0].iter().map(|event| event.is_hidden()).collect();
    assert_eq!(hidden, [false, false, true, true]);
}

#[test]
fn a_recording_behind_another_begins_a_section() {
    let close = told_block(None, 1, 5, &[&[0; 8], &[3, 0, 0, 0, 0, 0, 0, 0]]);
    let user = block(0x206, &[&[1, 5, 0, 0, 0, 3, 0][..], b"tty"].concat());
    let data = [
        section(),
        user.clone(),
        close.clone(),
        section(),
        user,
        close.clone(),
        section(),
        close,
    ]
    .concat();
    let told = |data: &[u8]| -> Vec<(usize, bool)> {
        batches(data)
            .iter()
            .map(|batch| (batch.len(), batch.begins_section()))
            .collect()
    };
    assert_eq!(told(&data), [(1, false), (1, false), (1, true), (1, false), (1, true)]);
    // Where the bytes end between the header of a section and its events, the mark waits for these.
    let mut reader = CaptureReader::new();
    let cut = data.len() - 20;
    reader.feed(&data[..cut]);
    let mut seen: Vec<bool> = std::iter::from_fn(|| reader.next(100).unwrap())
        .map(|b| b.begins_section())
        .collect();
    reader.feed(&data[cut..]);
    reader.finish();
    seen.extend(std::iter::from_fn(|| reader.next(100).unwrap()).map(|b| b.begins_section()));
    assert_eq!(seen, [false, false, true, false, true]);
}

#[test]
fn what_a_call_began_with_counts() {
    let word = |number: u32| number.to_le_bytes();
    let fd = 3u64.to_le_bytes();
    let enter = |ts| {
        told_block(
            None,
            ts,
            306,
            &[&(-100i64).to_le_bytes(), b"/true\0", &word(1), &word(0)],
        )
    };
    let exit = |ts, result: &[u8]| {
        let driver = word(2 | 1 << 15);
        told_block(
            None,
            ts,
            307,
            &[result, &fd, b"/forged\0", &driver, &word(0), &word(1), &[9; 8]],
        )
    };
    let data = [
        [section(), enter(1), exit(2, &fd), exit(3, &fd)].concat(),
        [enter(4), exit(5, &(-2i64).to_le_bytes())].concat(),
    ]
    .concat();
    let seen: Vec<_> = batches(&data)[0]
        .iter()
        .map(|event| {
            (
                event.int(1),
                event.text(2).map(<[u8]>::to_vec),
                event.uint(3),
                event.param(6).map(<[u8]>::to_vec),
            )
        })
        .collect();
    let ino = Some(vec![9; 8]);
    let forged = Some(b"/forged".to_vec());
    assert_eq!(
        seen[0],
        (Some(-100), Some(b"/true".to_vec()), Some(1 | 1 << 15), ino.clone())
    );
    assert_eq!(seen[1], (Some(3), forged.clone(), Some(2 | 1 << 15), ino.clone()));
    assert_eq!(seen[2], (Some(3), forged, Some(2 | 1 << 15), ino));
}

#[test]
fn a_switch_does_not_end_a_call() {
    let number = |number: u64| number.to_le_bytes();
    let switch = |ts| {
        let size = 7u32.to_le_bytes();
        let (next, major, minor) = (number(8), number(1), number(2));
        let params = [&next[..], &major, &minor, &size, &size, &size];
        told_block(None, ts, EventKind::Switch.info().code, &params)
    };
    // A read of before 2023 tells its descriptor when it begins only.
    let enter = told_block(None, 1, 6, &[&number(3), &9u32.to_le_bytes()]);
    let exit = told_block(None, 4, 7, &[&number(1), b"x"]);
    let data = [section(), enter, switch(2), switch(3), exit].concat();
    let seen: Vec<_> = batches(&data)[0]
        .iter()
        .map(|event| (event.kind(), event.ts()))
        .collect();
    assert_eq!(
        seen,
        [(EventKind::Switch, 2), (EventKind::Switch, 3), (EventKind::Read, 4)]
    );
    assert_eq!(batches(&data)[0].iter().last().and_then(|event| event.int(2)), Some(3));
}
