//! `CaptureReader` for Python, which opens the files and decompresses them.

use pyo3::{prelude::*, types::PyDict};

use super::{avro::value_error, batch::PyBatch};
use crate::scap::CaptureReader;

#[pyclass(name = "CaptureReader", module = "tiercel._engine")]
pub struct PyCaptureReader {
    reader: CaptureReader,
    /// What `finish` read ahead to know that the file is whole.
    ahead: Option<PyBatch>,
}

#[pymethods]
impl PyCaptureReader {
    #[new]
    fn new() -> PyCaptureReader {
        PyCaptureReader {
            reader: CaptureReader::new(),
            ahead: None,
        }
    }

    fn feed(&mut self, py: Python<'_>, data: &[u8]) {
        let reader = &mut self.reader;
        py.detach(|| reader.feed(data));
    }

    fn finish(&mut self) -> PyResult<()> {
        self.reader.finish();
        if self.ahead.is_none() {
            self.ahead = self.reader.next(1).map_err(value_error)?.map(|batch| PyBatch { batch });
        }
        Ok(())
    }

    fn next(&mut self, py: Python<'_>, limit: usize) -> PyResult<Option<PyBatch>> {
        if let Some(batch) = self.ahead.take() {
            return Ok(Some(batch));
        }
        let reader = &mut self.reader;
        let batch = py.detach(|| reader.next(limit)).map_err(value_error)?;
        Ok(batch.map(|batch| PyBatch { batch }))
    }

    #[getter]
    fn machine<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        let Some(machine) = self.reader.machine() else {
            return Ok(None);
        };
        let dict = PyDict::new(py);
        dict.set_item("hostname", String::from_utf8_lossy(&machine.hostname))?;
        dict.set_item("num_cpus", machine.num_cpus)?;
        dict.set_item("memory_bytes", machine.memory_bytes)?;
        dict.set_item("max_pid", machine.max_pid)?;
        dict.set_item("boot_ts", machine.boot_ts)?;
        dict.set_item("flags", machine.flags)?;
        Ok(Some(dict))
    }

    #[getter]
    fn skipped(&self) -> u64 {
        self.reader.skipped()
    }
}
