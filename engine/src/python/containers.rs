//! `ContainerIds`: which containers the events of a batch run in that no batch before did.

use std::collections::HashSet;

use pyo3::{prelude::*, types::PyBytes};

use super::batch::{PyBatch, range_of};
use crate::{generated::events::EventKind as K, state::containers};

/// Control groups remembered; past it all are forgotten, and containers can be told again.
const MOST: usize = 16_384;

type Told<'py> = (Bound<'py, PyBytes>, Bound<'py, PyBytes>, Option<u8>);

#[pyclass(name = "ContainerIds", module = "tiercel._engine")]
#[derive(Default)]
pub struct PyContainerIds {
    last: Vec<u8>,
    cgroups: HashSet<Vec<u8>>,
    ids: HashSet<Vec<u8>>,
}

#[pymethods]
impl PyContainerIds {
    #[new]
    fn new() -> PyContainerIds {
        PyContainerIds::default()
    }

    #[pyo3(signature = (batch, start=0))]
    fn look<'py>(&mut self, batch: PyRef<'py, PyBatch>, start: usize) -> PyResult<Vec<Told<'py>>> {
        let py = batch.py();
        let mut told = Vec::new();
        for index in range_of(&batch.batch, start, None)? {
            let event = batch.batch.get(index);
            let cgroups = match event.kind() {
                K::Clone | K::Clone3 | K::Fork | K::Vfork | K::Execve | K::Execveat | K::ThreadSnapshot => {
                    event.param(14).unwrap_or_default()
                }
                _ => continue,
            };
            // Most threads run where the one before did.
            if cgroups == self.last || cgroups.is_empty() {
                continue;
            }
            self.last.clear();
            self.last.extend_from_slice(cgroups);
            if self.cgroups.contains(cgroups) {
                continue;
            }
            if self.cgroups.len() >= MOST {
                self.cgroups.clear();
                self.ids.clear();
            }
            self.cgroups.insert(cgroups.to_vec());
            if let Some(found) = containers::found(cgroups)
                && self.ids.insert(found.id.to_vec())
            {
                let (id, full) = (PyBytes::new(py, found.id), PyBytes::new(py, found.full));
                told.push((id, full, found.engine));
            }
        }
        Ok(told)
    }
}
