//! Column builders with what Arrow's lack: a dictionary whose keys can be kept, lists of bytes, and the finished table.

use std::{net::IpAddr, sync::Arc};

use arrow_array::{
    Array, ArrayRef, BinaryArray, DictionaryArray, Int32Array, MapArray, RecordBatch, StructArray,
    TimestampNanosecondArray,
    builder::{BinaryBuilder, FixedSizeBinaryBuilder, Int32Builder},
    types::Int32Type,
};
use arrow_buffer::OffsetBuffer;
use arrow_ipc::{
    CompressionType,
    writer::{IpcWriteOptions, StreamWriter},
};
use arrow_schema::{ArrowError, DataType, Field, Fields, Schema};
use hashbrown::HashMap;

use crate::facts::BatchHeader;

/// A dictionary column. A key once interned can be pushed again and again.
#[derive(Default)]
pub struct Dictionary {
    known: HashMap<Box<[u8]>, i32>,
    values: BinaryBuilder,
    keys: Int32Builder,
}

impl Dictionary {
    pub fn intern(&mut self, value: &[u8]) -> i32 {
        if let Some(&key) = self.known.get(value) {
            return key;
        }
        let key = self.known.len() as i32;
        self.known.insert(value.into(), key);
        self.values.append_value(value);
        key
    }

    #[inline]
    pub fn push_key(&mut self, key: i32) {
        self.keys.append_value(key);
    }

    pub fn push_key_option(&mut self, key: Option<i32>) {
        self.keys.append_option(key);
    }

    pub fn push(&mut self, value: &[u8]) {
        let key = self.intern(value);
        self.push_key(key);
    }

    pub fn len(&self) -> usize {
        arrow_array::builder::ArrayBuilder::len(&self.keys)
    }

    pub fn finish(mut self) -> Result<ArrayRef, ArrowError> {
        Ok(Arc::new(DictionaryArray::<Int32Type>::try_new(
            self.keys.finish(),
            Arc::new(self.values.finish()),
        )?))
    }

    /// Where every value is text: its bytes have been checked when they were read.
    pub fn finish_text(mut self) -> Result<ArrayRef, ArrowError> {
        let keys: Int32Array = self.keys.finish();
        Ok(Arc::new(DictionaryArray::<Int32Type>::try_new(
            keys,
            text(self.values.finish())?,
        )?))
    }
}

/// Bytes that are UTF-8 as an Arrow string column.
pub fn text(bytes: BinaryArray) -> Result<ArrayRef, ArrowError> {
    let (offsets, values, nulls) = bytes.into_parts();
    Ok(Arc::new(arrow_array::StringArray::try_new(offsets, values, nulls)?))
}

/// Maps of words to bytes, each value written where it stays.
pub struct Maps {
    keys: Dictionary,
    values: Texts,
    rows: Vec<i32>,
}

/// Texts one after the other; the first end is 0.
struct Texts {
    ends: Vec<i32>,
    bytes: Vec<u8>,
}

impl Default for Texts {
    fn default() -> Texts {
        Texts {
            ends: vec![0],
            bytes: Vec::new(),
        }
    }
}

impl Texts {
    fn end(&mut self) {
        // More is an error when it is finished.
        self.ends.push(i32::try_from(self.bytes.len()).unwrap_or(i32::MAX));
    }

    fn finish(self) -> Result<ArrayRef, ArrowError> {
        if i32::try_from(self.bytes.len()).is_err() {
            return Err(ArrowError::OffsetOverflowError(self.bytes.len()));
        }
        let ends = OffsetBuffer::new(self.ends.into());
        Ok(Arc::new(BinaryArray::try_new(ends, self.bytes.into(), None)?))
    }
}

impl Default for Maps {
    fn default() -> Maps {
        Maps {
            keys: Dictionary::default(),
            values: Texts::default(),
            rows: vec![0],
        }
    }
}

impl Maps {
    /// The key of entries that are called so.
    pub fn intern(&mut self, name: &[u8]) -> i32 {
        self.keys.intern(name)
    }

    /// An entry of the row; `write` appends its value, or returns false and has appended nothing.
    #[inline]
    pub fn entry(&mut self, key: i32, write: impl FnOnce(&mut Vec<u8>) -> bool) {
        if write(&mut self.values.bytes) {
            self.keys.push_key(key);
            self.values.end();
        }
    }

    pub fn end_row(&mut self) {
        self.rows.push(self.keys.len() as i32);
    }

    pub fn finish(self) -> Result<ArrayRef, ArrowError> {
        let (keys, values) = (self.keys.finish()?, self.values.finish()?);
        let fields = Fields::from(vec![
            Field::new("key", keys.data_type().clone(), false),
            Field::new("value", DataType::Binary, true),
        ]);
        let entries = StructArray::try_new(fields.clone(), vec![keys, values], None)?;
        let field = Arc::new(Field::new("entries", DataType::Struct(fields), false));
        let rows = OffsetBuffer::new(self.rows.into());
        Ok(Arc::new(MapArray::try_new(field, rows, entries, None, false)?))
    }
}

/// IPv6 addresses, IPv4 mapped into them.
pub struct Addresses(pub FixedSizeBinaryBuilder);

impl Default for Addresses {
    fn default() -> Addresses {
        Addresses(FixedSizeBinaryBuilder::new(16))
    }
}

impl Addresses {
    pub fn push(&mut self, ip: Option<IpAddr>) {
        match ip {
            None => self.0.append_null(),
            Some(ip) => {
                let mapped = match ip {
                    IpAddr::V4(ip) => ip.to_ipv6_mapped(),
                    IpAddr::V6(ip) => ip,
                };
                // Sixteen bytes are what the column has: this cannot fail.
                let _ = self.0.append_value(mapped.octets());
            }
        }
    }
}

/// UTC nanoseconds.
#[derive(Default)]
pub struct Times(Vec<i64>);

impl Times {
    pub fn push(&mut self, ns: u64) {
        self.0.push(i64::try_from(ns).unwrap_or(i64::MAX));
    }

    pub fn finish(self) -> ArrayRef {
        Arc::new(TimestampNanosecondArray::from(self.0).with_timezone("UTC"))
    }
}

/// The first columns of what hosts tell of themselves: which host, and since when it is so.
#[derive(Default)]
pub struct Told {
    host_id: Dictionary,
    host: Dictionary,
    boot_id: Dictionary,
    since: Times,
}

impl Told {
    pub fn push(&mut self, header: &BatchHeader, since: u64) {
        self.host_id.push(header.host_id.as_bytes());
        self.host.push(header.host.as_bytes());
        self.boot_id.push(header.boot_id.as_bytes());
        self.since.push(since);
    }

    pub fn finish(self, table: &mut Table) -> Result<(), ArrowError> {
        table.add("host_id", self.host_id.finish_text()?);
        table.add("host", self.host.finish_text()?);
        table.add("boot_id", self.boot_id.finish_text()?);
        table.add("since", self.since.finish());
        Ok(())
    }
}

/// A table under construction: columns in the order in which they are added.
#[derive(Default)]
pub struct Table {
    fields: Vec<Field>,
    columns: Vec<ArrayRef>,
}

impl Table {
    pub fn add(&mut self, name: &str, column: ArrayRef) {
        let nullable = column.is_nullable();
        self.fields.push(Field::new(name, column.data_type().clone(), nullable));
        self.columns.push(column);
    }

    /// A column of one text.
    pub fn add_same(&mut self, name: &str, value: &str, count: usize) -> Result<(), ArrowError> {
        let mut column = Dictionary::default();
        repeat(&mut column, value.as_bytes(), count);
        self.add(name, column.finish_text()?);
        Ok(())
    }

    /// The Arrow IPC stream, its buffers packed: a fifth of the bytes, which a store reads from a file or a network.
    pub fn finish(self) -> Result<Vec<u8>, ArrowError> {
        let schema = Arc::new(Schema::new(self.fields));
        let rows = RecordBatch::try_new(schema.clone(), self.columns)?;
        let options = IpcWriteOptions::default().try_with_compression(Some(CompressionType::LZ4_FRAME))?;
        let mut out = Vec::new();
        let mut writer = StreamWriter::try_new_with_options(&mut out, &schema, options)?;
        writer.write(&rows)?;
        writer.finish()?;
        drop(writer);
        Ok(out)
    }
}

/// `text` as a dictionary for a whole body: the same value `count` times.
pub fn repeat(column: &mut Dictionary, value: &[u8], count: usize) {
    let key = column.intern(value);
    for _ in 0..count {
        column.push_key(key);
    }
}
