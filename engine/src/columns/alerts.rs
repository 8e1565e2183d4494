//! Rows of the table `alerts`.

use std::sync::Arc;

use arrow_array::builder::{BooleanBuilder, Int32Builder, Int64Builder, ListBuilder, StringBuilder, UInt64Builder};

use super::{
    ColumnsError,
    builders::{Dictionary, Table, Times},
};
use crate::{
    avro::alert,
    facts::{Alert, OutputValue},
};

const NAMES: [&str; 8] = [
    "rule",
    "priority",
    "source",
    "host",
    "host_id",
    "boot_id",
    "rules_version",
    "rule_sha256",
];

/// Rows of all these Alert bodies; `origin` is what their raw offsets count in.
pub fn alert_columns(bodies: &[&[u8]], origin: &str) -> Result<Vec<u8>, ColumnsError> {
    let (mut id, mut message, mut fields) = (StringBuilder::new(), StringBuilder::new(), StringBuilder::new());
    let mut words: [Dictionary; 8] = Default::default();
    let (mut ts, mut seq, mut tags) = (
        Times::default(),
        UInt64Builder::new(),
        ListBuilder::new(StringBuilder::new()),
    );
    let (mut partition, mut offset) = (Int32Builder::new(), Int64Builder::new());
    let (mut suppressed, mut summary) = (UInt64Builder::new(), BooleanBuilder::new());
    for (body, bytes) in bodies.iter().enumerate() {
        let alert = alert::decode(bytes).map_err(|error| ColumnsError::Body { body, error })?;
        id.append_value(&alert.id);
        ts.push(alert.time);
        seq.append_value(alert.seq);
        message.append_value(&alert.message);
        for (column, word) in words.iter_mut().zip(words_of(&alert)) {
            column.push(word.as_bytes());
        }
        for tag in &alert.tags {
            tags.values().append_value(tag);
        }
        tags.append(true);
        fields.append_value(json(&alert.output_fields));
        partition.append_value(alert.origin.partition);
        offset.append_value(alert.origin.offset);
        suppressed.append_value(alert.suppressed);
        summary.append_value(alert.summary);
    }
    let mut table = Table::default();
    table.add("id", Arc::new(id.finish()));
    table.add("ts", ts.finish());
    for (name, column) in NAMES.into_iter().zip(words) {
        table.add(name, column.finish_text()?);
    }
    table.add("seq", Arc::new(seq.finish()));
    table.add("message", Arc::new(message.finish()));
    table.add("tags", Arc::new(tags.finish()));
    table.add("output_fields", Arc::new(fields.finish()));
    table.add("raw_partition", Arc::new(partition.finish()));
    table.add("raw_offset", Arc::new(offset.finish()));
    table.add("suppressed", Arc::new(suppressed.finish()));
    table.add("summary", Arc::new(summary.finish()));
    table.add_same("origin", origin, bodies.len())?;
    Ok(table.finish()?)
}

/// In the order of [`NAMES`].
fn words_of(alert: &Alert) -> [&str; 8] {
    let a = alert;
    [
        &a.rule,
        &a.priority,
        &a.source,
        &a.hostname,
        &a.host_id,
        &a.boot_id,
        &a.rules_version,
        &a.rule_sha256,
    ]
    .map(String::as_str)
}

/// An object in the order of the output, which a map would lose.
fn json(fields: &[(String, OutputValue)]) -> String {
    let mut out = String::from("{");
    for (index, (name, value)) in fields.iter().enumerate() {
        let value = match value {
            OutputValue::Null => serde_json::Value::Null,
            OutputValue::Bool(flag) => (*flag).into(),
            OutputValue::Int(number) => (*number).into(),
            OutputValue::Double(number) => (*number).into(),
            OutputValue::Text(text) => text.as_str().into(),
            OutputValue::List(items) => items.clone().into(),
        };
        let comma = if index > 0 { "," } else { "" };
        out += &format!("{comma}{}:{value}", serde_json::Value::from(name.as_str()));
    }
    out.push('}');
    out
}
