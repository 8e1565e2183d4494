//! Alert: one message a rule that matched.

use super::wire::{Error, Reader, Result, put_array, put_bool, put_bytes, put_long, put_ulong};
use crate::facts::{Alert, Origin, OutputValue};

pub fn encode(alert: &Alert) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    put_bytes(&mut out, alert.id.as_bytes());
    put_ulong(&mut out, alert.time);
    for text in [
        &alert.rule,
        &alert.priority,
        &alert.source,
        &alert.hostname,
        &alert.host_id,
        &alert.boot_id,
    ] {
        put_bytes(&mut out, text.as_bytes());
    }
    put_ulong(&mut out, alert.seq);
    put_bytes(&mut out, alert.message.as_bytes());
    put_array(&mut out, &alert.tags, |out, tag| put_bytes(out, tag.as_bytes()));
    put_array(&mut out, &alert.output_fields, |out, (name, value)| {
        put_bytes(out, name.as_bytes());
        put_value(out, value);
    });
    put_bytes(&mut out, alert.rules_version.as_bytes());
    put_bytes(&mut out, alert.rule_sha256.as_bytes());
    put_long(&mut out, i64::from(alert.origin.partition));
    put_long(&mut out, alert.origin.offset);
    put_ulong(&mut out, alert.suppressed);
    put_bool(&mut out, alert.summary);
    out
}

fn put_value(out: &mut Vec<u8>, value: &OutputValue) {
    let branch = match value {
        OutputValue::Null => 0,
        OutputValue::Bool(_) => 1,
        OutputValue::Int(_) => 2,
        OutputValue::Double(_) => 3,
        OutputValue::Text(_) => 4,
        OutputValue::List(_) => 5,
    };
    put_long(out, branch);
    match value {
        OutputValue::Null => {}
        OutputValue::Bool(flag) => put_bool(out, *flag),
        OutputValue::Int(number) => put_long(out, *number),
        OutputValue::Double(number) => out.extend_from_slice(&number.to_le_bytes()),
        OutputValue::Text(text) => put_bytes(out, text.as_bytes()),
        OutputValue::List(items) => put_array(out, items, |out, item| put_bytes(out, item.as_bytes())),
    }
}

fn text(reader: &mut Reader) -> Result<String> {
    reader.text().map(str::to_owned)
}

pub fn decode(body: &[u8]) -> Result<Alert> {
    let mut reader = Reader::new(body)?;
    let r = &mut reader;
    // Fields are evaluated in the order in which they stand here: that of the schema.
    let alert = Alert {
        id: text(r)?,
        time: r.ulong()?,
        rule: text(r)?,
        priority: text(r)?,
        source: text(r)?,
        hostname: text(r)?,
        host_id: text(r)?,
        boot_id: text(r)?,
        seq: r.ulong()?,
        message: text(r)?,
        tags: r.list(1, text)?,
        output_fields: r.list(2, |r| Ok((text(r)?, read_value(r)?)))?,
        rules_version: text(r)?,
        rule_sha256: text(r)?,
        origin: Origin {
            partition: r.number("partition")?,
            offset: r.long()?,
        },
        suppressed: r.ulong()?,
        summary: r.bool()?,
    };
    reader.finish()?;
    Ok(alert)
}

fn read_value(reader: &mut Reader) -> Result<OutputValue> {
    Ok(match reader.branch(6)? {
        0 => OutputValue::Null,
        1 => OutputValue::Bool(reader.bool()?),
        2 => OutputValue::Int(reader.long()?),
        3 => OutputValue::Double(reader.double()?),
        4 => OutputValue::Text(text(reader)?),
        5 => OutputValue::List(reader.list(1, text)?),
        other => return Err(Error::Branch(i64::from(other))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_value_comes_back() {
        let alert = Alert {
            id: "0f".into(),
            time: u64::MAX,
            rule: "a rule".into(),
            seq: 1 << 63,
            tags: vec!["x".into(), "y".into()],
            output_fields: vec![
                ("a".into(), OutputValue::Null),
                ("b".into(), OutputValue::Bool(true)),
                ("c".into(), OutputValue::Int(-5)),
                ("d".into(), OutputValue::Double(0.5)),
                ("e".into(), OutputValue::Text("ü".into())),
                ("f".into(), OutputValue::List(vec!["1".into(), String::new()])),
            ],
            origin: Origin {
                partition: -1,
                offset: 9,
            },
            suppressed: 7,
            summary: true,
            ..Alert::default()
        };
        let body = encode(&alert);
        assert_eq!(decode(&body), Ok(alert));
        for end in 0..body.len() {
            assert!(decode(&body[..end]).is_err());
        }
    }
}
