//! All PyO3 code: the module `tiercel._engine`.

use pyo3::prelude::*;

mod amplify;
mod avro;
mod batch;
mod capture;
mod clauses;
mod columns;
mod containers;
mod host;
mod params;
mod redact;
mod ring;
mod rules;
mod tables;

#[pymodule]
mod _engine {
    #[pymodule_export]
    use super::amplify::amplified;
    #[pymodule_export]
    use super::avro::{decode_raw, encode_raw, header_of};
    #[pymodule_export]
    use super::batch::PyBatch;
    #[pymodule_export]
    use super::capture::PyCaptureReader;
    #[pymodule_export]
    use super::clauses::Clauses;
    #[pymodule_export]
    use super::columns::{PyColumns, alert_columns, event_columns};
    #[pymodule_export]
    use super::containers::PyContainerIds;
    #[pymodule_export]
    use super::host::{Outcome, PyHost};
    #[pymodule_export]
    use super::redact::{Redactor, checksum};
    #[pymodule_export]
    use super::ring::PyRingReader;
    #[pymodule_export]
    use super::rules::{Format, RuleSet, regex_error};
    #[pymodule_export]
    use super::tables::{event_table, field_table};
}
