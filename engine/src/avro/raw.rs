//! RawBatch: what a collector sends and a worker reads.

use std::ops::Range;

use super::{
    header::{Kind, put_codes, put_header, put_losses, read_header, read_losses, skip_codes},
    params::{ParamReader, put_params},
    wire::{Error, Reader, Result, put_long},
};
use crate::{event::Batch, facts::BatchHeader, generated::events::EventKind};

/// Bytes of the smallest event: four numbers, an empty array of values, three nulls and an empty array.
const LEAST_EVENT: usize = 9;

/// The body for these events of a batch. Parameters beyond the table's do not travel.
pub fn encode(header: &BatchHeader, batch: &Batch, range: Range<usize>) -> Vec<u8> {
    let mut out = Vec::with_capacity(4096 + range.len() * 96);
    put_header(&mut out, header, None);
    put_codes(&mut out, batch, range.clone());
    if !range.is_empty() {
        put_long(&mut out, range.len() as i64);
    }
    for index in range {
        let event = batch.get(index);
        put_long(&mut out, event.ts().wrapping_sub(header.time) as i64);
        put_long(&mut out, event.tid());
        put_long(&mut out, i64::from(event.cpu()));
        put_long(&mut out, i64::from(event.kind().code()));
        put_params(&mut out, &event);
    }
    out.push(0);
    put_losses(&mut out, &header.shed);
    out
}

pub fn decode(body: &[u8]) -> Result<(BatchHeader, Batch)> {
    let mut reader = Reader::new(body)?;
    let (mut header, _) = read_header(&mut reader, Kind::Raw)?;
    skip_codes(&mut reader)?;
    let mut batch = Batch::new();
    let mut params = ParamReader::default();
    let mut events = reader.array(LEAST_EVENT);
    while reader.more(&mut events)? {
        let ts = header.time.wrapping_add(reader.ulong()?);
        let tid = reader.long()?;
        let cpu = reader.number("cpu")?;
        let code = reader.long()?;
        let kind = u16::try_from(code)
            .ok()
            .and_then(EventKind::from_code)
            .ok_or(Error::UnknownCode {
                event: batch.len(),
                code,
            })?;
        params.read(&mut reader, batch.len(), kind)?;
        batch.push_packed(
            ts,
            tid,
            cpu,
            kind,
            params.lengths.iter().map(|&n| n as usize),
            &params.data,
        );
    }
    header.shed = read_losses(&mut reader)?;
    reader.finish()?;
    Ok((header, batch))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        avro::arbitrary::{assert_carried, batch_of, made_events},
        facts::Loss,
    };
    use proptest::{collection::vec, prelude::*};

    fn header() -> BatchHeader {
        BatchHeader {
            host_id: "4f".into(),
            host: "höst".into(),
            boot_id: "b".into(),
            run: u64::MAX,
            first_seq: 7,
            time: 1_795_461_321_000_000_000,
            produced: 12,
            delivered: 10,
            lost: vec![Loss {
                stage: "ring".into(),
                reason: "full".into(),
                count: 2,
            }],
            shed: vec![Loss {
                stage: "ring".into(),
                reason: "budget_payload".into(),
                count: 9,
            }],
        }
    }

    proptest! {
        #[test]
        fn events_come_back(events in made_events(20), skip in 0usize..5) {
            let skip = skip.min(events.len());
            let body = encode(&header(), &batch_of(&events), skip..events.len());
            let (read, decoded) = decode(&body).unwrap();
            prop_assert_eq!(read, header());
            assert_carried(&decoded, &events[skip..])?;
        }

        #[test]
        fn no_bytes_make_it_panic(body in vec(any::<u8>(), 0..400)) {
            let _ = decode(&body);
        }

        #[test]
        fn a_damaged_message_does_not_make_it_panic(
            events in made_events(5), at in any::<prop::sample::Index>(), byte: u8, cut in any::<prop::sample::Index>(),
        ) {
            let mut body = encode(&header(), &batch_of(&events), 0..events.len());
            let end = cut.index(body.len());
            prop_assert!(decode(&body[..end]).is_err());
            let at = at.index(body.len());
            body[at] = byte;
            let _ = decode(&body);
        }
    }

    #[test]
    fn an_unknown_code_is_named() {
        let mut batch = Batch::new();
        batch.push(0, 1, 0, EventKind::Syscall, []);
        let mut body = encode(&BatchHeader::default(), &batch, 0..1);
        let length = body.len();
        // ... count, time, tid, cpu, code, values, addr, tuple, fds, dyns, end, shed
        assert_eq!(body[length - 8], 2);
        body.splice(length - 8..length - 7, [0xc4, 0x13]);
        assert_eq!(
            decode(&body).unwrap_err().to_string(),
            "event 0 has the unknown code 1250"
        );
    }
}
