//! Events for the property tests of the codecs.

use proptest::{collection::vec, prelude::*, test_runner::TestCaseError};

use crate::{
    event::Batch,
    generated::events::KINDS,
    table::{Coding, ParamInfo},
};

pub struct MadeEvent {
    ts: u64,
    tid: i64,
    cpu: u16,
    row: usize,
    params: Vec<Vec<u8>>,
}

impl std::fmt::Debug for MadeEvent {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let MadeEvent {
            ts,
            tid,
            cpu,
            row,
            params,
        } = self;
        write!(
            f,
            "{} ts={ts} tid={tid} cpu={cpu} params={params:?}",
            KINDS[*row].info().name
        )
    }
}

fn bytes(length: usize) -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), length)
}

/// Bytes of any length, often of one that types have, often beginning with a family, a count or a row of a list of types.
fn param() -> impl Strategy<Value = Vec<u8>> {
    let sizes = prop::sample::select(vec![0usize, 1, 2, 4, 8]);
    let after = prop::sample::select(vec![
        (2u8, 6usize),
        (10, 18),
        (2, 12),
        (10, 36),
        (1, 20),
        (1, 0),
        (16, 0),
    ]);
    let family = (after, any::<bool>()).prop_flat_map(|((family, rest), nul)| {
        bytes(rest).prop_map(move |rest| [&[family], &rest[..], &[0][..usize::from(nul)]].concat())
    });
    let dynamic = (0u8..6, sizes.clone().prop_flat_map(bytes)).prop_map(|(row, rest)| [&[row], &rest[..]].concat());
    let list = (0u16..4).prop_flat_map(|count| {
        bytes(usize::from(count) * 10).prop_map(move |items| [&count.to_le_bytes(), &items[..]].concat())
    });
    prop_oneof![
        sizes.prop_flat_map(bytes),
        vec(any::<u8>(), 0..40),
        family,
        dynamic,
        list
    ]
}

fn made_event() -> impl Strategy<Value = MadeEvent> {
    (any::<u64>(), any::<i64>(), any::<u16>(), 0..KINDS.len(), 0usize..40).prop_flat_map(
        |(ts, tid, cpu, row, count)| {
            let count = count.min(KINDS[row].info().params.len());
            vec(param(), count).prop_map(move |params| MadeEvent {
                ts,
                tid,
                cpu,
                row,
                params,
            })
        },
    )
}

pub fn made_events(most: usize) -> impl Strategy<Value = Vec<MadeEvent>> {
    vec(made_event(), 0..most)
}

pub fn batch_of(events: &[MadeEvent]) -> Batch {
    let mut batch = Batch::new();
    for MadeEvent {
        ts,
        tid,
        cpu,
        row,
        params,
    } in events
    {
        batch.push(*ts, *tid, *cpu, KINDS[*row], params.iter().map(Vec::as_slice));
    }
    batch
}

/// What a parameter becomes on its way: text gains the NUL that it lacks.
fn carried(info: &ParamInfo, mut bytes: Vec<u8>) -> Vec<u8> {
    if info.kind.coding() == Coding::Text && bytes.last().is_some_and(|&last| last != 0) {
        bytes.push(0);
    }
    bytes
}

/// The events of `batch` are these, having been encoded and decoded.
pub fn assert_carried(batch: &Batch, events: &[MadeEvent]) -> Result<(), TestCaseError> {
    prop_assert_eq!(batch.len(), events.len());
    for (event, made) in batch.iter().zip(events) {
        let kind = KINDS[made.row];
        prop_assert_eq!(
            (event.ts(), event.tid(), event.cpu(), event.kind()),
            (made.ts, made.tid, made.cpu, kind)
        );
        prop_assert_eq!(event.param_count(), made.params.len());
        for (index, bytes) in made.params.iter().enumerate() {
            let expected = carried(&kind.info().params[index], bytes.clone());
            prop_assert_eq!(event.param(index).unwrap(), &expected[..]);
        }
    }
    Ok(())
}
