//! `RingReader`: the rings of the live probe, drained into a `Batch`.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::{
    exceptions::{PyOSError, PyValueError},
    prelude::*,
};

use super::batch::PyBatch;
use crate::ring::{Ring, Rings};

/// Index in the batch, thread, process, whether all of it is meant, time.
type Asked = (usize, i64, i64, bool, u64);

#[pyclass(name = "RingReader", module = "tiercel._engine", frozen)]
pub struct PyRingReader {
    /// `None` once closed.
    rings: Mutex<Option<Rings>>,
}

impl PyRingReader {
    fn lock(&self) -> MutexGuard<'_, Option<Rings>> {
        self.rings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn closed() -> PyErr {
    PyValueError::new_err("the ring reader is closed")
}

#[pymethods]
impl PyRingReader {
    #[new]
    fn new(fds: Vec<i32>, ring_bytes: usize) -> PyResult<PyRingReader> {
        let rings = fds
            .iter()
            .map(|&fd| Ring::map(fd, ring_bytes))
            .collect::<Result<Vec<_>, _>>();
        let rings = rings.map_err(|e| PyOSError::new_err(format!("a ring cannot be mapped: {e}")))?;
        Ok(PyRingReader {
            rings: Mutex::new(Some(Rings::new(rings))),
        })
    }

    #[pyo3(signature = (batch, *, until, clock_offset, limit))]
    fn drain(
        &self,
        py: Python<'_>,
        mut batch: PyRefMut<'_, PyBatch>,
        until: u64,
        clock_offset: i64,
        limit: usize,
    ) -> PyResult<usize> {
        let target = &mut batch.batch;
        py.detach(|| {
            self.lock()
                .as_mut()
                .map(|rings| rings.drain(target, until, clock_offset, limit))
        })
        .ok_or_else(closed)
    }

    fn questions(&self) -> PyResult<Vec<Asked>> {
        let questions = self.lock().as_mut().map(Rings::questions).ok_or_else(closed)?;
        Ok(questions
            .into_iter()
            .map(|q| (q.index, q.tid, q.pid, q.whole, q.time))
            .collect())
    }

    #[getter]
    fn bad_records(&self) -> PyResult<u64> {
        self.lock().as_ref().map(Rings::bad_records).ok_or_else(closed)
    }

    fn fill(&self) -> PyResult<Vec<u64>> {
        self.lock().as_ref().map(Rings::fill).ok_or_else(closed)
    }

    fn close(&self) {
        self.lock().take();
    }
}
