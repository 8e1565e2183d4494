//! Rule sets and output formats, as Python sees them.

use pyo3::{exceptions::PyValueError, prelude::*};

use crate::{format, predicate};

fn wrong(error: impl std::fmt::Display) -> PyErr {
    PyValueError::new_err(error.to_string())
}

/// A compiled rule set; made from the JSON of tiercel.rules.plan, used by Host.
#[pyclass(module = "tiercel._engine")]
pub struct RuleSet {
    pub inner: predicate::RuleSet,
}

#[pymethods]
impl RuleSet {
    #[new]
    fn new(plan: &str) -> PyResult<RuleSet> {
        Ok(RuleSet {
            inner: predicate::RuleSet::new(plan).map_err(wrong)?,
        })
    }

    #[getter]
    fn version(&self) -> &str {
        self.inner.version()
    }

    #[getter]
    fn names(&self) -> Vec<String> {
        self.inner.rules().iter().map(|rule| rule.name.clone()).collect()
    }
}

/// A compiled output string.
#[pyclass(module = "tiercel._engine", frozen)]
pub struct Format {
    pub inner: format::Format,
}

#[pymethods]
impl Format {
    #[new]
    fn new(text: &str) -> PyResult<Format> {
        Ok(Format {
            inner: format::Format::new(text).map_err(wrong)?,
        })
    }

    /// The fields in it, as they key output_fields.
    #[getter]
    fn names(&self) -> Vec<&str> {
        self.inner.names()
    }
}

/// What is wrong with a regular expression, in one line.
#[pyfunction]
pub fn regex_error(pattern: &str) -> Option<String> {
    predicate::pattern::compile(pattern).err()
}
