//! Rule sets and output formats, as Python sees them.

use std::collections::HashMap;

use pyo3::{
    exceptions::PyValueError,
    prelude::*,
    types::{PyBool, PyDict, PyList},
};

use crate::{
    facts::OutputValue,
    format,
    generated::{
        events::{EVENTS, EventKind},
        fields::Field,
    },
    predicate::{
        self,
        literal::Literal,
        operand::{Kind, Operand, kind_of},
        profile::Count,
    },
    value::{FieldArg, Value},
};

pub(super) fn wrong(error: impl std::fmt::Display) -> PyErr {
    PyValueError::new_err(error.to_string())
}

/// Rule, message, output_fields.
type Match = (String, String, Py<PyDict>);

/// A field as written, also those that no output may hold (`fd.ip`).
fn field_of(name: &str) -> PyResult<(Field, FieldArg)> {
    if let Some(field) = Field::from_name(name) {
        return Ok((field, FieldArg::None));
    }
    match format::operand(name).map_err(wrong)? {
        Operand::Field(field, arg) => Ok((field, arg)),
        _ => Err(wrong(format!("{name} is no field"))),
    }
}

fn value_of(name: &str, field: Field, value: &Bound<'_, PyAny>) -> PyResult<Value<'static>> {
    if value.is_none() {
        return Ok(Value::Absent);
    }
    if let Ok(items) = value.cast::<PyList>() {
        let items = items
            .iter()
            .map(|item| value_of(name, field, &item))
            .collect::<PyResult<Vec<_>>>()?;
        return Ok(match items[..] {
            [Value::Ip(a), Value::Ip(b)] => Value::Ips(a, b),
            _ => Value::List(items),
        });
    }
    if value.is_instance_of::<PyBool>() {
        return Ok(Value::Bool(value.extract()?));
    }
    if let Ok(number) = value.extract::<i64>() {
        return Ok(Value::Int(number));
    }
    let text: String = value.extract()?;
    match kind_of(field.info().kind) {
        Kind::Ip | Kind::Net => text
            .parse()
            .map(Value::Ip)
            .map_err(|_| wrong(format!("{name}: {text:?} is no address"))),
        Kind::Text | Kind::Any => Ok(Value::Owned(text.into_bytes())),
        Kind::Number | Kind::Bool => Err(wrong(format!("{name}: {text:?} is not of the field's type"))),
    }
}

fn output_value(py: Python<'_>, value: OutputValue) -> PyResult<Py<PyAny>> {
    Ok(match value {
        OutputValue::Null => py.None(),
        OutputValue::Bool(flag) => flag.into_pyobject(py)?.to_owned().into_any().unbind(),
        OutputValue::Int(number) => number.into_pyobject(py)?.into_any().unbind(),
        OutputValue::Double(number) => number.into_pyobject(py)?.into_any().unbind(),
        OutputValue::Text(text) => text.into_pyobject(py)?.into_any().unbind(),
        OutputValue::List(items) => items.into_pyobject(py)?.into_any().unbind(),
    })
}

/// An event told by its fields.
pub(super) fn literal(event: &str, fields: &Bound<'_, PyDict>) -> PyResult<Literal> {
    let kind = EVENTS
        .iter()
        .find(|info| info.name == event)
        .and_then(|info| EventKind::from_code(info.code));
    let mut literal = Literal::new(kind.ok_or_else(|| wrong(format!("there is no event {event:?}")))?);
    for (name, value) in fields {
        let name: String = name.extract()?;
        let (field, arg) = field_of(&name)?;
        literal.values.push((field, arg, value_of(&name, field, &value)?));
    }
    Ok(literal)
}

/// A compiled rule set; made from the JSON of tiercel.rules.plan, used by Host.
#[pyclass(module = "tiercel._engine")]
pub struct RuleSet {
    pub inner: predicate::RuleSet,
}

#[pymethods]
impl RuleSet {
    #[new]
    #[pyo3(signature = (plan, *, remember = true))]
    fn new(py: Python<'_>, plan: &str, remember: bool) -> PyResult<RuleSet> {
        // Others may go on: sets are compiled beside the stream.
        let mut inner = py.detach(|| predicate::RuleSet::new(plan)).map_err(wrong)?;
        if !remember {
            inner.forget();
        }
        Ok(RuleSet { inner })
    }

    #[getter]
    fn version(&self) -> &str {
        self.inner.version()
    }

    #[getter]
    fn names(&self) -> Vec<String> {
        self.inner.rules().iter().map(|rule| rule.name.clone()).collect()
    }

    /// Count and time tests from now on.
    fn measure(&mut self) {
        self.inner.measure();
    }

    /// What was counted since `measure`; empty if nothing was.
    fn profile(&self) -> HashMap<&'static str, Vec<(u64, u64, u64)>> {
        let counts = |counts: &[Count]| counts.iter().map(|count| (count.times, count.held, count.ns)).collect();
        self.inner.profile().map_or_else(HashMap::new, |profile| {
            HashMap::from([
                ("tests", counts(&profile.tests)),
                ("rules", counts(&profile.rules)),
                ("events", counts(&[profile.events])),
            ])
        })
    }

    /// What the rules say of an event told by its fields: (rule, message, output_fields) of each that matches.
    fn try_event(&mut self, py: Python<'_>, event: &str, fields: &Bound<'_, PyDict>) -> PyResult<Vec<Match>> {
        let literal = literal(event, fields)?;
        let mut matched = Vec::new();
        self.inner.evaluate(&literal, &mut matched);
        matched
            .into_iter()
            .map(|rule| {
                let (message, fields) = self.inner.alert_text(rule, &literal);
                let shown = PyDict::new(py);
                for (name, value) in fields {
                    shown.set_item(name, output_value(py, value)?)?;
                }
                Ok((self.inner.rules()[rule as usize].name.clone(), message, shown.unbind()))
            })
            .collect()
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
