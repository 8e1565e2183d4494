//! The leading fields that RawBatch and EventBatch have in common, and the list of event codes.

use super::wire::{Items, Reader, Result, put_array, put_bytes, put_long, put_ulong};
use crate::{
    event::Batch,
    facts::{BatchHeader, Loss},
    generated::events::{EVENT_COUNT, EVENTS},
};

/// Which schema a body has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Raw,
    Enriched,
}

/// `count` is written where the schema has it: in an EventBatch.
pub(super) fn put_header(out: &mut Vec<u8>, header: &BatchHeader, count: Option<u32>) {
    for text in [&header.host_id, &header.host, &header.boot_id] {
        put_bytes(out, text.as_bytes());
    }
    put_ulong(out, header.run);
    put_ulong(out, header.first_seq);
    if let Some(count) = count {
        put_long(out, i64::from(count));
    }
    for number in [header.time, header.produced, header.delivered] {
        put_ulong(out, number);
    }
    put_losses(out, &header.lost);
}

pub(super) fn put_losses(out: &mut Vec<u8>, losses: &[Loss]) {
    put_array(out, losses, |out, loss| {
        put_bytes(out, loss.stage.as_bytes());
        put_bytes(out, loss.reason.as_bytes());
        put_ulong(out, loss.count);
    });
}

pub(super) fn read_losses(reader: &mut Reader) -> Result<Vec<Loss>> {
    reader.list(3, |reader| {
        Ok(Loss {
            stage: reader.text()?.into(),
            reason: reader.text()?.into(),
            count: reader.ulong()?,
        })
    })
}

/// The header but for `shed`, which comes last, and the count of an EventBatch (0 for a RawBatch).
pub(super) fn read_header(reader: &mut Reader, kind: Kind) -> Result<(BatchHeader, u32)> {
    let [host_id, host, boot_id] = [reader.text()?.into(), reader.text()?.into(), reader.text()?.into()];
    let [run, first_seq] = [reader.ulong()?, reader.ulong()?];
    let count = if kind == Kind::Enriched {
        reader.number("count")?
    } else {
        0
    };
    let [time, produced, delivered] = [reader.ulong()?, reader.ulong()?, reader.ulong()?];
    let lost = read_losses(reader)?;
    Ok((
        BatchHeader {
            host_id,
            host,
            boot_id,
            run,
            first_seq,
            time,
            produced,
            delivered,
            lost,
            shed: Vec::new(),
        },
        count,
    ))
}

/// The leading fields of a body, without looking at its events; the count as in [`read_header`].
pub fn header_of(body: &[u8], kind: Kind) -> Result<(BatchHeader, u32)> {
    read_header(&mut Reader::new(body)?, kind)
}

/// Names of the codes that these events use, in the order of the table.
pub(super) fn put_codes(out: &mut Vec<u8>, batch: &Batch, events: impl Iterator<Item = usize>) {
    let mut used = [false; EVENT_COUNT];
    for index in events {
        used[batch.get(index).kind() as usize] = true;
    }
    let rows: Vec<_> = EVENTS
        .iter()
        .zip(used)
        .filter_map(|(info, used)| used.then_some(info))
        .collect();
    put_array(out, &rows, |out, info| {
        put_long(out, i64::from(info.code));
        put_bytes(out, info.name.as_bytes());
        put_array(out, info.params, |out, param| put_bytes(out, param.name.as_bytes()));
    });
}

/// The names are for readers without the table: ours knows its codes.
pub(super) fn skip_codes(reader: &mut Reader) -> Result<()> {
    let mut codes = reader.array(3);
    while reader.more(&mut codes)? {
        reader.long()?;
        reader.bytes()?;
        let mut names: Items = reader.array(1);
        while reader.more(&mut names)? {
            reader.bytes()?;
        }
    }
    Ok(())
}
