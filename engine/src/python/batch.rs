//! `Batch`: events that Python hands from stage to stage without looking into them.

use pyo3::{
    exceptions::{PyIndexError, PyMemoryError, PyValueError},
    prelude::*,
    types::{PyBytes, PyDict, PyList},
};

use super::params::{param_from_python, param_to_python};
use crate::{
    event::{Batch, Event},
    generated::events::EventKind,
};

/// Places in a batch are 32-bit numbers.
const MOST_BYTES: usize = u32::MAX as usize;

#[pyclass(name = "Batch", module = "tiercel._engine")]
#[derive(Default)]
pub struct PyBatch {
    pub batch: Batch,
}

impl PyBatch {
    fn check_room(&self, bytes: usize) -> PyResult<()> {
        if self.batch.data_len().saturating_add(bytes) > MOST_BYTES {
            return Err(PyMemoryError::new_err(
                "a batch holds at most 4 GiB of parameters: begin another",
            ));
        }
        Ok(())
    }
}

#[pymethods]
impl PyBatch {
    #[new]
    fn new() -> PyBatch {
        PyBatch::default()
    }

    fn __len__(&self) -> usize {
        self.batch.len()
    }

    fn __repr__(&self) -> String {
        format!("Batch({} events, {} bytes)", self.batch.len(), self.batch.data_len())
    }

    #[getter]
    fn first_time(&self) -> u64 {
        if self.batch.is_empty() {
            0
        } else {
            self.batch.get(0).ts()
        }
    }

    #[getter]
    fn last_time(&self) -> u64 {
        if self.batch.is_empty() {
            0
        } else {
            self.batch.get(self.batch.len() - 1).ts()
        }
    }

    #[getter]
    fn kernel_events(&self) -> usize {
        self.batch.iter().filter(|event| event.kind().is_kernel()).count()
    }

    #[getter]
    fn data_bytes(&self) -> usize {
        self.batch.data_len()
    }

    #[pyo3(signature = (name, *, time, tid, cpu=0, params))]
    fn append(&mut self, name: &str, time: u64, tid: i64, cpu: u16, params: Vec<Bound<'_, PyAny>>) -> PyResult<()> {
        let kind =
            EventKind::from_name(name).ok_or_else(|| PyValueError::new_err(format!("no event is called {name}")))?;
        let infos = kind.info().params;
        if params.len() > infos.len() {
            let (given, known) = (params.len(), infos.len());
            return Err(PyValueError::new_err(format!(
                "{name} has {known} parameters, not {given}"
            )));
        }
        let mut encoded = Vec::with_capacity(params.len());
        for (info, value) in infos.iter().zip(&params) {
            let bytes = param_from_python(info, value).map_err(|error| {
                PyValueError::new_err(format!("{name}, parameter {}: {}", info.name, error.value(value.py())))
            })?;
            encoded.push(bytes);
        }
        self.check_room(encoded.iter().map(Vec::len).sum())?;
        self.batch.push(time, tid, cpu, kind, encoded.iter().map(Vec::as_slice));
        Ok(())
    }

    #[pyo3(signature = (other, start=0, stop=None))]
    fn extend(&mut self, other: PyRef<'_, PyBatch>, start: usize, stop: Option<usize>) -> PyResult<()> {
        let range = range_of(&other.batch, start, stop)?;
        self.check_room(other.batch.data_len())?;
        let batch = &mut self.batch;
        let source = &other.batch;
        other.py().detach(|| batch.extend(source, range));
        Ok(())
    }

    fn put_first(&mut self, mut other: PyRefMut<'_, PyBatch>) -> PyResult<()> {
        self.check_room(other.batch.data_len())?;
        self.batch.put_first(std::mem::take(&mut other.batch));
        Ok(())
    }

    fn truncate(&mut self, len: usize) {
        self.batch.truncate(len);
    }

    fn clear(&mut self) {
        self.batch.clear();
    }

    fn to_dicts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        for event in self.batch.iter() {
            list.append(event_to_dict(py, &event)?)?;
        }
        Ok(list)
    }

    fn encoded<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        for event in self.batch.iter() {
            let params = (0..event.param_count()).map(|index| PyBytes::new(py, event.param(index).unwrap_or_default()));
            let params = PyList::new(py, params.collect::<Vec<_>>())?;
            list.append((event.kind().info().code, event.ts(), event.tid(), event.cpu(), params))?;
        }
        Ok(list)
    }
}

/// `start..stop` of a batch; an error where it goes past the end.
pub fn range_of(batch: &Batch, start: usize, stop: Option<usize>) -> PyResult<std::ops::Range<usize>> {
    let stop = stop.unwrap_or(batch.len());
    if start > stop || stop > batch.len() {
        return Err(PyIndexError::new_err(format!(
            "a batch of {} events has no {start}..{stop}",
            batch.len()
        )));
    }
    Ok(start..stop)
}

fn event_to_dict<'py>(py: Python<'py>, event: &Event) -> PyResult<Bound<'py, PyDict>> {
    let params = PyDict::new(py);
    for (index, info) in event.kind().info().params.iter().enumerate() {
        if let Some(bytes) = event.param(index) {
            params.set_item(info.name, param_to_python(py, info, bytes)?)?;
        }
    }
    let dict = PyDict::new(py);
    dict.set_item("name", event.kind().info().name)?;
    dict.set_item("time", event.ts())?;
    dict.set_item("tid", event.tid())?;
    dict.set_item("cpu", event.cpu())?;
    dict.set_item("params", params)?;
    Ok(dict)
}
