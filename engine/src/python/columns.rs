//! `event_columns` and `alert_columns` for Python: Avro bodies in, Arrow IPC streams out.

use pyo3::{prelude::*, types::PyBytes};

use super::avro::value_error;
use crate::columns;

#[pyclass(name = "Columns", module = "tiercel._engine", frozen)]
pub struct PyColumns {
    #[pyo3(get)]
    events: Py<PyBytes>,
    #[pyo3(get)]
    processes: Py<PyBytes>,
    #[pyo3(get)]
    containers: Py<PyBytes>,
    #[pyo3(get)]
    ledger: Py<PyBytes>,
    #[pyo3(get)]
    event_count: usize,
}

/// Rows for the tables events, processes, containers and ledger.
#[pyfunction]
pub fn event_columns(py: Python<'_>, bodies: Vec<Bound<'_, PyBytes>>, origin: &str) -> PyResult<PyColumns> {
    let bodies: Vec<&[u8]> = bodies.iter().map(|body| body.as_bytes()).collect();
    let columns = py
        .detach(|| columns::event_columns(&bodies, origin))
        .map_err(value_error)?;
    let stream = |bytes: &[u8]| PyBytes::new(py, bytes).unbind();
    Ok(PyColumns {
        events: stream(&columns.events),
        processes: stream(&columns.processes),
        containers: stream(&columns.containers),
        ledger: stream(&columns.ledger),
        event_count: columns.event_count,
    })
}

/// Rows for the table alerts.
#[pyfunction]
pub fn alert_columns<'py>(
    py: Python<'py>,
    bodies: Vec<Bound<'py, PyBytes>>,
    origin: &str,
) -> PyResult<Bound<'py, PyBytes>> {
    let bodies: Vec<&[u8]> = bodies.iter().map(|body| body.as_bytes()).collect();
    let stream = py
        .detach(|| columns::alert_columns(&bodies, origin))
        .map_err(value_error)?;
    Ok(PyBytes::new(py, &stream))
}
