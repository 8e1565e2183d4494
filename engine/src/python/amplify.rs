//! `amplify`: a recording made longer, for benchmarks and load tests.

use pyo3::prelude::*;

use super::batch::PyBatch;
use crate::amplify;

#[pyfunction(name = "amplify")]
pub fn amplified(batch: PyRef<'_, PyBatch>, round: u32, span: u64) -> PyBatch {
    let source = &batch.batch;
    let batch = batch.py().detach(|| amplify::amplify(source, round, span));
    PyBatch { batch }
}
