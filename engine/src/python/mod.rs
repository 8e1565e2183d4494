//! All PyO3 code: the module `tiercel._engine`.

use pyo3::prelude::*;

mod tables;

#[pymodule]
mod _engine {
    #[pymodule_export]
    use super::tables::{event_table, field_table};
}
