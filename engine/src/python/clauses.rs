//! `Clauses` for Python: which of many conditions hold on an event, and the values of their operands. For explanations and
//! tests of rules, never per event of a fleet: it takes an event apart that a rule only says yes or no to.

use pyo3::{
    prelude::*,
    types::{PyDict, PyList},
};

use super::{
    batch::PyBatch,
    host::{PyHost, python_value},
    rules::{literal, wrong},
};
use crate::{
    facts::OutputValue,
    format,
    predicate::{
        RuleSet,
        operand::Operand,
        plan::{Plan, PlanError},
    },
    value::Facts,
};

/// A plan of which every rule is a clause; it matches all.
#[pyclass(module = "tiercel._engine")]
pub struct Clauses {
    rules: RuleSet,
    operands: Vec<Operand>,
}

/// Numbers of the clauses that hold, and the values of all operands.
type Told<'py> = (Vec<u32>, Bound<'py, PyList>);

impl Clauses {
    fn compile(text: &str) -> Result<Clauses, PlanError> {
        let plan = Plan::parse(text)?;
        let mut operands: Vec<Operand> = Vec::with_capacity(plan.operands.len());
        for row in &plan.operands {
            operands.push(Operand::compile(row, &operands)?);
        }
        Ok(Clauses {
            rules: RuleSet::new(text)?,
            operands,
        })
    }

    fn told<F: Facts>(&mut self, facts: &F) -> (Vec<u32>, Vec<OutputValue>) {
        let mut holding = Vec::new();
        self.rules.evaluate(facts, &mut holding);
        let values = self.operands.iter().map(|operand| format::field_json(operand, facts));
        (holding, values.collect())
    }
}

fn python(py: Python<'_>, (holding, values): (Vec<u32>, Vec<OutputValue>)) -> PyResult<Told<'_>> {
    let values = values
        .into_iter()
        .map(|value| python_value(py, value))
        .collect::<PyResult<Vec<_>>>()?;
    Ok((holding, PyList::new(py, values)?))
}

#[pymethods]
impl Clauses {
    #[new]
    fn new(plan: &str) -> PyResult<Clauses> {
        Clauses::compile(plan).map_err(wrong)
    }

    /// The next events of a host: of each on which some clause holds its number and those clauses.
    #[pyo3(signature = (host, batch, *, hostname = ""))]
    fn holding(
        &mut self,
        py: Python<'_>,
        mut host: PyRefMut<'_, PyHost>,
        batch: PyRef<'_, PyBatch>,
        hostname: &str,
    ) -> Vec<(u64, Vec<u32>)> {
        let (host, batch, rules) = (&mut host.host, &batch.batch, &mut self.rules);
        py.detach(|| {
            let mut found = Vec::new();
            host.each(batch, hostname, |view| {
                let mut holding = Vec::new();
                rules.evaluate(view, &mut holding);
                if !holding.is_empty() {
                    found.push((view.number, holding));
                }
            });
            found
        })
    }

    /// The next events of a host: what holds on those with these numbers, which ascend, and the values there.
    #[pyo3(signature = (host, batch, numbers, *, hostname = ""))]
    fn on<'py>(
        &mut self,
        py: Python<'py>,
        mut host: PyRefMut<'py, PyHost>,
        batch: PyRef<'py, PyBatch>,
        numbers: Vec<u64>,
        hostname: &str,
    ) -> PyResult<Vec<Told<'py>>> {
        let (host, batch) = (&mut host.host, &batch.batch);
        let told = py.detach(|| {
            let mut found = Vec::new();
            host.each(batch, hostname, |view| {
                if numbers.binary_search(&view.number).is_ok() {
                    found.push(self.told(view));
                }
            });
            found
        });
        told.into_iter().map(|told| python(py, told)).collect()
    }

    /// The same of an event told by its fields.
    fn try_event<'py>(&mut self, py: Python<'py>, event: &str, fields: &Bound<'_, PyDict>) -> PyResult<Told<'py>> {
        let told = self.told(&literal(event, fields)?);
        python(py, told)
    }
}
