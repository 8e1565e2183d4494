//! `Redactor`: takes out of batches what must not leave the host; and the checksum of what waits on its disk.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use pyo3::{exceptions::PyValueError, prelude::*};
use xxhash_rust::xxh3::xxh3_64;

use super::batch::PyBatch;
use crate::redact::{Policy, redact};

#[pyclass(module = "tiercel._engine", frozen)]
pub struct Redactor {
    policy: Policy,
    env: AtomicU64,
    payloads: AtomicU64,
    args: AtomicU64,
}

#[pymethods]
impl Redactor {
    #[new]
    fn new(env: Vec<String>, payloads: Vec<String>, patterns: Vec<String>) -> PyResult<Redactor> {
        Ok(Redactor {
            policy: Policy::new(env, &payloads, &patterns).map_err(PyValueError::new_err)?,
            env: AtomicU64::new(0),
            payloads: AtomicU64::new(0),
            args: AtomicU64::new(0),
        })
    }

    fn redact(&self, py: Python<'_>, mut batch: PyRefMut<'_, PyBatch>) {
        let batch = &mut batch.batch;
        let counts = py.detach(|| redact(batch, &self.policy));
        self.env.fetch_add(counts.env, Relaxed);
        self.payloads.fetch_add(counts.payloads, Relaxed);
        self.args.fetch_add(counts.args, Relaxed);
    }

    #[getter]
    fn counts(&self) -> (u64, u64, u64) {
        (
            self.env.load(Relaxed),
            self.payloads.load(Relaxed),
            self.args.load(Relaxed),
        )
    }
}

#[pyfunction]
pub fn checksum(data: &[u8]) -> u64 {
    xxh3_64(data)
}
