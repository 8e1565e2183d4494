//! `Host` for Python: raw bodies in; enriched bodies and alerts out.

use std::collections::HashMap;

use pyo3::{
    prelude::*,
    types::{PyBytes, PyDict, PyList},
};

use super::{
    avro::{header_from_dict, value_error},
    batch::PyBatch,
    rules::{Format, RuleSet},
};
use crate::{
    avro,
    facts::{Origin, OutputValue},
    format,
    host::Host,
    state::Limits,
};

/// Everything the engine knows of one host.
#[pyclass(name = "Host", module = "tiercel._engine")]
pub struct PyHost {
    pub(super) host: Host,
}

/// What became of one raw batch.
#[pyclass(module = "tiercel._engine", frozen)]
pub struct Outcome {
    enriched: Vec<u8>,
    alerts: Vec<Vec<u8>>,
    #[pyo3(get)]
    first_seq: u64,
    #[pyo3(get)]
    count: usize,
    #[pyo3(get)]
    events: usize,
    #[pyo3(get)]
    evicted: u64,
    #[pyo3(get)]
    delivered: u64,
}

#[pymethods]
impl Outcome {
    #[getter]
    fn enriched<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.enriched)
    }

    #[getter]
    fn alerts<'py>(&self, py: Python<'py>) -> Vec<Bound<'py, PyBytes>> {
        self.alerts.iter().map(|alert| PyBytes::new(py, alert)).collect()
    }
}

#[pymethods]
impl PyHost {
    #[new]
    #[expect(clippy::too_many_arguments, reason = "keywords in Python, one a limit")]
    #[pyo3(signature = (*, max_threads = 262_144, max_fds = 4096, max_users = 262_144, max_containers = 8192,
        max_orphans = 262_144, max_exits = 8192, max_throttled = 8192, max_bytes = 1_073_741_824))]
    fn new(
        max_threads: usize,
        max_fds: usize,
        max_users: usize,
        max_containers: usize,
        max_orphans: usize,
        max_exits: usize,
        max_throttled: usize,
        max_bytes: u64,
    ) -> PyHost {
        PyHost {
            host: Host::new(Limits {
                threads: max_threads,
                fds: max_fds,
                users: max_users,
                containers: max_containers,
                orphans: max_orphans,
                exits: max_exits,
                throttled: max_throttled,
                bytes: max_bytes,
            }),
        }
    }

    #[pyo3(signature = (raw, rules, *, partition, offset))]
    fn process(
        &mut self,
        py: Python<'_>,
        raw: &[u8],
        rules: Option<Bound<'_, RuleSet>>,
        partition: i32,
        offset: i64,
    ) -> PyResult<Outcome> {
        let mut rules = rules.as_ref().map(|rules| rules.borrow_mut());
        let rules = rules.as_mut().map(|rules| &mut rules.inner);
        let host = &mut self.host;
        let origin = Origin { partition, offset };
        let outcome = py.detach(|| -> Result<Outcome, avro::Error> {
            let (header, batch) = avro::raw::decode(raw)?;
            let version = rules
                .as_ref()
                .map(|rules| rules.version().to_owned())
                .unwrap_or_default();
            let evicted = host.evicted();
            let (enriched, alerts) = host.process(&header, &batch, rules, origin);
            Ok(Outcome {
                enriched: avro::enriched::encode(&header, &batch, &enriched, origin, &version),
                alerts: alerts.iter().map(avro::alert::encode).collect(),
                first_seq: header.first_seq,
                count: batch.len(),
                events: enriched.events.len(),
                evicted: host.evicted().saturating_sub(evicted),
                delivered: header.delivered,
            })
        });
        outcome.map_err(value_error)
    }

    #[pyo3(signature = (batch, rules, *, header))]
    fn replay<'py>(
        &mut self,
        py: Python<'py>,
        batch: PyRef<'_, PyBatch>,
        rules: Option<Bound<'_, RuleSet>>,
        header: &Bound<'_, PyDict>,
    ) -> PyResult<Vec<Bound<'py, PyBytes>>> {
        let header = header_from_dict(header, 0)?;
        let mut rules = rules.as_ref().map(|rules| rules.borrow_mut());
        let rules = rules.as_mut().map(|rules| &mut rules.inner);
        let (host, batch) = (&mut self.host, &batch.batch);
        let alerts = py.detach(|| match rules {
            Some(rules) => host
                .replay(&header, batch, rules)
                .iter()
                .map(avro::alert::encode)
                .collect(),
            None => {
                host.each(batch, &header.host, |_| {});
                Vec::new()
            }
        });
        Ok(alerts.iter().map(|alert| PyBytes::new(py, alert)).collect())
    }

    /// The line of each kernel event, none where the condition does not hold or a field is absent.
    #[pyo3(signature = (batch, format, condition = None, *, hostname = ""))]
    fn lines(
        &mut self,
        py: Python<'_>,
        batch: PyRef<'_, PyBatch>,
        format: PyRef<'_, Format>,
        condition: Option<Bound<'_, RuleSet>>,
        hostname: &str,
    ) -> Vec<Option<String>> {
        let mut condition = condition.as_ref().map(|rules| rules.borrow_mut());
        let mut condition = condition.as_mut().map(|rules| &mut rules.inner);
        let (host, batch, format) = (&mut self.host, &batch.batch, &format.inner);
        py.detach(|| {
            let mut matched = Vec::new();
            let mut lines = Vec::with_capacity(batch.len());
            host.each(batch, hostname, |view| {
                matched.clear();
                if let Some(condition) = condition.as_deref_mut() {
                    condition.evaluate(view, &mut matched);
                }
                let holds = condition.is_none() || !matched.is_empty();
                lines.push(if holds { format.line(view) } else { None });
            });
            lines
        })
    }

    /// Values of fields on each kernel event that fulfils the condition, as JSON has them.
    #[pyo3(signature = (batch, fields, condition = None, *, hostname = ""))]
    fn field_rows<'py>(
        &mut self,
        py: Python<'py>,
        batch: PyRef<'_, PyBatch>,
        fields: Vec<String>,
        condition: Option<Bound<'_, RuleSet>>,
        hostname: &str,
    ) -> PyResult<Vec<Bound<'py, PyList>>> {
        let text: Vec<String> = fields.iter().map(|field| format!("%{field}")).collect();
        let format = format::Format::new(&format!("*{}", text.join(" "))).map_err(value_error)?;
        let mut condition = condition.as_ref().map(|rules| rules.borrow_mut());
        let mut condition = condition.as_mut().map(|rules| &mut rules.inner);
        let (host, batch) = (&mut self.host, &batch.batch);
        let rows = py.detach(|| {
            let mut matched = Vec::new();
            let mut rows = Vec::new();
            host.each(batch, hostname, |view| {
                matched.clear();
                if let Some(condition) = condition.as_deref_mut() {
                    condition.evaluate(view, &mut matched);
                }
                if condition.is_none() || !matched.is_empty() {
                    rows.push(format.fields(view));
                }
            });
            rows
        });
        rows.into_iter()
            .map(|row| {
                PyList::new(
                    py,
                    row.into_iter()
                        .map(|(_, value)| python_value(py, value))
                        .collect::<PyResult<Vec<_>>>()?,
                )
            })
            .collect()
    }

    /// Counts that no alert has carried yet, as alerts: nothing more comes here.
    fn finish<'py>(&mut self, py: Python<'py>) -> Vec<Bound<'py, PyBytes>> {
        let alerts = self.host.finish();
        alerts
            .iter()
            .map(|alert| PyBytes::new(py, &avro::alert::encode(alert)))
            .collect()
    }

    /// What is known of a thread, None if nothing is.
    fn describe<'py>(&self, py: Python<'py>, tid: i64) -> PyResult<Bound<'py, PyAny>> {
        match self.host.state.describe(tid) {
            Some(facts) => py.import("json")?.call_method1("loads", (facts.to_string(),)),
            None => Ok(py.None().into_bound(py)),
        }
    }

    fn save<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        let host = &self.host;
        PyBytes::new(py, &py.detach(|| host.save()))
    }

    fn load(&mut self, py: Python<'_>, saved: &[u8]) -> PyResult<()> {
        let limits = self.host.state.limits;
        self.host = py.detach(|| Host::load(saved, limits)).map_err(value_error)?;
        Ok(())
    }

    #[getter]
    fn counters(&self) -> HashMap<&'static str, u64> {
        self.host.counters()
    }
}

pub(super) fn python_value(py: Python<'_>, value: OutputValue) -> PyResult<Bound<'_, PyAny>> {
    Ok(match value {
        OutputValue::Null => py.None().into_bound(py),
        OutputValue::Bool(flag) => flag.into_pyobject(py)?.to_owned().into_any(),
        OutputValue::Int(number) => number.into_pyobject(py)?.into_any(),
        OutputValue::Double(number) => number.into_pyobject(py)?.into_any(),
        OutputValue::Text(text) => text.into_pyobject(py)?.into_any(),
        OutputValue::List(items) => items.into_pyobject(py)?.into_any(),
    })
}
