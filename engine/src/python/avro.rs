//! Avro bodies to and from Python: `encode_raw`, `decode_raw`, `header_of`.

use pyo3::{
    exceptions::{PyKeyError, PyValueError},
    prelude::*,
    types::{PyBytes, PyDict},
};

use super::batch::{PyBatch, range_of};
use crate::{
    avro::{self, Kind},
    facts::{BatchHeader, Loss},
};

pub fn value_error(error: impl std::fmt::Display) -> PyErr {
    PyValueError::new_err(error.to_string())
}

/// The header that a dict tells; without `time`, that of the first event.
pub fn header_from_dict(dict: &Bound<'_, PyDict>, first_time: u64) -> PyResult<BatchHeader> {
    let item = |key: &str| {
        dict.get_item(key)?
            .ok_or_else(|| PyKeyError::new_err(format!("the header lacks {key}")))
    };
    let losses = |key: &str| -> PyResult<Vec<Loss>> {
        let Some(told) = dict.get_item(key)? else {
            return Ok(Vec::new());
        };
        let told: Vec<(String, String, u64)> = told.extract()?;
        Ok(told
            .into_iter()
            .map(|(stage, reason, count)| Loss { stage, reason, count })
            .collect())
    };
    Ok(BatchHeader {
        host_id: item("host_id")?.extract()?,
        host: item("host")?.extract()?,
        boot_id: item("boot_id")?.extract()?,
        run: item("run")?.extract()?,
        first_seq: item("first_seq")?.extract()?,
        time: dict.get_item("time")?.map_or(Ok(first_time), |time| time.extract())?,
        produced: item("produced")?.extract()?,
        delivered: item("delivered")?.extract()?,
        lost: losses("lost")?,
        shed: losses("shed")?,
    })
}

pub fn header_to_dict<'py>(py: Python<'py>, header: &BatchHeader) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("host_id", &header.host_id)?;
    dict.set_item("host", &header.host)?;
    dict.set_item("boot_id", &header.boot_id)?;
    dict.set_item("run", header.run)?;
    dict.set_item("first_seq", header.first_seq)?;
    dict.set_item("time", header.time)?;
    dict.set_item("produced", header.produced)?;
    dict.set_item("delivered", header.delivered)?;
    for (key, losses) in [("lost", &header.lost), ("shed", &header.shed)] {
        let losses: Vec<_> = losses
            .iter()
            .map(|loss| (&loss.stage, &loss.reason, loss.count))
            .collect();
        dict.set_item(key, losses)?;
    }
    Ok(dict)
}

/// The Avro body of a RawBatch of events `start..stop`.
#[pyfunction]
pub fn encode_raw<'py>(
    py: Python<'py>,
    batch: PyRef<'py, PyBatch>,
    start: usize,
    stop: usize,
    header: &Bound<'py, PyDict>,
) -> PyResult<Bound<'py, PyBytes>> {
    let range = range_of(&batch.batch, start, Some(stop))?;
    let first_time = if range.is_empty() {
        0
    } else {
        batch.batch.get(start).ts()
    };
    let header = header_from_dict(header, first_time)?;
    let events = &batch.batch;
    let body = py.detach(|| avro::raw::encode(&header, events, range));
    Ok(PyBytes::new(py, &body))
}

/// Header and events of a RawBatch; ValueError if the body is none.
#[pyfunction]
pub fn decode_raw<'py>(py: Python<'py>, body: &[u8]) -> PyResult<(Bound<'py, PyDict>, PyBatch)> {
    let (header, batch) = py.detach(|| avro::raw::decode(body)).map_err(value_error)?;
    Ok((header_to_dict(py, &header)?, PyBatch { batch }))
}

/// The leading fields of a body; `kind` is "raw" or "enriched", the latter also has `count`.
#[pyfunction]
#[pyo3(signature = (body, kind="raw"))]
pub fn header_of<'py>(py: Python<'py>, body: &[u8], kind: &str) -> PyResult<Bound<'py, PyDict>> {
    let kind = match kind {
        "raw" => Kind::Raw,
        "enriched" => Kind::Enriched,
        other => return Err(PyValueError::new_err(format!("{other} is neither raw nor enriched"))),
    };
    let (header, count) = avro::header_of(body, kind).map_err(value_error)?;
    let dict = header_to_dict(py, &header)?;
    dict.del_item("shed")?; // it is not read
    if kind == Kind::Enriched {
        dict.set_item("count", count)?;
    }
    Ok(dict)
}
