//! Rows of any events: what is written is an Arrow stream with a row an event.

use arrow_ipc::reader::StreamReader;
use proptest::{collection::vec, prelude::*};

use super::{alert_columns, event_columns};
use crate::{
    avro::{
        alert,
        arbitrary::{batch_of, made_events},
        enriched,
    },
    facts::{Alert, BatchHeader, Enriched, EventFacts, File, Loss, Origin, OutputValue, Process},
};

fn rows(stream: &[u8]) -> usize {
    let reader = StreamReader::try_new(stream, None).expect("a stream");
    reader.map(|batch| batch.expect("a batch").num_rows()).sum()
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..9)
}

fn facts(count: usize) -> impl Strategy<Value = Enriched> {
    let process = (any::<u64>(), bytes(), vec(bytes(), 0..3), any::<u32>(), any::<i64>()).prop_map(
        |(id, name, args, uid, loginuid)| Process {
            id,
            name,
            args,
            uid,
            loginuid,
            ..Process::default()
        },
    );
    let address = prop_oneof![
        any::<[u8; 4]>().prop_map(std::net::IpAddr::from),
        any::<[u8; 16]>().prop_map(std::net::IpAddr::from)
    ];
    let file = (
        any::<u8>(),
        bytes(),
        prop::option::of((address, any::<u16>())),
        any::<u32>(),
    )
        .prop_map(|(typechar, name, client, dev)| File {
            typechar,
            name,
            client,
            dev,
            ..File::default()
        });
    let event = (
        prop::option::of(0u32..1),
        prop::option::of(0u32..1),
        prop::option::of(any::<i64>()),
        vec((any::<u16>(), bytes()), 0..3),
    );
    (process, file, vec(event, count)).prop_map(|(process, file, events)| Enriched {
        processes: vec![process],
        files: vec![file],
        events: events
            .into_iter()
            .enumerate()
            .map(|(index, (process, file, fd, resolved))| EventFacts {
                index: index as u32,
                process,
                file,
                fd,
                resolved,
                ..EventFacts::default()
            })
            .collect(),
        rules: Vec::new(),
        containers: vec![crate::avro::container_tests::made()],
    })
}

proptest! {
    #[test]
    fn every_event_is_a_row(
        (events, facts) in made_events(8).prop_flat_map(|events| {
            let count = events.len();
            (Just(batch_of(&events)), facts(count))
        }),
        hits in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        time in any::<u64>(),
    ) {
        let lost = vec![Loss { stage: "ring".into(), reason: "full".into(), count: 3 }];
        let header = BatchHeader { host: "h".into(), time, lost, ..BatchHeader::default() };
        let mut body = enriched::encode(&header, &events, &facts, Origin::default(), "v");
        let columns = event_columns(&[&body, &body], "k").unwrap();
        prop_assert_eq!(rows(&columns.events), 2 * events.len());
        prop_assert_eq!(rows(&columns.processes), 1);
        prop_assert_eq!(rows(&columns.ledger), 2 * 4);
        for (at, byte) in hits {
            let at = at.index(body.len());
            body[at] = byte;
        }
        if let Ok(columns) = event_columns(&[&body], "k") {
            rows(&columns.events);
        }
    }

    #[test]
    fn every_alert_is_a_row(names in vec(".{0,5}", 0..4), number in any::<f64>(), time in any::<u64>()) {
        let value = |i: usize| match i {
            0 => OutputValue::Double(number),
            1 => OutputValue::Null,
            2 => OutputValue::List(names.clone()),
            _ => OutputValue::Text("\u{0}\"".into()),
        };
        let output_fields = names.iter().enumerate().map(|(i, name)| (name.clone(), value(i))).collect();
        let body = alert::encode(&Alert { time, tags: names.clone(), output_fields, ..Alert::default() });
        prop_assert_eq!(rows(&alert_columns(&[&body, &body, &body], "k").unwrap()), 3);
    }
}
