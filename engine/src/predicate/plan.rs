//! The plan of a rule set as tiercel.rules.plan writes it. Read as hostile input: every index points backwards, so there are
//! no cycles, and what would grow without bound has a limit.

use serde::Deserialize;

use crate::table::FieldInfo;

pub const FORMAT: u32 = 1;
/// Nodes, operands and rules of one plan; a rule set of a thousand rules has some ten thousand nodes.
const MAX_ITEMS: usize = 1 << 20;
/// How deep nodes may stand above each other: evaluation recurses.
const MAX_HEIGHT: u32 = 2000;
/// Operands that one operand may hold, counting each as often as it is used: bounds the text that `concat` can make.
const MAX_OPERAND_SIZE: u64 = 10_000;

#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    #[error("the rule plan is no valid JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("the rule plan has format {0}, this engine reads {FORMAT}")]
    Format(u32),
    #[error("the rule plan is invalid: {0}")]
    Invalid(String),
}

pub fn invalid<T>(message: impl Into<String>) -> Result<T, PlanError> {
    Err(PlanError::Invalid(message.into()))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    pub format: u32,
    pub version: String,
    #[serde(default)]
    pub matching: Matching,
    /// Whether alerts show buffers as base64 instead of text.
    #[serde(default)]
    pub base64: bool,
    pub operands: Vec<OperandRow>,
    pub nodes: Vec<NodeRow>,
    pub rules: Vec<RuleRow>,
}

/// Whether the first rule that matches ends the search, or all are reported.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Matching {
    #[default]
    First,
    All,
}

/// Text, or bytes that are no UTF-8.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Constant {
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    Text(String),
    Hex { hex: String },
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum OperandRow {
    Field {
        name: String,
        #[serde(default)]
        index: Option<u32>,
        #[serde(default)]
        key: Option<String>,
    },
    Constant(Constant),
    List(Vec<usize>),
    Call {
        name: String,
        args: Vec<usize>,
        #[serde(default)]
        option: Option<String>,
    },
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum NodeRow {
    All(Vec<usize>),
    Any(Vec<usize>),
    Not(usize),
    Test(TestRow),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TestRow {
    pub left: usize,
    pub op: String,
    #[serde(default)]
    pub modifier: Option<String>,
    /// Constants, or
    #[serde(default)]
    pub values: Vec<Constant>,
    /// an operand that is evaluated per event.
    #[serde(default)]
    pub right: Option<usize>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleRow {
    pub name: String,
    pub source: String,
    pub priority: String,
    pub tags: Vec<String>,
    pub output: String,
    /// What output_fields hold beyond the fields of the output.
    #[serde(default)]
    pub extra: Vec<ExtraRow>,
    pub node: usize,
    /// Codes of the events on which the rule can match.
    pub codes: Vec<u16>,
    pub sha256: String,
    #[serde(default)]
    pub throttle: Option<ThrottleRow>,
}

/// How many alerts of a rule pass; `every` in ns, `per` as fields are written in an output.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ThrottleRow {
    pub per: Vec<String>,
    pub burst: u32,
    pub every: u64,
}

/// An entry of output_fields.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum ExtraRow {
    /// The value of a field (or transformer), under its own name.
    Field(String),
    /// A text with fields in it, under the name `key`.
    Text { key: String, format: String },
}

impl Constant {
    /// The bytes of a text constant.
    pub fn bytes(&self) -> Result<Vec<u8>, PlanError> {
        match self {
            Constant::Text(text) => Ok(text.clone().into_bytes()),
            Constant::Hex { hex } => unhex(hex).map_or_else(|| invalid(format!("{hex:?} is not hex")), Ok),
            other => invalid(format!("{other:?} is not text")),
        }
    }

    /// A number of any kind.
    pub fn double(&self) -> Option<f64> {
        match self {
            Constant::Double(number) => Some(*number),
            other => other.number().map(|number| number as f64),
        }
    }

    pub fn number(&self) -> Option<i128> {
        match self {
            Constant::Int(number) => Some(i128::from(*number)),
            Constant::Uint(number) => Some(i128::from(*number)),
            _ => None,
        }
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok())
        .collect()
}

impl Plan {
    /// Parse and check the shape; what nodes mean is checked where they are compiled.
    pub fn parse(text: &str) -> Result<Plan, PlanError> {
        let plan: Plan = serde_json::from_str(text)?;
        if plan.format != FORMAT {
            return Err(PlanError::Format(plan.format));
        }
        if plan.operands.len().max(plan.nodes.len()).max(plan.rules.len()) > MAX_ITEMS {
            return invalid(format!("more than {MAX_ITEMS} operands, nodes or rules"));
        }
        plan.check_operands()?;
        plan.check_nodes()?;
        for rule in &plan.rules {
            below(rule.node, plan.nodes.len(), "node")?;
        }
        Ok(plan)
    }

    fn check_operands(&self) -> Result<(), PlanError> {
        let mut sizes: Vec<u64> = Vec::with_capacity(self.operands.len());
        for (index, row) in self.operands.iter().enumerate() {
            let mut size: u64 = 1;
            if let OperandRow::List(args) | OperandRow::Call { args, .. } = row {
                for &arg in args {
                    below(arg, index, "operand")?;
                    size += sizes[arg];
                }
            }
            if size > MAX_OPERAND_SIZE {
                return invalid(format!("operand {index} holds more than {MAX_OPERAND_SIZE} others"));
            }
            sizes.push(size);
        }
        Ok(())
    }

    fn check_nodes(&self) -> Result<(), PlanError> {
        let mut heights: Vec<u32> = Vec::with_capacity(self.nodes.len());
        for (index, row) in self.nodes.iter().enumerate() {
            let mut height = 0;
            let children: &[usize] = match row {
                NodeRow::All(children) | NodeRow::Any(children) => children,
                NodeRow::Not(child) => std::slice::from_ref(child),
                NodeRow::Test(test) => {
                    below(test.left, self.operands.len(), "operand")?;
                    below(test.right.unwrap_or(0), self.operands.len(), "operand")?;
                    &[]
                }
            };
            for &child in children {
                below(child, index, "node")?;
                height = height.max(heights[child] + 1);
            }
            if height > MAX_HEIGHT {
                return invalid(format!("node {index} stands on more than {MAX_HEIGHT} others"));
            }
            heights.push(height);
        }
        Ok(())
    }
}

fn below(index: usize, limit: usize, what: &str) -> Result<(), PlanError> {
    if index < limit {
        Ok(())
    } else {
        invalid(format!("there is no {what} {index} before its user"))
    }
}

/// The field called `name`, or an error that says so.
pub fn field_named(name: &str) -> Result<(crate::generated::fields::Field, &'static FieldInfo), PlanError> {
    match crate::generated::fields::Field::from_name(name) {
        Some(field) => Ok((field, field.info())),
        None => invalid(format!("there is no field {name:?}")),
    }
}
