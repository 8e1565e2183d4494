//! The engine's own view of the tables, so that a test can compare it with the Python one.

use pyo3::prelude::*;

use crate::generated::{events::EVENTS, fields::FIELDS};

/// `(code, name, parameter names)` of every event, in table order.
#[pyfunction]
pub fn event_table() -> Vec<(u16, &'static str, Vec<&'static str>)> {
    EVENTS
        .iter()
        .map(|e| (e.code, e.name, e.params.iter().map(|p| p.name).collect()))
        .collect()
}

/// Names of the fields, in table order.
#[pyfunction]
pub fn field_table() -> Vec<&'static str> {
    FIELDS.iter().map(|f| f.name).collect()
}
